"""Runs AnsibleModule of several versions of ansible-core, and writes down what it answers.

A generator of data calls `answers_of_all_versions`, which starts it again with each version in its path; there it calls
`run_module`. What modules need of ansible-core has no dependencies, and runs with older Pythons than the rest.
"""

from __future__ import annotations

import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import zipfile

VERSIONS = ["2.16", "2.17", "2.18", "2.19", "2.20", "2.21"]
NEWEST = VERSIONS[-1]


def answers_of_all_versions(generator: str, libraries: pathlib.Path, arguments: list[str]) -> dict[str, dict]:
    """What the generator, started with `--answer` and these arguments, prints with each version."""
    return {version: ask(generator, libraries, version, arguments) for version in VERSIONS}


def ask(generator: str, libraries: pathlib.Path, version: str, arguments: list[str]) -> dict:
    library = libraries / f"ansible-core-{version}"
    if not library.exists():
        download(f"ansible-core~={version}.0", library)
    settings = {"PATH": os.environ["PATH"], "PYTHONPATH": str(library), "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"}
    settings.update(HOME="/home/tester", HOST="host")  # what paths may mention
    command = [sys.executable, "-B", generator, "--answer", *arguments]
    return json.loads(subprocess.run(command, check=True, env=settings, stdout=subprocess.PIPE).stdout)


def download(package: str, folder: pathlib.Path) -> None:
    """Unpacks a package of this specification, without what it depends on."""
    pip = [sys.executable, "-m", "pip", "--quiet", "download", "--no-deps"]
    # The newest one that there is, whatever Python its other half needs.
    any_python = ["--only-binary=:all:", "--python-version=3.99"]
    with tempfile.TemporaryDirectory() as wheels:
        subprocess.run([*pip, *any_python, package, "-d", wheels], check=True)
        wheel = next(pathlib.Path(wheels).glob("*.whl"))
        zipfile.ZipFile(wheel).extractall(folder)


def run_module(text: str, name: str, perform=None, **specification) -> dict:
    """One AnsibleModule in a process of its own, because it keeps global state: exit code and answer, or its crash.

    `perform` gives the fields of the answer where the module gets as far as that.
    """
    return in_child(lambda: run_module_here(text, name, perform, specification))


def run_module_here(text: str, name: str, perform, specification: dict) -> dict:
    from ansible.module_utils.basic import AnsibleModule

    log = catch_log()
    load_arguments(text, name)
    stdout, sys.stdout = sys.stdout, io.StringIO()
    try:
        module = AnsibleModule(**specification)
        module.exit_json(**perform(module) if perform else {"msg": ""})
    except SystemExit as exit:
        code = exit.code
        output = sys.stdout.getvalue()
    except Exception as error:  # pylint: disable=broad-except
        return {"crashed": type(error).__name__}
    finally:
        sys.stdout = stdout
    answer = json.loads(output)
    if "warnings" in answer:
        answer["warnings"] = warnings()
    return {"exit_code": code, "answer": answer, "log": log}


def warnings() -> list[str]:
    from ansible.module_utils.common import warnings

    return list(warnings.get_warning_messages())


def catch_log() -> list[str]:
    """Keeps what modules log from syslog."""
    from ansible.module_utils import basic
    from ansible.module_utils.basic import AnsibleModule

    log: list[str] = []
    basic.has_journal = False
    AnsibleModule._log_to_syslog = lambda self, message: log.append(message)
    return log


def load_arguments(text: str, name: str) -> None:
    from ansible.module_utils import basic
    from ansible.module_utils.common.parameters import PASS_VARS

    if "inject_invocation" in PASS_VARS:
        # Without it, modules do not tell their arguments since 2.21.
        text = text.replace("{", '{"_ansible_inject_invocation": true, ', 1).replace(", }", "}", 1)

    basic.__file__ = name  # where a module's name comes from, unless Ansible tells it
    basic._ANSIBLE_ARGS = ('{"ANSIBLE_MODULE_ARGS": ' + text + "}").encode()
    basic._ANSIBLE_PROFILE = "legacy"


def in_child(work) -> object:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            with os.fdopen(writer, "w") as stream:
                json.dump(work(), stream)
        finally:
            # Nothing of the parent's, the exceptions' way upwards included, may run twice.
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        result = json.load(stream)
    os.waitpid(child, 0)
    return result


def json_object(options: dict[str, str]) -> str:
    """A JSON text of values that are JSON texts."""
    return "{" + ", ".join(f'"{name}": {value}' for name, value in options.items()) + "}"


def write(path: pathlib.Path, data: dict) -> None:
    """One case a line, so that changes can be read."""
    lines = []
    for key, value in data.items():
        if isinstance(value, list):
            items = ",\n".join("  " + json.dumps(item) for item in value)
            lines.append(f'"{key}": [\n{items}\n]')
        else:
            lines.append(f'"{key}": {json.dumps(value)}')
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")
