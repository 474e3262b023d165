"""Connections to port 445 go to the port that LAB_PORT names: pypsexec's own tests and Impacket's programs know no other,
and the lab's host cannot have it.

Python imports this by itself, in every program that has this folder in PYTHONPATH.
"""

import os
import socket

SMB = 445


class Socket(socket.socket):
    def connect(self, address):
        if isinstance(address, tuple) and address[1] == SMB:
            address = (address[0], int(os.environ["LAB_PORT"]), *address[2:])
        return super().connect(address)


socket.socket = Socket
