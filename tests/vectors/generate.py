#!/usr/bin/env python3
"""Records what pypsexec sends, and how it reads what it receives.

pypsexec itself runs here, with its sockets replaced: nothing of its formats is repeated in this script, but for the
answers of a service control manager, which pypsexec only reads.

    python3 -m venv venv && venv/bin/pip install pypsexec==0.3.0
    venv/bin/python generate.py > pypsexec.json
"""
import importlib.metadata
import json
import struct
from unittest import mock

import pypsexec.client
import pypsexec.paexec
import pypsexec.rpc
import pypsexec.scmr

HANDLE = bytes(range(0xA0, 0xB4))


def main():
    vectors = {
        "origin": {
            "packages": {name: importlib.metadata.version(name) for name in ("pypsexec", "smbprotocol")},
            "command": "python generate.py > pypsexec.json",
        },
        "names": [names(4711, "build-7"), names(1, "a"), names(0x80000001, "Zürich.example")],
        "runs": list(runs()),
        "answers": list(messages()),
        "bind": bind(),
        "bind_answers": bind_answers(),
        "calls": list(calls()),
    }
    print(json.dumps(vectors, indent=1))


def client(pid, host):
    with mock.patch("os.getpid", return_value=pid), mock.patch("socket.gethostname", return_value=host):
        return pypsexec.client.Client("server")


def names(pid, host):
    run = client(pid, host)
    return {
        "number": pid,
        "host": host,
        "service": run.service_name,
        "executable": run._exe_file,
        "stdout": run._stdout_pipe_name,
        "stderr": run._stderr_pipe_name,
        "stdin": run._stdin_pipe_name,
        "unique_id": run._unique_id,
    }


def runs():
    """SETTINGS and START_APP as the client writes them. A key so high that it would overflow makes pypsexec fail."""
    defaults = {"executable": "cmd.exe", "asynchronous": True}
    everything = {
        "executable": "C:\\Program Files\\ä\U0001F600.exe",
        "arguments": '/c "echo \'x\'" & exit',
        "processors": [1, 3],
        "asynchronous": True,
        "load_profile": False,
        "interactive_session": 7,
        "interactive": True,
        "run_elevated": True,
        "username": "DOMAIN\\user",
        "password": "pässwörd",
        "use_system_account": True,
        "working_dir": "C:\\temp",
        "show_ui_on_win_logon": True,
        "priority": pypsexec.paexec.ProcessPriority.BELOW_NORMAL_PRIORITY_CLASS,
        "remote_log_path": "C:\\log.txt",
        "timeout_seconds": 300,
        "wow64": True,
    }
    limited = {"executable": "", "interactive": True, "run_limited": True}
    for key in (0, 1, 0x12345678, 0xDEADBEEF, 0xFFFF0000):
        yield run(defaults, key, 4711, "build-7")
    yield run(everything, 0xCAFEF00D, 4711, "build-7")
    yield run(limited, 0x7FFFFFFE, 1, "a")


def run(options, key, pid, host):
    main_pipe = mock.Mock()
    main_pipe.read.side_effect = [ok(b""), ok(struct.pack("<L", 42))]
    sender = client(pid, host)
    sender._service = mock.Mock()
    with mock.patch("pypsexec.client.TreeConnect"), \
            mock.patch("pypsexec.client.open_pipe", return_value=main_pipe), \
            mock.patch("os.urandom", return_value=struct.pack("<L", key)):
        result = sender.run_executable(**options)
    assert result[2] == 42, result
    settings, start_app = (call.args[0] for call in main_pipe.write.call_args_list)
    return {
        "options": options,
        "key": key,
        "number": pid,
        "host": host,
        "settings": settings.hex(),
        "start_app": start_app.hex(),
    }


def ok(payload):
    return message(pypsexec.paexec.PAExecMsgId.MSGID_OK, payload)


def message(message_id, payload):
    packet = pypsexec.paexec.PAExecMsg()
    packet["msg_id"] = message_id
    packet["unique_id"] = 0x11223344
    packet["buffer"] = payload
    return packet.pack()


def messages():
    result = pypsexec.paexec.PAExecReturnBuffer()
    result["return_code"] = 0xFFFFFFF6
    yield {"name": "empty", "message": ok(b"").hex()}
    yield {"name": "result", "message": ok(result.pack()).hex(), "result": result["return_code"].get_value()}

    text = 'Failed to start "x.exe". The system cannot find the file specified. [Err=0x2, 2]\r\n'
    payload = struct.pack("<L", len(text)) + text.encode("utf-16-le")
    failed = message(pypsexec.paexec.PAExecMsgId.MSGID_FAILED, payload)
    shown = str(pypsexec.paexec.PAExecException(6, payload))
    assert shown.endswith(text), shown
    yield {"name": "failed", "message": failed.hex(), "text": text}


def bind():
    with mock.patch("pypsexec.scmr.TreeConnect"), mock.patch("pypsexec.scmr.Open"):
        api = pypsexec.scmr.SCMRApi(mock.Mock())
        api.handle.read.return_value = bytes.fromhex(bind_answers()["ack"])
        api.open()
        return api.handle.write.call_args.args[0].hex()


def bind_answers():
    ndr = pypsexec.rpc.SyntaxIdElement()
    ndr["uuid"] = bytes.fromhex("045d888aeb1cc9119fe808002b104860")
    ndr["version"] = 2
    accepted = pypsexec.rpc.Result()
    accepted["result"] = pypsexec.rpc.ContextResult.ACCEPTANCE
    accepted["transfer_syntax"] = ndr
    ack = pdu(pypsexec.rpc.BindAckPDU())
    ack["max_xmit_frag"] = 4280
    ack["max_recv_frag"] = 4000
    ack["assoc_group_id"] = 0x53F0
    ack["sec_addr"] = b"\\PIPE\\svcctl\x00"
    ack["results"] = [accepted]

    nak = pdu(pypsexec.rpc.BindNakPDU())
    nak["provider_reject_reason"] = pypsexec.rpc.BindNakReason.LOCAL_LIMIT_EXCEEDED

    fault = pdu(pypsexec.rpc.FaultPDU())
    fault["status"] = pypsexec.rpc.FaultStatus.NCA_S_FAULT_CONTEXT_MISMATCH
    return {"ack": ack.pack().hex(), "nak": nak.pack().hex(), "fault": fault.pack().hex()}


def pdu(packet):
    packet["pfx_flags"].set_flag(pypsexec.rpc.PFlags.PFC_FIRST_FRAG)
    packet["pfx_flags"].set_flag(pypsexec.rpc.PFlags.PFC_LAST_FRAG)
    packet["packed_drep"] = pypsexec.rpc.DataRepresentationFormat()
    packet["call_id"] = 0
    return packet


def calls():
    """Every call of pypsexec, with the answer it is given and what it reads from it."""
    ok_code = struct.pack("<L", 0)
    status = struct.pack("<7L", 0x10, 4, 1, 0, 0, 2, 3000)
    access = pypsexec.scmr.DesiredAccess
    manager = access.SC_MANAGER_CONNECT | access.SC_MANAGER_CREATE_SERVICE | access.SC_MANAGER_ENUMERATE_SERVICE
    service = access.SERVICE_QUERY_STATUS | access.SERVICE_START | access.SERVICE_STOP | access.DELETE

    yield from call("ROpenSCManagerW", lambda api: api.open_sc_manager_w("server", None, manager), HANDLE + ok_code)
    yield from call(
        "ROpenServiceW", lambda api: api.open_service_w(HANDLE, "PAExec-4711-a", service), HANDLE + ok_code
    )
    yield from call(
        "RCreateServiceW",
        lambda api: api.create_service_w(
            HANDLE, "PAExec-4711-build-7", "PAExec-4711-build-7", service, 0x10, 3, 1,
            '"%SystemRoot%\\PAExec-4711-build-7.exe" -service', None, 0, None, None, None,
        ),
        bytes(4) + HANDLE + ok_code,
    )
    yield from call("RStartServiceW", lambda api: api.start_service_w(HANDLE), ok_code)
    yield from call("RQueryServiceStatus", lambda api: api.query_service_status(HANDLE), status + ok_code)
    yield from call("RControlService", lambda api: api.control_service(HANDLE, 1), status + ok_code)
    yield from call("RDeleteService", lambda api: api.delete_service(HANDLE), ok_code)
    yield from call("RCloseServiceHandle", lambda api: api.close_service_handle_w(HANDLE), bytes(20) + ok_code)

    # Two services, their names behind them, and an odd number of unused bytes in the buffer.
    strings = "Spooler\0Print Spooler\0PAExec-1-ä\0P\0".encode("utf-16-le")
    offsets = (72, 72 + 16, 72 + 44, 72 + 66)
    buffer = struct.pack("<2L", *offsets[:2]) + status + struct.pack("<2L", *offsets[2:]) + status + strings + bytes(5)
    padding = bytes(-len(buffer) % 4)
    size = struct.pack("<L", 0)
    too_small = size + struct.pack("<4L", len(buffer), 0, 0, 234)
    services = struct.pack("<L", len(buffer)) + buffer + padding + struct.pack("<4L", 0, 2, 0, 0)
    yield from call("REnumServicesStatusW", lambda api: api.enum_services_status_w(HANDLE, 0x30, 3), too_small, services)


def call(name, invoke, *answers):
    answers = [response(answer) for answer in answers]
    session = mock.MagicMock()
    ioctl = mock.MagicMock()
    ioctl.return_value.__getitem__.return_value.get_value.side_effect = answers
    with mock.patch("pypsexec.scmr.TreeConnect"), mock.patch("pypsexec.scmr.Open") as opened, \
            mock.patch("pypsexec.scmr.SMB2IOCTLResponse", ioctl):
        opened.return_value.file_id = bytes(16)
        api = pypsexec.scmr.SCMRApi(session)
        api.tree.session = session
        result = invoke(api)
    requests = [sent.args[0]["buffer"].get_value() for sent in session.connection.send.call_args_list]
    for request, answer in zip(requests, answers, strict=True):
        yield {"name": name, "request": request.hex(), "answer": answer.hex()} | (
            {"result": plain(result)} if answer is answers[-1] else {}
        )


def response(stub):
    packet = pdu(pypsexec.rpc.ResponsePDU())
    packet["stub_data"] = stub
    return packet.pack()


def plain(result):
    if isinstance(result, bytes):
        return result.hex()
    if isinstance(result, pypsexec.scmr.ServiceStatus):
        return {name: field.get_value() for name, field in result.fields.items()}
    if isinstance(result, dict):
        return {name: plain(value) for name, value in result.items()}
    if isinstance(result, (list, tuple)):
        return [plain(value) for value in result]
    return result


if __name__ == "__main__":
    main()
