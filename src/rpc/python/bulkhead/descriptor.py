"""An open file, as a value of a message."""

import os


class Descriptor:
    """An open file, a socket or the like, that came with a call or goes with a result (feature `descriptor`).

    One that came is closed when its call is over, unless ``detach()`` has taken it. ``Descriptor(file)`` is a copy of a
    file, anything with a ``fileno()``, or the number of a descriptor, and is closed when nobody has it any more. Sending
    one sends a copy.
    """

    __slots__ = ("_fd",)

    def __init__(self, file):
        self._fd = -1
        self._fd = os.dup(file if isinstance(file, int) else file.fileno())

    @classmethod
    def _of(cls, fd: int):
        """Takes over a descriptor."""
        made = cls.__new__(cls)
        made._fd = fd
        return made

    def fileno(self) -> int:
        if self._fd < 0:
            raise ValueError("the descriptor is closed")
        return self._fd

    def detach(self) -> int:
        """The number of the descriptor, which is the caller's to close from now on."""
        fd = self.fileno()
        self._fd = -1
        return fd

    def close(self):
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        self.close()

    def __repr__(self):
        return f"Descriptor({self._fd})" if self._fd >= 0 else "Descriptor(closed)"
