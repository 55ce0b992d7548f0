"""MessagePack as far as the protocol has it: checked on its way in, since a client wrote it, and on its way out, since a
plugin's result that no client may read would cost it the connection with all other calls."""

import msgpack

from .errors import BadFrame

MOST_LEVELS = 32  # of arrays and maps, the message's own among them
MOST_INTEGER = 2**53
# A decoder makes room for as many members as an array claims to have. In a message that is not longer than this, that comes
# to 3 MB at worst; longer ones are looked through first.
SHORT = 1024  # bytes
# The buffer of an encoder stays as large as it once was.
LARGE = 1024 * 1024  # bytes

PLAIN = frozenset({type(None), bool, int, float, str, bytes})
NEVER_TOO_LARGE = PLAIN - {int}

_packer = msgpack.Packer()


def decode(payload):
    """One value, and nothing behind it. Whatever else it is raises BadFrame."""
    try:
        if len(payload) > SHORT:
            _look_through(payload)
        value = msgpack.unpackb(payload, raw=False, strict_map_key=True)
    # Besides ValueError, from which most of them come, depending on the version and on where it stopped.
    except (ValueError, TypeError, msgpack.UnpackException, MemoryError, RecursionError) as error:
        raise BadFrame(f"no MessagePack value: {error or type(error).__name__}") from None
    _check_incoming(value, MOST_LEVELS)
    return value


def _look_through(payload):
    """Raises unless all that is claimed is there. Makes nothing of it."""
    unpacker = msgpack.Unpacker(max_buffer_size=len(payload))
    unpacker.feed(payload)
    unpacker.skip()
    if unpacker.tell() != len(payload):
        raise ValueError("there is something behind it")


def _check_incoming(value, levels):
    kind = type(value)
    if kind in PLAIN:
        return
    if kind is list:
        members = value
    elif kind is dict:
        if any(kind is not str for kind in set(map(type, value))):
            raise BadFrame("a key of a map is no string")
        members = value.values()
    else:
        raise BadFrame("an extension type that was not agreed on")
    if levels == 0:
        raise BadFrame(f"more than {MOST_LEVELS} levels of arrays and maps")
    if not PLAIN.issuperset(map(type, members)):
        for member in members:
            if type(member) not in PLAIN:
                _check_incoming(member, levels - 1)


def encode(value) -> bytes:
    """Raises ValueError, TypeError or OverflowError for what cannot be sent; nothing is left of it then."""
    global _packer
    encoded = _packer.pack(value)
    if len(encoded) > LARGE:
        _packer = msgpack.Packer()
    return encoded


def check_outgoing(value, levels=MOST_LEVELS - 2):
    """Raises ValueError or TypeError for what a client must refuse; the rest is encode()'s to find."""
    kind = type(value)
    if kind in NEVER_TOO_LARGE:
        return
    if isinstance(value, int):
        if not -MOST_INTEGER <= value <= MOST_INTEGER:
            raise ValueError(f"{value:#x} is beyond 2^53, which not every language can read")
    elif isinstance(value, (list, tuple, dict)):
        if levels <= 0:
            raise ValueError(f"there are more than {MOST_LEVELS} levels of lists and dicts in it")
        members = value
        if isinstance(value, dict):
            strange = next((key for key in value if not isinstance(key, str)), None)
            if strange is not None:
                raise TypeError(f"a key of a dict in it is no string: {strange!r:.40}")
            members = value.values()
        if not NEVER_TOO_LARGE.issuperset(map(type, members)):
            for member in members:
                check_outgoing(member, levels - 1)
    elif not isinstance(value, (float, str, bytes, bytearray, memoryview)):
        raise TypeError(f"a {kind.__name__} cannot be sent: use None, bool, int, float, str, bytes, list or dict")
