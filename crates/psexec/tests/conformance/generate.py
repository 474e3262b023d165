#!/usr/bin/env python3
"""Asks ansible-core what AnsibleModule answers, and writes it down for the tests of the module in Rust.

    generate.py LIBRARIES

LIBRARIES is a folder for the versions of ansible-core; they are fetched where they are missing.
The answers of the newest version are the reference; where older ones differ, they are listed in differences.json.
"""

from __future__ import annotations

import io
import itertools
import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[2] / "ansible-module/tests/conformance"))

from ansible_core import (  # pylint: disable=wrong-import-position
    NEWEST, VERSIONS, answers_of_all_versions, download, in_child, json_object, load_arguments, run_module, write,
)

UPSTREAM = "ansible==12.3.0"  # the package that contains community.windows

SPECIFICATION = dict(
    hostname=dict(type="str", required=True),
    connection_username=dict(type="str"),
    connection_password=dict(type="str", no_log=True),
    port=dict(type="int", default=445),
    encrypt=dict(type="bool", default=True),
    connection_timeout=dict(type="int", default=60),
    executable=dict(type="str", required=True),
    arguments=dict(type="str"),
    working_directory=dict(type="str", default="C:\\Windows\\System32"),
    asynchronous=dict(type="bool", default=False),
    load_profile=dict(type="bool", default=True),
    process_username=dict(type="str"),
    process_password=dict(type="str", no_log=True),
    integrity_level=dict(type="str", default="default", choices=["default", "elevated", "limited"]),
    interactive=dict(type="bool", default=False),
    interactive_session=dict(type="int", default=0),
    priority=dict(
        type="str",
        default="normal",
        choices=["above_normal", "below_normal", "high", "idle", "normal", "realtime"],
    ),
    show_ui_on_logon_screen=dict(type="bool", default=False),
    process_timeout=dict(type="int", default=0),
    stdin=dict(type="str"),
)

# Values are JSON texts, because Python and Rust read some of them differently: 1e999, 1.0, duplicate names.
VALUES = [
    "null", "true", "false",
    "0", "1", "-1", "2", "445", "-0", "65536", "99999999999999999999999",
    "0.0", "1.0", "-0.0", "1.5", "445.0", "1e3", "1e16", "1e-5", "0.1", "1e22", "123456789012345680.0",
    '""', '" "', '"abc"', '"0"', '"1"', '"445"', '" 445 "', '"+445"', '"-445"', '"0445"', '"445.0"', '"445.5"',
    '"4_45"', '"4e2"', '"4.45E+2"', '".5e1"', '"5."', '"."', '"1e"', '"0x1bd"', '"NaN"', '"4 45"',
    '"yes"', '"Yes"', '" YES "', '"no"', '"on"', '"OFF"', '"true"', '"True"', '"FALSE"', '"t"', '"F"', '"y"', '"N"',
    '"maybe"', '"y\\u001f"', '"\\u00a0no"', '"1.0"', '"None"', '"default"', '"Elevated"', '"elevated"', '"high"', '"HIGH"',
    '"it\'s"', '"a \\"b\\""', '"it\'s \\"b\\""', '"back\\\\slash"', '"line\\nbreak\\ttab\\rreturn"',
    '"\\u0000\\u0001\\u007f"', '"\\u00e9\\u65e5\\ud83d\\ude00"', '"\\u00a0\\u200b\\u2028\\ue000\\u0301"',
    "[]", '["a"]', '["a", 1, 1.5, true, null, "it\'s"]', '[["a"], {"b": []}]', "{}", '{"a": "b", "c": [1, null]}',
    '{"it\'s": "\\u00e9"}', '["high"]',
]

BASE = {"hostname": '"server"', "executable": '"cmd.exe"'}
CHECK_MODE = {"_ansible_check_mode": "true"}


def argument_sets() -> list[str]:
    """Arguments as JSON texts; check mode ends a valid set before anything is done."""
    sets: list[dict[str, str]] = []
    for option, value in itertools.product(SPECIFICATION, VALUES):
        if SPECIFICATION[option]["type"] == "str" and option not in STRING_OPTIONS_IN_FULL and value not in FEW_VALUES:
            continue
        sets.append({**BASE, option: value})
    for choice in SPECIFICATION["priority"]["choices"]:
        sets.append({**BASE, "priority": f'"{choice}"'})
    for choice in SPECIFICATION["integrity_level"]["choices"]:
        sets.append({**BASE, "integrity_level": f'"{choice}"'})
    sets += COMBINATIONS
    sets += SECRETS
    sets = [{**CHECK_MODE, **options} for options in sets]
    texts = [json_object(options) for options in sets]
    texts.append('{"_ansible_check_mode": true, "hostname": "a", "executable": "b", "hostname": "c", "port": 1, "port": "x"}')
    return list(dict.fromkeys(texts))


# For these every value is tried, for the other strings these values.
STRING_OPTIONS_IN_FULL = ["hostname", "arguments", "connection_password", "priority"]
FEW_VALUES = ["null", "true", "1", "1.5", '""', '"abc"', '["a"]', '{"a": "b", "c": [1, null]}']

COMBINATIONS = [
    {},
    {"hostname": '"server"'},
    {"executable": '"cmd.exe"'},
    {"port": '"x"'},
    {"foo": "1"},
    {"hostname": '"server"', "foo": "1"},
    {**BASE, "foo": "1"},
    {**BASE, "foo": "null", "bar": '"x"', "Zoo": "[]", "_hidden": "1"},
    {**BASE, "\\u00e9t\\u00e9": "1"},
    {**BASE, "Hostname": '"x"', "host": '"y"'},
    {**BASE, "foo": "1", "port": '"x"'},
    {**BASE, "foo": "1", "priority": '"x"'},
    {**BASE, "port": '"x"', "priority": '"x"'},
    {**BASE, "priority": '"x"', "integrity_level": '"x"'},
    {**BASE, "port": '"x"', "encrypt": '"x"', "connection_timeout": '"x"'},
    {"process_timeout": '"x"', "port": '"y"', **BASE},
    {"stdin": "[1]", "encrypt": "[]", "load_profile": "{}", **BASE},
    {**BASE, "encrypt": '"x"', "port": '"5"', "asynchronous": '"no"', "arguments": "5"},
    {**BASE, "_ansible_ignore_unknown_opts": "true", "foo": "1"},
    {**BASE, "_ansible_ignore_unknown_opts": '"yes"', "foo": '{"a": [1, "b"]}', "bar": "null"},
    {**BASE, "_ansible_ignore_unknown_opts": "true", "foo": "1", "port": '"x"'},
    {"_ansible_ignore_unknown_opts": "true", "foo": "1"},
    {**BASE, "_ansible_ignore_unknown_opts": "false", "foo": "1"},
    {**BASE, "_ansible_module_name": '"native.windows.psexec"', "foo": "1"},
    {**BASE, "_ansible_module_name": '"native.windows.psexec"'},
    {**BASE, "_ansible_module_name": "null"},
    {**BASE, "_ansible_check_mode": '"yes"'},
    {**BASE, "_ansible_check_mode": "1"},
    {**BASE, "_ansible_check_mode": '"maybe"'},
    {**BASE, "_ansible_diff": '"maybe"', "_ansible_debug": "[]"},
    {**BASE, "_ansible_no_log": "true"},
    {**BASE, "_ansible_verbosity": "3", "_ansible_version": '"2.19.14"', "_ansible_syslog_facility": '"LOG_USER"',
     "_ansible_selinux_special_fs": '["fuse"]', "_ansible_socket": "null", "_ansible_shell_executable": '"/bin/sh"',
     "_ansible_keep_remote_files": "false", "_ansible_tmpdir": "null", "_ansible_remote_tmp": '"~/.ansible/tmp"',
     "_ansible_target_log_info": "null", "_ansible_debug": "false", "_ansible_diff": "false"},
    {name: '"x"' for name in SPECIFICATION},
    {name: "null" for name in SPECIFICATION},
    {name: '""' for name in SPECIFICATION},
    {name: "true" for name in SPECIFICATION},
    {name: "0" for name in SPECIFICATION},
    {name: '"1"' for name in SPECIFICATION},
]

SECRETS = [
    {**BASE, "connection_password": '"s3cret"', "arguments": '"/p s3cret"'},
    {**BASE, "connection_password": '"s3cret"', "stdin": '"s3cret"', "process_username": '"a"', "process_password": '"s3cret2"'},
    {**BASE, "connection_password": '"s3cret"', "process_password": '"s3cret2"', "arguments": '"s3cret2 s3cret s3cret22"'},
    {**BASE, "connection_password": '"cmd.exe"'},
    {**BASE, "connection_password": '"4"'},
    {**BASE, "connection_password": '"445"'},
    {**BASE, "connection_password": "445"},
    {**BASE, "connection_password": "1.5", "arguments": '"1.5"'},
    {**BASE, "connection_password": "1e16", "arguments": '"1e+16"'},
    {**BASE, "connection_password": "true", "arguments": '"True"'},
    {**BASE, "connection_password": "0", "arguments": '"0"', "port": "500"},
    {**BASE, "connection_password": '["ab", ["cd", 7], {"k": "ef", "l": null, "m": 0}]', "arguments": '"ab cd ef k 7 0"'},
    {**BASE, "connection_password": '"*"', "process_password": '"aa"', "arguments": '"aa*a"'},
    {**BASE, "connection_password": '"\\u00e9"', "arguments": '"\\u00e9t\\u00e9"'},
    {**BASE, "connection_password": '"s3cret"', "port": '"s3cret"'},
    {**BASE, "connection_password": '"s3cret"', "priority": '"my s3cret"'},
    {**BASE, "connection_password": '"s3cret"', "my s3cret": "1"},
    {**BASE, "connection_password": '"hostname"', "foo": "1"},
    {"connection_password": '"missing required arguments: executable, hostname"'},
    {**BASE, "connection_password": '"VALUE"', "process_password": '"x"', "arguments": '"VALUE x"', "stdin": '"x"'},
    {**BASE, "connection_password": '"s3cret"', "_ansible_ignore_unknown_opts": "true", "foo": '{"s3cret": ["s3cret", "a s3cret"]}'},
]

# What upstream's module itself checks beyond its argument specification.
UPSTREAM_ARGUMENTS = [
    {**BASE, "process_username": name, **password}
    for name in ["null", '"System"', '"SYSTEM"', '"system"', '"sYsTeM"', '"system "', '"NT AUTHORITY\\\\SYSTEM"', '"bob"', '""', "1"]
    for password in [{}, {"process_password": "null"}, {"process_password": '""'}, {"process_password": '"Password01"'}]
]


def main() -> None:
    libraries = pathlib.Path(sys.argv[1]).resolve()
    answers = answers_of_all_versions(__file__, libraries, [str(upstream_module(libraries))])
    newest = answers[NEWEST]
    releases = {version: answers[version]["release"] for version in VERSIONS}
    defaults = {name: option.get("default") for name, option in SPECIFICATION.items()}

    write(HERE / "arguments.json", {
        "ansible_core": releases[NEWEST],
        "defaults": defaults,
        "cases": [case_of(text, answer, defaults) for text, answer in newest["arguments"]],
    })
    write(HERE / "upstream.json", {"package": UPSTREAM, "cases": newest["upstream"]})
    write(HERE / "differences.json", {
        "ansible_core": releases,
        "wording": WORDING,
        "cases": [difference for difference in differences(answers, defaults)],
    })


def upstream_module(libraries: pathlib.Path) -> pathlib.Path:
    """Upstream's module, which is fetched where it is missing."""
    upstream = libraries / "upstream"
    module = upstream / "ansible_collections/community/windows/plugins/modules/psexec.py"
    if not module.exists():
        download(UPSTREAM, upstream)
    return module


def case_of(text: str, answer: dict, defaults: dict) -> dict:
    """The answer, with only those options that differ from their defaults."""
    if answer.get("crashed"):
        return {"arguments": text, "crashed": answer["crashed"]}
    given = answer["module_args"]
    kept = {name: value for name, value in given.items() if name not in defaults or repr(value) != repr(defaults[name])}
    case = {key: answer[key] for key in ["exit_code", "failed", "msg"]}
    if set(defaults) <= set(given):
        return {"arguments": text, **case, "module_args": kept}
    # What Ansible itself hands over is broken, and AnsibleModule gets nowhere.
    return {"arguments": text, **case}


WORDING = [
    "up to 2.18: argument 'x' is of type <class 'str'>; since 2.19: argument 'x' is of type str",
    "up to 2.18: is not a valid boolean.  Valid booleans; since 2.19 with one space",
    "up to 2.17: <class 'str'> cannot be converted to an int; since 2.18: \"'x'\" cannot be converted to an int",
]


def in_new_words(message: str) -> str:
    message = re.sub("is of type <class '(\\w+)'>", "is of type \\1", message)
    message = message.replace("valid boolean.  Valid", "valid boolean. Valid")
    return re.sub("convert to int: .*", "convert to int", message)


def differences(answers: dict, defaults: dict):
    """Cases that an older version answers otherwise than the newest, in other than the usual words."""
    by_version = {version: dict(answers[version]["arguments"]) for version in VERSIONS}
    for text, answer in answers[VERSIONS[-1]]["arguments"]:
        cases = {version: case_of(text, by_version[version][text], defaults) for version in VERSIONS}
        for case in cases.values():
            case.pop("arguments")
            if "msg" in case:
                case["msg"] = in_new_words(case["msg"])
        if any(case != cases[VERSIONS[-1]] for case in cases.values()):
            groups: dict[str, list[str]] = {}
            for version, case in cases.items():
                groups.setdefault(json.dumps(case), []).append(version)
            reported = [{"versions": versions, **json.loads(case)} for case, versions in groups.items()]
            same_arguments = all(entry.get("module_args") == reported[0].get("module_args") for entry in reported)
            if same_arguments:
                for entry in reported:
                    entry.pop("module_args", None)
            yield {"arguments": text, "answers": reported}


def answer_everything(upstream: str) -> dict:
    """What the ansible-core of this Python answers; all but validation is asked of the newest alone."""
    from ansible.release import __version__

    answers = {
        "release": __version__,
        "arguments": [(text, answer_to(text)) for text in argument_sets()],
    }
    if __version__.startswith(NEWEST + "."):
        answers["upstream"] = [upstream_answer(upstream, options) for options in UPSTREAM_ARGUMENTS]
    return answers


def answer_to(text: str) -> dict:
    run = run_module(text, "psexec", argument_spec=SPECIFICATION, supports_check_mode=False)
    if "crashed" in run:
        return run
    answer = run["answer"]
    return {
        "exit_code": run["exit_code"],
        "failed": answer.get("failed", False),
        "msg": answer["msg"],
        "module_args": answer["invocation"]["module_args"],
    }


def upstream_answer(upstream: str, options: dict) -> dict:
    text = json_object(options)

    def work() -> dict:
        import runpy

        load_arguments(text, "psexec")
        stdout, sys.stdout = sys.stdout, io.StringIO()
        try:
            runpy.run_path(upstream, run_name="__main__")
        except SystemExit:
            output = sys.stdout.getvalue()
        finally:
            sys.stdout = stdout
        return json.loads(output)

    message = in_child(work)["msg"]
    # Without pypsexec upstream's module gets no further.
    return {"arguments": json.loads(text), "msg": None if "(pypsexec)" in message else message}


if __name__ == "__main__":
    if sys.argv[1] == "--answer":
        print(json.dumps(answer_everything(sys.argv[2])))
    else:
        main()
