"""Points pypsexec to a lab host, and lets it upload another service than the PAExec.exe that it brings.

| variable | meaning |
|---|---|
| LAB_PORT | the SMB port of the host; pypsexec's own is 445 |
| LAB_SERVICE | the file to upload in place of PAExec.exe |

Importing this is all there is to do; pytest does so with `-p lab_host`.
"""

import os
import pathlib

import pypsexec.client
import smbprotocol.connection


def _connect_to(port):
    connect = smbprotocol.connection.Tcp
    smbprotocol.connection.Tcp = lambda server, _port, timeout: connect(server, port, timeout)


def _upload(image):
    def pieces(size):
        for offset in range(0, len(image), size):
            yield image[offset : offset + size], offset

    pypsexec.client.paexec_out_stream = pieces


if "LAB_PORT" in os.environ:
    _connect_to(int(os.environ["LAB_PORT"]))
if "LAB_SERVICE" in os.environ:
    _upload(pathlib.Path(os.environ["LAB_SERVICE"]).read_bytes())
