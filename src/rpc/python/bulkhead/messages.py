"""What a client may send, checked: each function raises BadFrame for what is not by the protocol."""

import re
from typing import NamedTuple, Optional

from .errors import BadFrame

REQUEST, RESPONSE, NOTIFICATION = 0, 1, 2
MOST_ID = 2**32 - 1
MOST_METHOD = 128  # bytes
MOST_DEADLINE = 86_400_000  # ms
MOST_CREDIT = 1024
MOST_TRACESTATE, MOST_IDEMPOTENCY = 512, 128  # bytes
TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}\Z")


class Meta(NamedTuple):
    """What comes with a request beside its parameters; all of it may be missing."""

    deadline: Optional[int] = None  # ms that were left when it was sent
    traceparent: Optional[str] = None
    tracestate: Optional[str] = None
    idempotency: Optional[str] = None
    stream: Optional[int] = None  # parts that may be sent before more credit comes


NO_META = Meta()


def parse(message):
    """(id, method, params, meta) of a request; of a notification, with None for an id."""
    if type(message) is not list or not message or type(message[0]) is not int:
        raise BadFrame("a message is an array that begins with 0, 1 or 2")
    kind = message[0]
    if kind == REQUEST:
        if len(message) not in (4, 5):
            raise BadFrame(f"a request of {len(message)} members; it has 4 or 5")
        call_id = message[1]
        if type(call_id) is not int or not 0 <= call_id <= MOST_ID:
            raise BadFrame("the id of a request is an integer from 0 to 2^32-1")
        rest = message[2:]
    elif kind == NOTIFICATION:
        if len(message) not in (3, 4):
            raise BadFrame(f"a notification of {len(message)} members; it has 3 or 4")
        call_id, rest = None, message[1:]
    else:
        raise BadFrame("a response, to a server that has asked nothing" if kind == RESPONSE else "a message of no known kind")
    method, params = rest[0], rest[1]
    if type(method) is not str or not method or len(method.encode()) > MOST_METHOD:
        raise BadFrame("a method is a string of 1 to 128 bytes")
    if type(params) is not list:
        raise BadFrame("params are an array")
    return call_id, method, params, check_meta(rest[2]) if len(rest) == 3 else NO_META


def check_meta(meta) -> Meta:
    if type(meta) is not dict:
        raise BadFrame("meta is a map")
    return Meta(
        _integer(meta, "deadline", MOST_DEADLINE),
        *_trace_context(meta),
        _idempotency(meta),
        _integer(meta, "stream", MOST_CREDIT),
    )


def _trace_context(meta):
    """As far as it is one: others may have made it, and a call is not to fail for it."""
    parent, state = meta.get("traceparent"), meta.get("tracestate")
    if type(parent) is not str or not TRACEPARENT.match(parent):
        return None, None
    return parent, state if type(state) is str and len(state.encode()) <= MOST_TRACESTATE else None


def _integer(meta, key, most):
    value = meta.get(key)
    if key in meta and (type(value) is not int or not 1 <= value <= most):
        raise BadFrame(f"{key} is an integer from 1 to {most}")
    return value


def _idempotency(meta):
    value = meta.get("idempotency")
    if "idempotency" in meta and (type(value) is not str or not 1 <= len(value.encode()) <= MOST_IDEMPOTENCY):
        raise BadFrame(f"idempotency is a string of 1 to {MOST_IDEMPOTENCY} bytes")
    return value


def parse_cancel(params) -> int:
    """The id of $cancel."""
    if len(params) != 1 or type(params[0]) is not int:
        raise BadFrame("$cancel takes an id")
    return params[0]


def parse_credit(params):
    """Id and number of parts of $credit."""
    if len(params) != 2 or any(type(each) is not int for each in params) or not 1 <= params[1] <= MOST_CREDIT:
        raise BadFrame(f"$credit takes an id, and a number from 1 to {MOST_CREDIT}")
    return params


def parse_close(params):
    """Why the client is about to close."""
    if len(params) != 2 or any(type(each) is not str for each in params):
        raise BadFrame("$close takes a code and a message")
    return params


def trace_id(traceparent) -> bytes:
    """The 16 bytes that identify the trace; zeros for none."""
    return bytes(16) if traceparent is None else bytes.fromhex(traceparent[3:35])
