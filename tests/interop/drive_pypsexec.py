"""pypsexec, as its users call it, drives the service of this project.

It takes the pypsexec package of which PAExec.exe was replaced by that service, and the port of a lab with stand-ins for
accounts. Tests whose names say `stand_in` show that the service asks Windows for the right account, not that Windows
would give it.
"""

import itertools
import time
import unittest
from unittest import mock

from pypsexec.client import Client
from pypsexec.exceptions import PAExecException
from pypsexec.paexec import ProcessPriority
from pypsexec.scmr import EnumServiceState, ServiceType
from smbprotocol.exceptions import SharingViolation, SMBResponseException
from smbprotocol.open import (
    CreateDisposition,
    CreateOptions,
    FileAttributes,
    FilePipePrinterAccessMask,
    ImpersonationLevel,
    Open,
    ShareAccess,
)
from smbprotocol.tree import TreeConnect

HOST = "127.0.0.1"
ADMINISTRATOR = ("Administrator", "Passw0rd!")
LOGON = {"username": "alt", "password": "Alt1"}
PROBE = r"C:\lab\probe.exe"
TIMED_OUT = 4294967286  # -10, PAExec's own


PROCESS_IDS = itertools.count(1001)


def connected(encrypt=True):
    # pypsexec names the service after its own process, and a service that was deleted keeps its name for a moment.
    with mock.patch("os.getpid", return_value=next(PROCESS_IDS)):
        client = Client(HOST, *ADMINISTRATOR, encrypt=encrypt)
    client.connect()
    return client


def services(client):
    scmr = client._service._scmr
    kind, state = ServiceType.SERVICE_WIN32_OWN_PROCESS, EnumServiceState.SERVICE_STATE_ALL
    listed = scmr.enum_services_status_w(client._service._scmr_handle, kind, state)
    return [service["service_name"] for service in listed if service["service_name"].startswith("PAExec-")]


def file_exists(client, name):
    admin = TreeConnect(client.session, rf"\\{HOST}\ADMIN$")
    admin.connect()
    file = Open(admin, name)
    try:
        file.create(
            ImpersonationLevel.Impersonation,
            FilePipePrinterAccessMask.FILE_READ_ATTRIBUTES,
            FileAttributes.FILE_ATTRIBUTE_NORMAL,
            ShareAccess.FILE_SHARE_READ | ShareAccess.FILE_SHARE_DELETE,
            CreateDisposition.FILE_OPEN,
            CreateOptions.FILE_NON_DIRECTORY_FILE,
        )
        file.close(False)
        return True
    except SMBResponseException:
        return False
    finally:
        admin.disconnect()


class OneRun(unittest.TestCase):
    """Each test has a service of its own."""

    def setUp(self):
        self.client = connected()
        self.addCleanup(self.client.disconnect)
        self.client.create_service()
        self.addCleanup(self.remove)

    def remove(self):
        self.client.remove_service()
        self.assertFalse(file_exists(self.client, self.client._exe_file))

    def run_probe(self, arguments, **options):
        return self.client.run_executable(PROBE, arguments=arguments, **options)

    def whoami(self, **options):
        stdout, stderr, code = self.client.run_executable("whoami.exe", **options)
        self.assertEqual((stderr, code), (b"", 0))
        return stdout.decode()

    def test_output(self):
        answer = self.client.run_executable("cmd.exe", arguments="/c echo Hello World")
        self.assertEqual(answer, (b"Hello World\r\n", b"", 0))

    def test_no_arguments(self):
        self.assertEqual(self.client.run_executable("whoami.exe")[2], 0)

    def test_arguments_arrive_as_they_are_written(self):
        arguments = r'''args "two words" 'single' trailing\ %PATH% Grüße 日本語'''
        expected = f'"{PROBE}" {arguments}\n'.encode()
        self.assertEqual(self.run_probe(arguments), (expected, b"", 0))

    def test_stdout_and_stderr_stay_apart(self):
        stdout, stderr, code = self.run_probe("emit both 20000")
        self.assertEqual((len(stdout), len(stderr), code), (20000, 20000, 0))
        self.assertEqual(stdout, stderr)
        self.assertEqual(self.run_probe("emit stderr 64")[:2], (b"", stdout[:64]))

    def test_exit_codes(self):
        for given, code in [("0", 0), ("10", 10), ("-5", 4294967291)]:
            self.assertEqual(self.run_probe(f"exit {given}"), (b"", b"", code))

    def test_stdin(self):
        # pypsexec never closes it: the program has to know when to stop.
        answer = self.client.run_executable("powershell.exe", arguments="-", stdin=b"Write-Host in\r\nexit 3\r\n")
        self.assertEqual(answer, (b"in\n", b"", 3))

    def test_stdin_of_a_generator(self):
        def lines():
            yield b"Write-Host one\r\n"
            yield b"Write-Host two\r\n"
            yield b"exit 0\r\n"

        answer = self.client.run_executable("powershell.exe", arguments="-", stdin=lines)
        self.assertEqual(answer, (b"one\ntwo\n", b"", 0))

    def test_stdin_that_nobody_reads(self):
        self.assertEqual(self.run_probe("exit 3", stdin=b"x" * 100000)[2], 3)

    def test_working_directory(self):
        self.assertEqual(self.run_probe("cwd")[0].strip().lower(), rb"c:\windows\system32")
        self.assertEqual(self.run_probe("cwd", working_dir=r"C:\Windows\Temp")[0].strip().lower(), rb"c:\windows\temp")

    def test_priority(self):
        for priority in (ProcessPriority.IDLE_PRIORITY_CLASS, ProcessPriority.HIGH_PRIORITY_CLASS):
            self.assertEqual(self.run_probe("priority", priority=priority)[0].decode().strip(), hex(priority))

    def test_processors(self):
        self.assertEqual(self.run_probe("affinity", processors=[1])[0].strip(), b"0x1")
        self.assertEqual(self.run_probe("affinity", processors=[2])[0].strip(), b"0x2")

    def test_asynchronous(self):
        started = time.monotonic()
        stdout, stderr, pid = self.run_probe("sleep 5000", asynchronous=True)
        self.assertLess(time.monotonic() - started, 5)
        self.assertEqual((stdout, stderr), (None, None))
        self.assertGreater(pid, 0)

    def test_interactive(self):
        self.assertEqual(self.run_probe("exit 3", interactive=True), (None, None, 3))
        self.assertEqual(self.run_probe("exit 4", interactive=True, interactive_session=1), (None, None, 4))

    def test_time_out(self):
        started = time.monotonic()
        self.assertEqual(self.run_probe("sleep 60000", timeout_seconds=2), (b"", b"", TIMED_OUT))
        self.assertLess(time.monotonic() - started, 30)

    def test_programs_of_64_and_of_32_bits(self):
        for wow64, size in [(False, b"8\n"), (True, b"4\n")]:
            answer = self.client.run_executable("powershell.exe", arguments="[System.IntPtr]::Size", wow64=wow64)
            self.assertEqual(answer, (size, b"", 0))

    def test_without_a_profile(self):
        self.assertEqual(self.run_probe("exit 3", load_profile=False)[2], 3)

    def test_a_program_that_is_missing(self):
        with self.assertRaises(PAExecException) as raised:
            self.client.run_executable("no-such-program.exe")
        beginning = 'Received exception from remote PAExec service: Failed to start "no-such-program.exe". '
        self.assertTrue(str(raised.exception).startswith(beginning), raised.exception)
        self.assertTrue(str(raised.exception).endswith("[Err=0x2, 2]\r\n"), raised.exception)

    def test_one_service_serves_one_run_after_the_other(self):
        for code in range(5):
            self.assertEqual(self.run_probe(f"exit {code}")[2], code)

    def test_the_connecting_user_by_stand_in(self):
        self.assertEqual(self.whoami(), "winhost\\administrator\r\n")
        self.assertIn("High Mandatory Level", self.whoami(arguments="/groups"))

    def test_system_by_stand_in(self):
        self.assertEqual(self.whoami(use_system_account=True), "nt authority\\system\r\n")
        self.assertIn("System Mandatory Level", self.whoami(use_system_account=True, arguments="/groups"))

    def test_another_user_by_stand_in(self):
        self.assertEqual(self.whoami(**LOGON), "winhost\\alt\r\n")
        self.assertEqual(self.whoami(username="EXAMPLE\\alt", password="Alt1"), "example\\alt\r\n")
        groups = self.whoami(arguments="/groups", **LOGON)
        self.assertIn("Medium Mandatory Level", groups)
        self.assertIn("Group used for deny only", groups)

    def test_elevated_by_stand_in(self):
        groups = self.whoami(arguments="/groups", run_elevated=True, **LOGON)
        self.assertIn("High Mandatory Level", groups)
        self.assertIn("Enabled group", groups)

    def test_limited_by_stand_in(self):
        groups = self.whoami(arguments="/groups", run_limited=True, **LOGON)
        self.assertIn("Medium Mandatory Level", groups)
        self.assertIn("Group used for deny only", groups)

    def test_a_wrong_user_by_stand_in(self):
        for user, password in [("nobody", "Alt1"), ("alt", "wrong")]:
            with self.assertRaises(PAExecException) as raised:
                self.client.run_executable("whoami.exe", username=user, password=password)
            # Windows's own words in between are Wine's here.
            self.assertIn(f"service: Error logging in as {user}. ", str(raised.exception))
            self.assertTrue(str(raised.exception).endswith("[Err=0x52E, 1326]\r\n"), raised.exception)


class Others(unittest.TestCase):
    def test_without_encryption(self):
        client = connected(encrypt=False)
        client.create_service()
        try:
            self.assertEqual(client.run_executable("cmd.exe", arguments="/c exit 3")[2], 3)
        finally:
            client.remove_service()
            client.disconnect()

    def test_older_runs_are_cleaned_up(self):
        older = connected()
        older.create_service()
        older.disconnect()

        client = connected()
        client.create_service()
        client.run_executable("cmd.exe", arguments="/c exit 0")
        self.assertLessEqual({older.service_name, client.service_name}, set(services(client)))
        self.eventually(client.cleanup)
        client.disconnect()

        client = connected()
        self.eventually(lambda: self.assertEqual(services(client), []))
        for name in (older._exe_file, client._exe_file):
            self.assertFalse(file_exists(client, name))
        client.disconnect()

    def eventually(self, attempt):
        """A process ends, and a service that was deleted goes, a little later than the call that brings it about."""
        for _ in range(25):
            try:
                return attempt()
            except (AssertionError, SharingViolation):
                time.sleep(0.2)
        return attempt()


if __name__ == "__main__":
    unittest.main(verbosity=2)
