"""Work that was accepted and is not lost with the process: what it did not finish, another one does, once."""

import asyncio
import errno
import fcntl
import inspect
import os
import re
import secrets
import struct
import sys
import threading
import zlib

from .errors import PluginError
from .state import state_directory, sync_directory, write_all

HEAD = struct.Struct(">II")  # length and CRC-32 of the payload
ACCEPTED, FINISHED, HANDED_OUT = 1, 2, 3
ID_SIZE = 16
MOST_CONTENT = 1024 * 1024
MOST_PAYLOAD = 1 + ID_SIZE + MOST_CONTENT
MOST_FILE = 64 * 1024 * 1024
LOG = re.compile(r"[A-Za-z0-9_.@-]{1,200}-[0-9a-f]{8}\.log\Z")
NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_.@-]")


class JournalFull(PluginError):
    """There is no room for more accepted work before some of it is finished."""

    def __init__(self):
        super().__init__("journal-full", f"more than {MOST_FILE} bytes of accepted work are not finished")


class Journal:
    """The journal of this process. It is held as long as the process lives, and others know by that whose work is left."""

    def __init__(self):
        self._directory = state_directory("journal")
        self._path, self._file = _make(self._directory)
        self._lock = threading.Lock()
        self._open = set()
        self._size = 0

    async def accept(self, content: bytes) -> bytes:
        """The id of a piece of work, at most 1 MiB, that is on the disk when this returns."""
        accepting = asyncio.ensure_future(asyncio.to_thread(self.accept_sync, content))
        try:
            return await asyncio.shield(accepting)
        except asyncio.CancelledError:
            accepting.add_done_callback(self._withdraw)
            raise

    async def finish(self, work: bytes):
        """It is done, by the id that accept() gave."""
        await asyncio.to_thread(self.finish_sync, work)

    async def replay(self, function) -> int:
        """Calls function(id, content), which may be an ``async def``, for what processes that are gone have accepted and
        not finished, and returns how many there were. Each is handed out once, whatever becomes of it: what the function
        raises is told on stderr.
        """
        replayed = 0
        for path in _others(self._directory, self._path):
            left = await self._taken(path)
            if left is None:
                continue
            try:
                while (piece := await asyncio.to_thread(left.next)) is not None:
                    replayed += 1
                    try:
                        result = function(*piece)
                        if inspect.isawaitable(result):
                            await result
                    except Exception as error:
                        sys.stderr.write(f"work {piece[0].hex()} failed in its replay: {error!r}\n")
                    else:
                        await asyncio.to_thread(left.append, FINISHED, piece[0])
                await asyncio.to_thread(left.remove)
            finally:
                left.close()
        return replayed

    @staticmethod
    async def _taken(path):
        taking = asyncio.ensure_future(asyncio.to_thread(_Left.take, path))
        try:
            return await asyncio.shield(taking)
        except asyncio.CancelledError:
            taking.add_done_callback(_let_go)
            raise

    def _withdraw(self, accepting):
        """Nobody has got the id: it would stay open for ever, and be replayed although its caller was told of no acceptance."""
        if accepting.cancelled() or accepting.exception() is not None:
            return
        accepting.get_loop().run_in_executor(None, self.finish_sync, accepting.result())

    def accept_sync(self, content: bytes) -> bytes:
        """accept() for functions that run in a thread."""
        if len(content) > MOST_CONTENT:
            raise ValueError(f"a piece of work has at most {MOST_CONTENT} bytes, not {len(content)}")
        work = secrets.token_bytes(ID_SIZE)
        with self._lock:
            record = _record(ACCEPTED, work, content)
            if self._size + len(record) > MOST_FILE:
                raise JournalFull()
            self._append(record)
            self._open.add(work)
        return work

    def finish_sync(self, work: bytes):
        """finish() for functions that run in a thread."""
        with self._lock:
            if work not in self._open:
                raise PluginError("unknown-work", "no such work was accepted here and is not finished")
            self._append(_record(FINISHED, work))
            self._open.discard(work)
            if not self._open:
                os.ftruncate(self._file, 0)
                self._size = 0

    def _append(self, record):
        try:
            write_all(self._file, record)
            os.fdatasync(self._file)
        except OSError:
            # Half a record would hide all that comes behind it.
            os.ftruncate(self._file, self._size)
            raise
        self._size += len(record)


class _Left:
    """The journal of a process that is gone, held against all others."""

    def __init__(self, path, descriptor):
        self._path, self._file = path, descriptor
        # Whoever replays may give up while a thread still writes; the number of a closed file belongs to somebody else.
        self._lock = threading.Lock()
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(MOST_FILE + MOST_PAYLOAD)
        self._open, self._valid = _read(data)

    @classmethod
    def take(cls, path):
        """None when its owner lives, or somebody else has taken it."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        if not _hold(descriptor):
            os.close(descriptor)
            return None
        try:
            left = cls(path, descriptor)
            # What was being written when its owner died is no record, and what is added has to be one.
            os.ftruncate(descriptor, left._valid)
        except BaseException:
            os.close(descriptor)
            raise
        return left

    def next(self):
        """(id, content) of the next one that is to be done; from now on it is not handed out again."""
        for work in self._open:
            content = self._open.pop(work)
            self.append(HANDED_OUT, work)
            return work, content
        return None

    def append(self, kind, work):
        with self._lock:
            if self._file < 0:
                raise OSError(errno.EBADF, "the replay was given up", self._path)
            write_all(self._file, _record(kind, work))
            os.fdatasync(self._file)

    def remove(self):
        os.unlink(self._path)
        sync_directory(os.path.dirname(self._path))

    def close(self):
        with self._lock:
            os.close(self._file)
            self._file = -1


def _let_go(taking):
    """Of a file that was taken for somebody who has given up."""
    if not taking.cancelled() and taking.exception() is None and taking.result() is not None:
        taking.result().close()


def _make(directory):
    """A new journal, which nobody else can have taken for one of the dead."""
    name = NOT_IN_A_NAME.sub("_", os.environ.get("BULKHEAD_SANDBOX") or "by-hand")[:200]
    while True:
        path = os.path.join(directory, f"{name}-{secrets.token_hex(4)}.log")
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            continue
        if _hold(descriptor):
            sync_directory(directory)
            return path, descriptor
        os.close(descriptor)


def _hold(descriptor) -> bool:
    """Takes the lock without waiting. False also for a file that was removed between open and lock."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(descriptor).st_nlink > 0


def _others(directory, own):
    paths = (os.path.join(directory, each) for each in sorted(os.listdir(directory)) if LOG.match(each))
    return [path for path in paths if path != own]


def _record(kind, work, content=b"") -> bytes:
    payload = bytes((kind,)) + work + content
    return HEAD.pack(len(payload), zlib.crc32(payload)) + payload


def _read(data):
    """What is accepted and neither finished nor handed out, by id, and how many bytes are whole records."""
    left, at = {}, 0
    while at + HEAD.size <= len(data):
        length, checksum = HEAD.unpack_from(data, at)
        payload = data[at + HEAD.size : at + HEAD.size + length]
        if not 1 + ID_SIZE <= length <= MOST_PAYLOAD or len(payload) < length or zlib.crc32(payload) != checksum:
            break
        kind, work = payload[0], payload[1 : 1 + ID_SIZE]
        if kind == ACCEPTED:
            left[work] = payload[1 + ID_SIZE :]
        elif kind in (FINISHED, HANDED_OUT):
            left.pop(work, None)
        else:
            break
        at += HEAD.size + length
    return left, at
