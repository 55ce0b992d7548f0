"""MessagePack as far as the protocol has it: checked on its way in, since a client wrote it, and on its way out, since a
plugin's result that no client may read would cost it the connection with all other calls."""

import struct

import msgpack

from .descriptor import Descriptor
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

# Extension types: a binary that is a file in memory, and a descriptor as such.
BODY, DESCRIPTOR = 1, 2
MOST_ENCLOSED = 16  # of both in a message
BODY_FORM = struct.Struct(">BQ")  # which of the message's descriptors, and its length

_packer = msgpack.Packer()


class Mention:
    """Where in a message something is to be put that came beside it; nowhere in one of two values of the same key."""

    __slots__ = ("index", "length", "container", "key")

    def __init__(self, index: int, length):
        """`length` is that of a body, in bytes; None for a descriptor."""
        self.index, self.length, self.container, self.key = index, length, None, None


def decode(payload, mentions=None):
    """One value, and nothing behind it. Whatever else it is raises BadFrame. `mentions` is a list to which those are added
    that are in it; None where nothing was agreed on that could be mentioned.
    """

    def extension(code, data):
        mention = None if mentions is None else _mention(code, data)
        if mention is None:
            raise BadFrame("an extension type that was not agreed on")
        if len(mentions) == MOST_ENCLOSED:
            raise BadFrame(f"more than {MOST_ENCLOSED} descriptors are mentioned")
        mentions.append(mention)
        return mention

    try:
        if len(payload) > SHORT:
            _look_through(payload)
        value = msgpack.unpackb(payload, raw=False, strict_map_key=True, ext_hook=extension)
    # Besides ValueError, from which most of them come, depending on the version and on where it stopped.
    except (ValueError, TypeError, msgpack.UnpackException, MemoryError, RecursionError) as error:
        raise BadFrame(f"no MessagePack value: {error or type(error).__name__}") from None
    _check_incoming(value, MOST_LEVELS)
    return value


def _mention(code, data):
    if code == BODY and len(data) == BODY_FORM.size:
        return Mention(*BODY_FORM.unpack(data))
    return Mention(data[0], None) if code == DESCRIPTOR and len(data) == 1 else None


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
        for key, member in enumerate(value) if kind is list else value.items():
            if type(member) is Mention:
                member.container, member.key = value, key
            elif type(member) not in PLAIN:
                _check_incoming(member, levels - 1)


def encode(value, stand_in=None) -> bytes:
    """Raises ValueError, TypeError or OverflowError for what cannot be sent; nothing is left of it then. `stand_in` gives
    what is to be sent in place of a value that MessagePack does not have.
    """
    global _packer
    if stand_in is not None:
        return msgpack.Packer(default=stand_in).pack(value)
    encoded = _packer.pack(value)
    if len(encoded) > LARGE:
        _packer = msgpack.Packer()
    return encoded


def check_outgoing(value, levels=MOST_LEVELS - 2, descriptors=None):
    """Raises ValueError or TypeError for what a client must refuse; the rest is encode()'s to find. `descriptors` is a list
    to which those are added that are in it; None where none can be sent.
    """
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
                check_outgoing(member, levels - 1, descriptors)
    elif kind is Descriptor and descriptors is not None:
        descriptors.append(value)
    elif not isinstance(value, (float, str, bytes, bytearray, memoryview)):
        if kind is Descriptor:
            raise TypeError("a Descriptor cannot be sent here, or not to this client")
        raise TypeError(f"a {kind.__name__} cannot be sent: use None, bool, int, float, str, bytes, list or dict")


def array_header(members: int) -> bytes:
    """Of a MessagePack array."""
    if members < 16:
        return bytes((0x90 | members,))
    return b"\xdc" + members.to_bytes(2, "big") if members < 65536 else b"\xdd" + members.to_bytes(4, "big")
