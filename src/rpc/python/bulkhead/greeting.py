"""The first request of a client that knows more than plain MessagePack-RPC."""

from typing import NamedTuple, Optional

from .errors import PluginError
from .frames import FRAME_LIMIT, LEAST_FRAME_LIMIT, MOST_FRAME_LIMIT

PROTOCOL = 1
FEATURES = ["cancel", "stream", "drain", "ping"]
MOST_NAME = 64  # bytes


class Greeting(NamedTuple):
    frame: int
    features: frozenset
    name: Optional[str]


def parse_hello(params) -> Greeting:
    """Raises PluginError for what is to be answered with one; the connection goes on as a plain one then."""
    if len(params) != 1 or type(params[0]) is not dict:
        raise PluginError("bad-params", "$hello takes one map")
    hello = params[0]
    protocol, frame, name = hello.get("protocol"), hello.get("frame", FRAME_LIMIT), hello.get("name")
    features = hello.get("features", [])
    if type(protocol) is not int:
        raise PluginError("bad-params", "protocol is an integer")
    if protocol != PROTOCOL:
        raise PluginError("unsupported-protocol", f"this is protocol {PROTOCOL}", {"protocol": [PROTOCOL]})
    if type(frame) is not int or not LEAST_FRAME_LIMIT <= frame <= MOST_FRAME_LIMIT:
        raise PluginError("bad-params", f"frame is an integer from {LEAST_FRAME_LIMIT} to {MOST_FRAME_LIMIT}")
    if type(features) is not list or any(type(each) is not str for each in features):
        raise PluginError("bad-params", "features are a list of strings")
    if name is not None and (type(name) is not str or len(name.encode()) > MOST_NAME):
        raise PluginError("bad-params", f"name is a string of at most {MOST_NAME} bytes")
    return Greeting(frame, frozenset(features), name)
