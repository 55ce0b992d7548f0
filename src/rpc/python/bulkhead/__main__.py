"""python3 -m bulkhead PLUGIN METHOD [PARAMETER]...: calls a plugin by hand. No client library: one call, and it is gone."""

import base64
import json
import socket
import sys

from .codec import encode
from .errors import BadFrame
from .frames import FRAME_LIMIT, LENGTH, NOTHING, Frames
from .greeting import PROTOCOL
from .messages import NOTIFICATION, REQUEST, RESPONSE

USAGE = """usage: python3 -m bulkhead PLUGIN METHOD [PARAMETER]...

Calls a method and prints its result as JSON; of a stream, each part as a line.
PLUGIN is the name of one that bulkhead runs, or the path of a socket, with a '/'
in it. A PARAMETER is JSON, and a string when it is none. Binary results are
printed as {"base64": "..."}.
"""
DISCOVERY = "/run/bulkhead/discovery"
PATIENCE = 5.0  # seconds for a line of discovery
MOST_LINE = 1024 * 1024  # bytes
CREDIT = 64
CHUNK = 256 * 1024


def main(words) -> int:
    if len(words) < 2 or words[0] in ("-h", "--help"):
        sys.stderr.write(USAGE)
        return 0 if words[:1] in (["-h"], ["--help"]) else 2
    plugin, method, *texts = words
    path = plugin
    try:
        if "/" not in plugin:
            path = f"{DISCOVERY}/{plugin}"
            path = _discover(path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.connect(path)
            return _call(peer, method, [_parameter(text) for text in texts])
    except (OSError, BadFrame, ValueError) as error:
        sys.stderr.write(f"{path}: {error}\n")
        return 1


def _discover(path):
    """The socket of a sandbox that takes calls."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(PATIENCE)
        peer.connect(path)
        with peer.makefile("rb") as lines:
            told = json.loads(lines.readline(MOST_LINE))
    for sandbox in told["sandboxes"]:
        if sandbox["state"] == "ready":
            return sandbox["socket"]
    raise ConnectionError("no sandbox takes calls at the moment")


def _parameter(text):
    try:
        return json.loads(text)
    except ValueError:
        return text


def _call(peer, method, params) -> int:
    messages = _messages(peer)
    hello = {"protocol": PROTOCOL, "frame": FRAME_LIMIT, "features": ["stream", "ping"], "name": "by hand"}
    _send(peer, (REQUEST, 0, "$hello", (hello,)))
    greeting = next(messages, None)
    if greeting is None:
        raise ConnectionError("the plugin has closed the connection without an answer")
    if greeting[0] == NOTIFICATION and greeting[1] == "$close":
        raise BadFrame(": ".join(greeting[2]))
    features = greeting[3].get("features", ()) if isinstance(greeting[3], dict) else ()
    _send(peer, (REQUEST, 1, method, params) + (({"stream": CREDIT},) if "stream" in features else ()))
    for message in messages:
        if message[0] == NOTIFICATION and message[1] == "$item":
            _print(message[2][1])
            _send(peer, (NOTIFICATION, "$credit", (1, 1)))
        elif message[0] == NOTIFICATION and message[1] == "$close":
            raise BadFrame(": ".join(message[2]))
        elif message[0] == RESPONSE and message[2] is not None:
            error = message[2]
            told = f"{error.get('code')}: {error.get('message')}" if isinstance(error, dict) else str(error)
            sys.stderr.write(_printable(told) + "\n")
            return 1
        elif message[0] == RESPONSE:
            if message[3] is not None:
                _print(message[3])
            return 0
    raise ConnectionError("the plugin has closed the connection without an answer")


def _send(peer, message):
    body = encode(message)
    peer.sendall(LENGTH.pack(len(body)) + body)


def _messages(peer):
    frames = Frames()
    while data := peer.recv(CHUNK):
        frames.feed(data)
        while (message := frames.next()) is not NOTHING:
            yield message


def _print(value):
    print(_printable(json.dumps(value, ensure_ascii=False, default=_binary)), flush=True)


def _printable(text):
    """What is a plugin's must not move the cursor of a terminal, nor turn its text around."""
    return "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in text)


def _binary(value):
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    raise TypeError(f"a {type(value).__name__}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
