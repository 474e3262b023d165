# -*- coding: utf-8 -*-
# Copyright the native.windows authors
# GNU General Public License v3.0+ (see LICENSE-GPL or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The programs of this collection: which of them runs on a machine, and how it is started on this one."""

from __future__ import annotations

import os
import subprocess
import typing as t

from ansible.errors import AnsibleActionFail

# Where the C library has its loader, which every program names: without it the system says "not found" of the program.
LOADERS = {
    "x86_64": "/lib64/ld-linux-x86-64.so.2",
    "aarch64": "/lib/ld-linux-aarch64.so.1",
}

# For a shell: what Machine.of_answer reads.
QUESTION = "uname -sm; ls {0} 2>/dev/null; true".format(" ".join(LOADERS.values()))

# Seconds that a program has to take what is its own from the Windows host, once it is told to end.
PATIENCE = 15


class Machine(t.NamedTuple):
    """What decides which program a machine runs."""

    system: str
    architecture: str
    has_glibc: bool

    @classmethod
    def here(cls) -> Machine:
        """The machine that this runs on."""
        system = os.uname()
        return cls(system.sysname, system.machine, os.path.exists(LOADERS.get(system.machine, "/")))

    @classmethod
    def of_facts(cls, facts: t.Mapping[str, t.Any]) -> Machine | None:
        """The machine that these are the facts of; None if they do not tell."""
        if not all(facts.get(name) for name in ("system", "architecture", "os_family")):
            return None
        return cls(facts["system"], facts["architecture"], facts["os_family"] != "Alpine")

    @classmethod
    def of_answer(cls, answer: str) -> Machine:
        """The machine whose shell has answered QUESTION so."""
        words = answer.split()
        system, architecture = words[:2] if len(words) > 1 else ("an unknown system", "an unknown machine")
        return cls(system, architecture, LOADERS.get(architecture) in [*words[2:], None])

    def __str__(self) -> str:
        system = {"Darwin": "macOS"}.get(self.system, self.system)
        library = " without glibc" if self.system == "Linux" and not self.has_glibc else ""
        return "{0} on {1}{2}".format(system, self.architecture, library)


def program_for(module: str, machine: Machine) -> str:
    """Name of the module's program for this machine, as Ansible finds it among the collection's modules."""
    prefix = "__{0}_".format(module)
    name = "{0}{1}_{2}".format(prefix, machine.system.lower(), machine.architecture)
    if machine.has_glibc and os.path.exists(path_of(name)):
        return name
    files = sorted(file for file in os.listdir(path_of("")) if file.startswith(prefix) and "." not in file)
    there = ["{0} on {1}".format(*file[len(prefix):].capitalize().split("_", 1)) for file in files]
    message = "native.windows.{0} has no program for {1}. ".format(module, machine)
    if there:
        message += "There are programs for {0}, with glibc 2.17 or later. ".format(", ".join(there))
        message += "Delegate the task to such a host with delegate_to"
        message += {
            "Darwin": ", or run Ansible itself in a container with such a Linux, such as an execution environment.",
        }.get(machine.system, ".")
    else:
        message += "There is none at all: the collection was not built (cargo xtask build)."
    raise AnsibleActionFail(message)


def path_of(name: str) -> str:
    """Where a program is."""
    return os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "modules", name)


def run(program: str, arguments: bytes, environment: t.Mapping[str, str], folder: str) -> tuple[int, bytes, bytes]:
    """Runs a program on this machine with arguments on its standard input; exit code, output, errors.

    Whatever ends the wait for it, such as a task's timeout or Ctrl-C, ends the program as well, which is given the time to
    clean up.
    """
    pipe = subprocess.PIPE
    process = subprocess.Popen([program], env=environment, cwd=folder, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        output, errors = process.communicate(arguments)
    except BaseException:
        process.terminate()
        for stream in (process.stdin, process.stdout, process.stderr):
            try:
                stream.close()
            except OSError:
                pass  # Arguments that were not yet sent are of no use any more.
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            pass  # It goes on by itself, and ends as soon as it can.
        raise
    return process.returncode, output, errors
