"""What can go wrong in a call, and how it is said on the wire (docs/protocol.md, Errors)."""

import re

CODE = re.compile(r"[a-z0-9-]{1,64}\Z")
MOST_MESSAGE = 1024  # bytes


class PluginError(Exception):
    """Answers a call with a code of the plugin's own, or of the protocol's: ``bad-params``, say.

    ``code`` is 1 to 64 of a-z, 0-9 and -; ``message`` is for people, and cut after 1,024 bytes; ``data`` is anything that
    MessagePack has. ``retry`` says that the call was not begun, so that it may go to another sandbox as it is.
    """

    def __init__(self, code: str, message: str = "", data=None, *, retry: bool = False):
        if not isinstance(code, str) or not CODE.match(code):
            raise ValueError(f"the code of an error is 1 to 64 of a-z, 0-9 and '-', not {code!r}")
        super().__init__(message)
        self.code, self.message, self.data, self.retry = code, str(message), data, retry


class Cancelled(Exception):
    """Raised by Call.check() when nobody waits for the call any more."""


class BadFrame(Exception):
    """What came is not by the protocol; the text says what, and the connection ends with it."""


def cut(text: str, most: int) -> bytes:
    """At most so many bytes of UTF-8, without half a character at the end."""
    encoded = text.encode("utf-8", "replace")
    return encoded if len(encoded) <= most else encoded[:most].decode("utf-8", "ignore").encode()


def error_map(error: PluginError) -> dict:
    """As it goes into a response."""
    told = {"code": error.code, "message": cut(error.message, MOST_MESSAGE).decode()}
    if error.data is not None:
        told["data"] = error.data
    if error.retry:
        told["retry"] = True
    return told
