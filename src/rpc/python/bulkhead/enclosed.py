"""What came beside a message."""

import fcntl
import os
import stat
import threading

from .descriptor import Descriptor
from .errors import BadFrame

MOST_BODY = 1024 * 1024 * 1024  # bytes
MOST_BODIES_HELD = MOST_BODY  # of all calls that are being served: each is read as a whole
SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def count_of(mentions) -> int:
    """How many descriptors a message mentions: each once, from the first one on, or BadFrame is raised."""
    if sorted(mention.index for mention in mentions) != list(range(len(mentions))):
        raise BadFrame("descriptors are mentioned twice, or with a gap")
    return len(mentions)


class Enclosed:
    """Descriptors that a message mentions. They are in their places at once; of files in memory, which are checked at once,
    the content is there after read().
    """

    def __init__(self, mentions, fds):
        """Takes the descriptors over, of which there is one for each mention. Raises BadFrame; they are closed then."""
        self._lock = threading.Lock()
        self._descriptors, self._bodies = [Descriptor._of(fd) for fd in fds], []
        self.size = 0  # bytes of all bodies
        try:
            for mention in mentions:
                descriptor = self._descriptors[mention.index]
                if mention.length is not None:
                    check_body(descriptor.fileno(), mention.length)
                    self.size += mention.length
                    self._bodies.append((mention, descriptor))
                elif mention.container is not None:
                    mention.container[mention.key] = descriptor
        except BadFrame:
            self.close()
            raise

    def has_bodies(self) -> bool:
        """That are still to be read."""
        return bool(self._bodies)

    def read(self):
        """Puts the content of bodies where they are mentioned. It takes its time, and is not for the loop."""
        # Whoever closes meanwhile must not close what is being read: the number might be another file's then.
        with self._lock:
            for mention, descriptor in self._bodies:
                with descriptor:
                    if mention.container is not None:
                        mention.container[mention.key] = _content(descriptor.fileno(), mention.length)
            self._bodies = []

    def close(self):
        """Closes what nobody has taken."""
        with self._lock:
            self._bodies = []
            for descriptor in self._descriptors:
                descriptor.close()


def check_body(fd: int, length: int):
    """Raises BadFrame unless it is a file of that length that cannot change any more."""
    if length > MOST_BODY:
        raise BadFrame(f"a body of {length} bytes; {MOST_BODY} are possible")
    try:
        seals, status = fcntl.fcntl(fd, fcntl.F_GET_SEALS), os.fstat(fd)
    except OSError:
        seals, status = 0, None
    if seals & SEALS != SEALS or not stat.S_ISREG(status.st_mode) or status.st_size != length:
        raise BadFrame("a body that is no sealed file of its length")


def _content(fd: int, length: int) -> bytes:
    pieces, got = [], 0
    while got < length:
        piece = os.pread(fd, length - got, got)
        if not piece:
            raise OSError(f"a file in memory ends after {got} of {length} bytes")
        pieces.append(piece)
        got += len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
