"""A peer that sends files in memory with its messages, which Node.js cannot: told one act, it prints what came of it.

    descriptors.py SOCKET ACT

One line of JSON: {"result": ...} for the answer to its request, {"closed": CODE} when the server ended the connection
(CODE as in $close, null without one), {"body": false} when it does not take bodies. MessagePack is written by hand: only
what is needed here.
"""

import array
import fcntl
import json
import os
import socket
import struct
import sys

SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
SIZE = 300_000


def text(value):
    return bytes([0xA0 | len(value)]) + value.encode()


def body_of(index, size):
    """Extension type 1: which descriptor, and how long its content is."""
    return b"\xc7\x09\x01" + struct.pack(">BQ", index, size)


def request(number, method, *params):
    return b"\x94\x00" + bytes([number]) + text(method) + bytes([0x90 | len(params)]) + b"".join(params)


def memory(size=SIZE, seals=SEALS):
    fd = os.memfd_create("body", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, b"b" * size)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
    return fd


class Peer:
    def __init__(self, path, features=("body",)):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(path)
        self.bytes, self.descriptors = b"", []
        hello = b"\x83" + text("protocol") + b"\x01" + text("frame") + b"\xce\x00\x40\x00\x00" + text("features")
        self.send(request(1, "$hello", hello + bytes([0x90 | len(features)]) + b"".join(map(text, features))))
        self.greeting = self.receive()

    def send(self, message, descriptors=()):
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        data = struct.pack(">I", len(message)) + message
        sent = self.socket.sendmsg([data], rights)
        self.socket.sendall(data[sent:])

    def receive(self):
        """The next message; None at the end."""
        while len(self.bytes) < 4 or len(self.bytes) < 4 + struct.unpack(">I", self.bytes[:4])[0]:
            try:
                data, rights, _, _ = self.socket.recvmsg(65536, socket.CMSG_SPACE(64 * 4))
            except ConnectionError:
                data, rights = b"", []
            for level, kind, value in rights:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    self.descriptors += array.array("i", value[: len(value) - len(value) % 4])
            if not data:
                return None
            self.bytes += data
        end = 4 + struct.unpack(">I", self.bytes[:4])[0]
        message, self.bytes = self.bytes[4:end], self.bytes[end:]
        return message

    def outcome(self, number):
        """Of the request, or of the connection."""
        while True:
            message = self.receive()
            if message is None:
                return {"closed": None}
            if message[:9] == b"\x93\x02" + text("$close"):
                code = message[10:]
                return {"closed": code[1 : 1 + (code[0] & 31)].decode()}
            # An id may be written as short as it is, or not.
            for head in (bytes([number]), b"\xcc" + bytes([number]), b"\xce" + struct.pack(">I", number)):
                if message.startswith(b"\x94\x01" + head):
                    rest = message[2 + len(head) :]
                    return self.result(rest[1:]) if rest[0] == 0xC0 else {"error": rest.hex()}

    def result(self, value):
        if value[:3] == b"\xc7\x09\x01":
            index, size = struct.unpack(">BQ", value[3:12])
            fd = self.descriptors[index]
            content = os.pread(fd, size + 1, 0)
            sealed = fcntl.fcntl(fd, fcntl.F_GET_SEALS) & SEALS == SEALS
            return {"result": len(content), "as": "body", "right": content == b"b" * size, "sealed": sealed}
        if value[0] in (0xCD, 0xCE):
            return {"result": int.from_bytes(value[1:], "big")}
        if value[0] == 0xC6:
            size = struct.unpack(">I", value[1:5])[0]
            return {"result": size, "as": "binary", "right": value[5:] == b"b" * size}
        return {"result": value[:20].hex()}


def one(peer, fds, *params):
    peer.send(request(2, "size", *params), fds)
    return peer.outcome(2)


def unread(peer):
    """More descriptors than anybody has a use for, each with a message that mentions none."""
    for sent in range(8, 88, 8):
        try:
            peer.send(request(2, "size", b"\xc4\x01b"), [memory(10) for _ in range(8)])
        except BrokenPipeError:
            pass  # the reason is still to be read
        answer = peer.outcome(2)
        if "closed" in answer:
            return answer if sent > 64 else {"closed after": sent}
    return answer


def pass_on(path):
    """The end of a pipe goes there as a descriptor, and comes back as another one of the same pipe."""
    peer = Peer(path, ("body", "descriptor"))
    if b"\xaadescriptor" not in peer.greeting:
        return {"body": False}
    end, start = os.pipe()
    peer.send(request(2, "echo", b"\xd4\x02\x00"), [end])
    os.close(end)
    outcome = peer.outcome(2)
    if outcome.get("result") != "d40200" or len(peer.descriptors) != 1:
        return outcome
    os.write(start, b"through")
    return {"result": os.read(peer.descriptors[0], 100).decode()}


ACTS = {
    "one": lambda peer: one(peer, [memory()], body_of(0, SIZE)),
    "second": lambda peer: (one(peer, [memory()], body_of(0, SIZE)), one(peer, [memory(70_000)], body_of(0, 70_000)))[1],
    "result": lambda peer: (peer.send(request(2, "bytes", b"\xce" + struct.pack(">I", SIZE))), peer.outcome(2))[1],
    "echo": lambda peer: (peer.send(request(2, "echo", body_of(0, SIZE)), [memory()]), peer.outcome(2))[1],
    "unsealed": lambda peer: one(peer, [memory(seals=0)], body_of(0, SIZE)),
    "half-sealed": lambda peer: one(peer, [memory(seals=fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE)], body_of(0, SIZE)),
    "no-memory": lambda peer: one(peer, [os.open("/dev/zero", os.O_RDONLY)], body_of(0, SIZE)),
    "too-long": lambda peer: one(peer, [memory()], body_of(0, SIZE + 1)),
    "endless": lambda peer: one(peer, [memory()], body_of(0, 2**63)),
    "none": lambda peer: one(peer, [], body_of(0, SIZE)),
    "beyond": lambda peer: one(peer, [memory()], body_of(1, SIZE)),
    "twice": lambda peer: one(peer, [memory()], b"\x92" + body_of(0, SIZE) + body_of(0, SIZE)),
    "descriptor": lambda peer: one(peer, [memory()], b"\xd4\x02\x00"),
    "unread": unread,
}


def main():
    if sys.argv[2] == "pass-on":
        return pass_on(sys.argv[1])
    peer = Peer(sys.argv[1])
    if b"\xa4body" not in peer.greeting:
        return {"body": False}
    return ACTS[sys.argv[2]](peer)


print(json.dumps(main()))
