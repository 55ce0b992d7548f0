"""A plugin that is served by a process of its own, and a client that knows nothing of the SDK."""

import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import msgpack

SDK = Path(__file__).resolve().parents[4] / "src" / "rpc" / "python"
HANG = 60  # seconds: nothing takes so long on the busiest machine


class Peer:
    """A raw connection: what is sent and read is as it is on the wire."""

    def __init__(self, path, framed=True):
        self.framed = framed
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(HANG)
        try:
            self.socket.connect(path)
        except OSError:
            self.socket.close()
            raise
        self.data = b""
        self.unpacker = msgpack.Unpacker()

    def send(self, *messages):
        self.socket.sendall(b"".join(self.frame(message) for message in messages))

    def frame(self, message):
        body = message if isinstance(message, bytes) else msgpack.packb(message)
        return struct.pack(">I", len(body)) + body if self.framed else body

    def read(self):
        """The next message; None at the end of the connection."""
        if not self.framed:
            while True:
                for message in self.unpacker:
                    return message
                if not (data := self._more()):
                    return None
                self.unpacker.feed(data)
        while len(self.data) < 4 or len(self.data) < 4 + struct.unpack_from(">I", self.data)[0]:
            if not (data := self._more()):
                return None
            self.data += data
        length = struct.unpack_from(">I", self.data)[0]
        message, self.data = msgpack.unpackb(self.data[4 : 4 + length]), self.data[4 + length :]
        return message

    def _more(self):
        try:
            return self.socket.recv(65536)
        except ConnectionResetError:
            return b""

    def greet(self, *features):
        self.send([0, 0, "$hello", [{"protocol": 1, "frame": 4 << 20, "features": list(features), "name": "test"}]])
        kind, call_id, error, greeting = self.read()
        assert (kind, call_id, error) == (1, 0, None), error
        return greeting

    def call(self, method, *params, call_id=1, meta=None):
        self.send([0, call_id, method, list(params)] + ([] if meta is None else [meta]))
        kind, answered, error, result = self.read()
        assert (kind, answered) == (1, call_id)
        return result if error is None else error["code"]

    def close(self):
        self.socket.close()


class Serving(unittest.TestCase):
    """`program` is the text of a plugin; `plugin` is there, and it is run behind it."""

    program = ""

    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.path = os.path.join(self.directory, "rpc.sock")
        self.peers = []
        self.process = None
        self.start()

    def tearDown(self):
        for peer in self.peers:
            peer.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        shutil.rmtree(self.directory)

    def start(self, preexec_fn=None, **environment):
        text = f"import bulkhead\nfrom bulkhead import *\nplugin = Plugin()\n{self.program}\nplugin.run()\n"
        given = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(SDK),
            "PYTHONDONTWRITEBYTECODE": "1",
            "BULKHEAD_RPC_SOCKET": self.path,
            "STATE_DIRECTORY": self.directory,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", text],
            env={**given, **environment},
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=preexec_fn,
            close_fds=preexec_fn is None,
        )
        path = environment.get("BULKHEAD_RPC_SOCKET", self.path)
        until(lambda: self.process.poll() is not None or can_connect(path), "the plugin to listen")

    def peer(self, *features, framed=True):
        peer = Peer(self.path, framed)
        self.peers.append(peer)
        if features:
            peer.greet(*features)
        return peer

    def ended(self):
        """Its exit status and what it said."""
        _, said = self.process.communicate(timeout=HANG)
        return self.process.returncode, said


def can_connect(path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
        try:
            trial.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
    return True


def until(condition, what):
    """Waits for what has to come; nothing here depends on how soon."""
    end = time.monotonic() + HANG
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited for {what} in vain")
        time.sleep(0.01)
