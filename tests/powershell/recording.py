# Copyright: the native.windows authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection to no host: writes down what Ansible wants to have run, for tests to run it."""

import json
import os

from ansible.module_utils.common.text.converters import to_text
from ansible.plugins.connection import ConnectionBase

DOCUMENTATION = """
name: recording
short_description: Writes down what is to be run
description: Writes the command line and its standard input into the new file that the variable RECORDING names.
author: the native.windows authors
options: {}
"""


class Connection(ConnectionBase):
    transport = "recording"
    _shell_type = "powershell"
    allow_executable = False
    module_implementation_preferences = (".ps1", ".exe", "")
    # Modules come on standard input: the first two are asked up to 2.18, the method from 2.19 on.
    has_pipelining = True
    always_pipeline_modules = True

    def is_pipelining_enabled(self, wrap_async=False):
        return True

    def _connect(self):
        return self

    def exec_command(self, cmd, in_data=None, sudoable=True):
        super().exec_command(cmd, in_data=in_data, sudoable=sudoable)
        with open(os.environ["RECORDING"], "x", encoding="utf-8") as recording:
            json.dump({"command": to_text(cmd), "stdin": to_text(in_data or b"")}, recording)
        return 0, b'{"changed": false}', b""

    def put_file(self, in_path, out_path):
        raise NotImplementedError

    def fetch_file(self, in_path, out_path):
        raise NotImplementedError

    def close(self):
        pass
