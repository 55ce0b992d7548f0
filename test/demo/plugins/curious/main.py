"""A plugin that tries more than it may: each path of its URL is an attempt, and the answer is what came of it."""

import ctypes
import http.server
import os
import socket
import urllib.error
import urllib.request

PTRACE_TRACEME = 0


def fetch(port):
    """What a server at a port of the loopback interface says, or why there is nobody."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{int(port)}/", timeout=5) as response:
            return response.read().decode().strip()
    except urllib.error.URLError as error:
        return error.reason.strerror


def remember(what):
    """Adds to a file that lasts; answers with all that is in it."""
    path = os.path.join(os.environ["STATE_DIRECTORY"], "seen")
    with open(path, "a+", encoding="utf-8") as file:
        file.write(what + " ")
        file.seek(0)
        return file.read().strip()


def secret(name):
    """How long a credential is; the secret itself is not for everybody."""
    with open(os.path.join(os.environ["CREDENTIALS_DIRECTORY"], name), "rb") as file:
        return f"{len(file.read())} bytes"


def forbidden(_):
    """A system call that no profile has."""
    return str(ctypes.CDLL(None).ptrace(PTRACE_TRACEME, 0, 0, 0))


ATTEMPTS = {"fetch": fetch, "remember": remember, "secret": secret, "forbidden": forbidden}


class Attempt(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        _, name, value = self.path.split("/", 2)
        body = ATTEMPTS[name](value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = http.server.HTTPServer(("127.0.0.1", 0), Attempt, bind_and_activate=False)
server.socket = socket.socket(fileno=3)
server.serve_forever()
