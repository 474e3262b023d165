# -*- coding: utf-8 -*-
# Copyright the native.windows authors
# GNU General Public License v3.0+ (see LICENSE-GPL or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Chooses the program of a task, and the machine that it runs on. All else is the program's."""

from __future__ import annotations

import json
import os
import typing as t

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.native.windows.plugins.plugin_utils import programs

try:
    from ansible.module_utils.common.json import Direction, get_module_encoder

    # What core writes the arguments of binary modules with.
    Encoder = get_module_encoder("legacy", Direction.CONTROLLER_TO_MODULE)
except ImportError:  # before 2.19
    Encoder = json.JSONEncoder

display = Display()


class ActionModule(ActionBase):
    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        del tmp
        arguments = dict(self._task.args)
        environment: dict[str, str] = {}
        is_for_windows = getattr(self._connection._shell, "_IS_WINDOWS", False)
        if is_for_windows:
            self._refuse_what_only_a_delegated_task_can()
            if self._is_for_host_of_connection(arguments, task_vars):
                environment = self._environment_of_connection()
            arguments = {**self._of_connection(arguments, task_vars), **arguments}
        elif self._connection.transport != "local":
            result.update(self._execute(arguments, task_vars, self._machine(task_vars)))
            return result
        here = programs.Machine.here()
        if self._task.async_val or (self._connection.become and not is_for_windows):
            result.update(self._execute(arguments, task_vars, here))
            return result
        try:
            result.update(self._start(arguments, environment, task_vars, here))
        except PermissionError:
            if is_for_windows:
                raise
            # Its file may not be executed where it is. Ansible runs a copy.
            result.update(self._execute(arguments, task_vars, here))
        return result

    def _refuse_what_only_a_delegated_task_can(self) -> None:
        """A task over a connection to Windows runs on the controller, and Ansible looks on Windows for what belongs to it."""
        if self._task.async_val:
            raise AnsibleActionFail(
                "With async the task needs delegate_to: localhost, as does ansible.builtin.async_status: over a "
                "connection to Windows, Ansible would look there for a job that runs on the controller."
            )
        if self._connection.become:
            raise AnsibleActionFail(
                "With become the task needs delegate_to: localhost, where it becomes another user of the controller. "
                "To run the command as another user of the Windows host, take process_username and become: false."
            )

    def _of_connection(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> dict[str, t.Any]:
        """What the task's connection to Windows says of options that the task does not have.

        The user goes with the host alone, and the password with the user: no password is for another host, or another user.
        """
        defaults = {"hostname": self._option("remote_addr", "host")}
        if self._is_for_host_of_connection(arguments, task_vars):
            user = defaults["connection_username"] = self._option("remote_user")
            # Who manages the tickets of Kerberos has one.
            is_manual = self._option("kerberos_mode") == "manual"
            if not is_manual and arguments.get("connection_username", user) == user:
                defaults["connection_password"] = self._option("remote_password", "password")
        return {name: value for name, value in defaults.items() if value}

    def _environment_of_connection(self) -> dict[str, str]:
        """The name that the host's tickets are for, where the connection says that it is another than the host's."""
        of_winrm = (self._option("_extras") or {}).get("ansible_winrm_kerberos_hostname_override")
        name = of_winrm or self._option("negotiate_hostname_override")
        return {"PSEXEC_SERVICE_PRINCIPAL": "cifs/{0}".format(name)} if name else {}

    def _is_for_host_of_connection(self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any]) -> bool:
        host = self._option("remote_addr", "host")
        names = (host, self._task.delegate_to or task_vars.get("inventory_hostname"))
        return arguments.get("hostname", host) in names

    def _option(self, *names: str) -> t.Any:
        """The first of these options of the connection that is set."""
        values = (self.get_connection_option(name) for name in names)
        return next((value for value in values if value), None)

    def _machine(self, task_vars: dict[str, t.Any]) -> programs.Machine:
        """The machine at the other end of the connection."""
        host = self._task.delegate_to
        host_vars = task_vars.get("ansible_delegated_vars", {}).get(host, {}) if host else task_vars
        machine = programs.Machine.of_facts(host_vars.get("ansible_facts") or {})
        if machine is None:
            answer = self._low_level_execute_command(programs.QUESTION, sudoable=False)
            machine = programs.Machine.of_answer(answer["stdout"])
        return machine

    def _execute(
        self, arguments: dict[str, t.Any], task_vars: dict[str, t.Any], machine: programs.Machine
    ) -> dict[str, t.Any]:
        """Has Ansible copy the program to the machine and run it there."""
        return self._execute_module(
            module_name="native.windows." + programs.program_for("psexec", machine),
            # Ansible tells the program's name for the module's.
            module_args={**arguments, "_ansible_real_module_name": self._task.action},
            task_vars=task_vars,
            wrap_async=self._task.async_val,
        )

    def _start(
        self,
        arguments: dict[str, t.Any],
        environment: dict[str, str],
        task_vars: dict[str, t.Any],
        machine: programs.Machine,
    ) -> dict[str, t.Any]:
        """Starts the program from here, where it is. The task's environment goes before the one that is given."""
        program = programs.path_of(programs.program_for("psexec", machine))
        self._update_module_args(self._task.action, arguments, task_vars)
        of_task: dict[str, t.Any] = {}
        self._compute_environment_string(of_task)
        display.vvv("EXEC {0}".format(program), host=task_vars.get("inventory_hostname"))
        code, output, errors = programs.run(
            program,
            json.dumps(arguments, cls=Encoder).encode(),
            {**os.environ, **environment, **{name: str(value) for name, value in of_task.items()}},
            self._loader.get_basedir(),
        )
        try:
            result = json.loads(output)
        except ValueError:
            message = "The program {0} has ended with {1} in place of an answer: {2}"
            raise AnsibleActionFail(message.format(program, code, errors.decode(errors="replace"))) from None
        for name in ("stdout", "stderr"):
            if name in result:
                result[name + "_lines"] = result[name].splitlines()
        return result
