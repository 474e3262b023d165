"""reframe.py CAPTURE PORT WHOLE APART: prepares a capture of SMB connections to PORT for tshark, of which two things stand
in the way of decoding what it sees.

WHOLE is the same with port 445: only there tshark takes the length before a message for one of three bytes.

APART has every compound taken apart, as if its requests had been sent one after the other, each when the one before was
answered: tshark 4.0 does not follow a file from the request that opens it to the next one of the same compound, and so
cannot know that a bind there is for svcctl. The messages themselves are as they were, but for the fields that say that
they are related ([MS-SMB2] 2.2.1.2, 3.3.5.2.7.2): NextCommand, SMB2_FLAGS_RELATED_OPERATIONS, and the file's id.
"""

import struct
import sys

SYN = 2
SMB = 445
RESPONSE, RELATED = 1, 4
CREATE = 5
PENDING = 0x103
EVERY_ID = b"\xff" * 16
CREATED_ID = slice(128, 144)
# Where requests have the id of a file, by command: CLOSE, FLUSH, READ, WRITE, LOCK, IOCTL, QUERY_DIRECTORY, NOTIFY,
# QUERY_INFO, SET_INFO.
ID_AT = {6: 72, 7: 72, 8: 80, 9: 80, 10: 72, 11: 72, 14: 72, 15: 72, 16: 88, 17: 80}
IOCTL = 11


# Of the format pcap: times in microseconds, and in nanoseconds, as tshark has written them since 4.2.
MAGIC = b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1"


def packets(capture):
    """Time, ports, first sequence number of the data, and data of TCP packets, from the format pcap with Ethernet."""
    data = open(capture, "rb").read()
    assert data[:4] in MAGIC and data[20:24] == b"\1\0\0\0", "not pcap of Ethernet"
    at = 24
    while at < len(data):
        seconds, fraction, length, _ = struct.unpack_from("<4L", data, at)
        frame = data[at + 16 : at + 16 + length]
        at += 16 + length
        ip = frame[14:]
        tcp = ip[(ip[0] & 15) * 4 : struct.unpack_from(">H", ip, 2)[0]]
        source, destination, sequence = struct.unpack_from(">HHL", tcp)
        yield (seconds, fraction), source, destination, sequence + (tcp[13] & SYN) // SYN, tcp[(tcp[12] >> 4) * 4 :]


def frames(capture, port):
    """Time, client's port, whether the client is the sender, and the frame without its length; in order."""
    streams = {}
    for time, source, destination, sequence, payload in packets(capture):
        from_client = destination == port
        client = source if from_client else destination
        stream = streams.setdefault((client, from_client), [sequence, b""])
        if not payload:
            continue
        assert sequence <= stream[0], "the capture has a hole"
        fresh = payload[stream[0] - sequence :]
        stream[0] += len(fresh)
        stream[1] += fresh
        while len(stream[1]) >= 4:
            end = 4 + struct.unpack(">L", stream[1][:4])[0]
            if len(stream[1]) < end:
                break
            yield time, client, from_client, stream[1][4:end]
            stream[1] = stream[1][end:]


def commands(frame):
    while True:
        length = struct.unpack_from("<L", frame, 20)[0]
        yield bytearray(frame[:length] if length else frame)
        if not length:
            return
        frame = frame[length:]


def kind(command):
    """Command, message id, and the status or, in a request, nothing."""
    return (
        struct.unpack_from("<H", command, 12)[0],
        struct.unpack_from("<Q", command, 24)[0],
        struct.unpack_from("<L", command, 8)[0],
    )


def alone(command, file_id):
    struct.pack_into("<L", command, 20, 0)
    struct.pack_into("<L", command, 16, struct.unpack_from("<L", command, 16)[0] & ~RELATED)
    place = ID_AT.get(kind(command)[0])
    if place and file_id and command[place : place + 16] == EVERY_ID:
        command[place : place + 16] = file_id
    return bytes(command)


def taken_apart(whole):
    waiting = {}  # what follows a CREATE in its compound, by client and the CREATE's message id
    ids = {}  # of the files that requests were about, by client and message id
    for time, client, from_client, frame in whole:
        if frame[:4] != b"\xfeSMB":
            yield time, client, from_client, frame
            continue
        opening = None
        for command in commands(frame):
            name, message, status = kind(command)
            if from_client:
                if opening is not None:
                    waiting[client, opening].append(command)
                    continue
                if name == CREATE:
                    opening = message
                    waiting[client, opening] = []
                yield time, client, True, alone(command, None)
                continue
            # Samba answers an ioctl with the id as it was asked for, Windows with the file's own.
            yield time, client, False, alone(command, ids.get((client, message)) if name == IOCTL else None)
            if name == CREATE and status != PENDING:
                file_id = bytes(command[CREATED_ID]) if not status else None
                for request in waiting.pop((client, message), []):
                    ids[client, kind(request)[1]] = file_id
                    yield time, client, True, alone(request, file_id)


class Writer:
    """Writes frames as TCP packets of the loopback, in the format pcap with IP packets."""

    LONGEST = 60000

    def __init__(self, path, magic):
        self.file = open(path, "wb")
        self.file.write(magic + struct.pack("<HHlLLL", 2, 4, 0, 0, 262144, 101))
        self.sequence = {}

    def write(self, time, client, from_client, frame):
        data = struct.pack(">L", len(frame)) + frame
        for at in range(0, len(data), self.LONGEST):
            self.packet(time, client, from_client, data[at : at + self.LONGEST])

    def packet(self, time, client, from_client, payload):
        ports = (client, SMB) if from_client else (SMB, client)
        sent, received = self.sequence.get((client, from_client), 1), self.sequence.get((client, not from_client), 1)
        self.sequence[client, from_client] = sent + len(payload)
        tcp = struct.pack(">HHLLBBHHH", *ports, sent, received, 5 << 4, 0x18, 65535, 0, 0) + payload
        addresses = b"\x7f\0\0\1\x7f\0\0\1"
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0, 64, 6, 0) + addresses + tcp
        self.file.write(struct.pack("<4L", *time, len(ip), len(ip)) + ip)


def main(capture, port, whole, apart):
    seen = list(frames(capture, int(port)))
    magic = open(capture, "rb").read(4)
    for path, content in ((whole, seen), (apart, taken_apart(seen))):
        writer = Writer(path, magic)
        for frame in content:
            writer.write(*frame)
        writer.file.close()


main(*sys.argv[1:])
