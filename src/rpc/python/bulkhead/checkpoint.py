"""State that is saved whole or not at all, and found again after a restart, an upgrade and the way back from one."""

import asyncio
import contextlib
import itertools
import os
import re
import secrets
import struct
import threading
import time
import zlib

from .state import state_directory, sync_directory, write_all

NAME = re.compile(r"[a-z0-9-]{1,64}\Z")
MAGIC = b"BKCHK001"
HEAD = struct.Struct(">8sI")  # magic; CRC-32 of all behind it
SAVED_AT = struct.Struct(">Q")  # ms since the epoch
MOST_CONTENT = 64 * 1024 * 1024
MOST_SCHEMA = 2**32 - 1
MOST_SCHEMAS = 4  # files of one name that are kept
# A file that was being written when its process ended, and which nobody can be writing any more.
LEFT_OVER = 3600  # seconds


class Checkpoint:
    """One named piece of state. ``schema`` says what its bytes mean: a version that changes that takes a higher one, finds
    what older versions saved, and leaves it there for the way back.
    """

    def __init__(self, name: str, schema: int = 0):
        if not isinstance(name, str) or not NAME.match(name):
            raise ValueError(f"the name of a checkpoint is 1 to 64 of a-z, 0-9 and '-', not {name!r}")
        if type(schema) is not int or not 0 <= schema <= MOST_SCHEMA:
            raise ValueError(f"a schema is a number from 0 to {MOST_SCHEMA}")
        self.name, self.schema = name, schema
        self._lock = threading.Lock()
        self._turn = asyncio.Lock()
        self._turns = itertools.count(1)
        self._newest = 0

    async def save(self, content: bytes):
        """Replaces what was saved with this schema; it is on the disk when this returns. At most 64 MiB. Of several at a
        time, the one that was called last counts.
        """
        turn = next(self._turns)
        async with self._turn:
            await asyncio.to_thread(self._save, content, turn)

    async def restore(self):
        """What was saved last with the highest schema not above one's own, or None."""
        return await asyncio.to_thread(self.restore_sync)

    def save_sync(self, content: bytes):
        """save() for functions that run in a thread."""
        self._save(content, next(self._turns))

    def _save(self, content, turn):
        if len(content) > MOST_CONTENT:
            raise ValueError(f"a checkpoint has at most {MOST_CONTENT} bytes, not {len(content)}")
        directory = state_directory("checkpoint")
        saved_at = SAVED_AT.pack(time.time_ns() // 1_000_000)
        head = HEAD.pack(MAGIC, zlib.crc32(content, zlib.crc32(saved_at)))
        final = os.path.join(directory, f"{self.name}.{self.schema}")
        hidden = os.path.join(directory, f".{self.name}.{self.schema}.{secrets.token_hex(8)}")
        with self._lock:
            # Of one that was given up its thread goes on; it must not take the place of what was saved since.
            if turn < self._newest:
                return
            descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                try:
                    write_all(descriptor, head + saved_at)
                    write_all(descriptor, content)
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
                os.rename(hidden, final)
            except BaseException:
                os.unlink(hidden)
                raise
            sync_directory(directory)
            self._newest = turn
            self._tidy(directory)

    def restore_sync(self):
        """restore() for functions that run in a thread."""
        directory = state_directory("checkpoint")
        for schema in self._schemas(directory):
            if schema > self.schema:
                continue
            path = os.path.join(directory, f"{self.name}.{schema}")
            try:
                content = _read(path)
            except FileNotFoundError:
                continue  # another sandbox has just tidied up
            if content is not None:
                return content
            # Out of the way, but not lost for whoever wants to know what became of it.
            # Another sandbox that starts at the same time may have been faster.
            with contextlib.suppress(FileNotFoundError):
                os.rename(path, f"{path}.damaged")
            sync_directory(directory)
        return None

    def _schemas(self, directory):
        """Those that there are files of, the highest first."""
        found = re.compile(re.escape(self.name) + r"\.(0|[1-9][0-9]{0,9})\Z")
        return sorted((int(match[1]) for each in os.listdir(directory) if (match := found.match(each))), reverse=True)

    def _tidy(self, directory):
        # Not one's own, however low: an older version has come back.
        others = [schema for schema in self._schemas(directory) if schema != self.schema]
        for schema in others[MOST_SCHEMAS - 1 :]:
            _remove(os.path.join(directory, f"{self.name}.{schema}"))
        for each in os.listdir(directory):
            if each.startswith(f".{self.name}."):
                path = os.path.join(directory, each)
                try:
                    if time.time() - os.lstat(path).st_mtime > LEFT_OVER:
                        _remove(path)
                except FileNotFoundError:
                    pass


def _remove(path):
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass  # another sandbox was faster


def _read(path):
    """The content, or None when the file is not what was written."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        head = file.read(HEAD.size)
        rest = file.read(SAVED_AT.size + MOST_CONTENT + 1)
    if len(head) < HEAD.size or not SAVED_AT.size <= len(rest) <= SAVED_AT.size + MOST_CONTENT:
        return None
    magic, checksum = HEAD.unpack(head)
    return rest[SAVED_AT.size :] if magic == MAGIC and zlib.crc32(rest) == checksum else None
