#!/usr/bin/python3
"""Answers each request with what its directory says, which it reads anew on SIGHUP and keeps in between."""

import os
import signal
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def load() -> bytes:
    """What the files of one version say together. One descriptor for all: by their paths they could be of two."""
    directory = os.open("/plugin", os.O_PATH | os.O_DIRECTORY)
    try:
        texts = []
        for name in ("answer", "again"):
            with open(os.open(name, os.O_RDONLY, dir_fd=directory), encoding="ascii") as file:
                texts.append(file.read().strip())
    finally:
        os.close(directory)
    if texts[0] != texts[1]:
        raise SystemExit(f"read '{texts[0]}' and '{texts[1]}' of one version")
    return f"{texts[0]} {os.getpid()}".encode()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = answer
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def reload(*_: object) -> None:
    global answer
    answer = load()


answer = load()
signal.signal(signal.SIGHUP, reload)
server = ThreadingHTTPServer(("", 0), Handler, bind_and_activate=False)
server.socket.close()
server.socket = socket.socket(fileno=3)
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
server.serve_forever()
