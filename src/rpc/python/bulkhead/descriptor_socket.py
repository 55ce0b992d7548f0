"""The socket of a connection that carries descriptors, which the transports of asyncio throw away."""

import array
import asyncio
import collections
import fcntl
import socket
import struct
import termios

from .channel import Channel
from .enclosing import close_all
from .errors import BadFrame

READ_BYTES = 256 * 1024
MOST_WAITING = 64  # descriptors that no message has mentioned yet
# Bytes in files that were sent and that the client has not taken: of the socket's queue they are a few bytes each.
MOST_UNREAD = 128 * 1024 * 1024
UNREAD_PAUSE = 0.01  # seconds between looks whether it has
LEVEL = struct.Struct("i")  # of a queue
RIGHTS = (socket.SOL_SOCKET, socket.SCM_RIGHTS)


class DescriptorSocket(Channel):
    """Reads in place of the transport, from a copy of its socket, and writes what goes with descriptors: in order with what
    goes through the transport, which still writes all else, and ends the connection.
    """

    def __init__(self, channel: Channel, connection):
        """Takes over reading, at a time at which no descriptor can have been sent yet. Raises OSError."""
        transport = channel.transport
        super().__init__(transport, channel.high, channel.low)
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._socket = socket.fromfd(transport.get_extra_info("socket").fileno(), socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self._came = []
        self._keeps = True
        self._queue = collections.deque()  # of (bytes, Enclosing): from the first on that has one, and cannot be sent yet
        self._queued = self._unread = 0  # bytes
        self._finishes = False
        transport.pause_reading()
        self.resume_reading()

    # In.

    def pause_reading(self):
        if self._is_open():
            self._loop.remove_reader(self._socket)

    def resume_reading(self):
        if self._is_open():
            self._loop.add_reader(self._socket, self._readable)

    def take(self, count: int):
        """The first of those that came, which are the caller's then. Raises BadFrame when there are not so many."""
        if count > len(self._came):
            raise BadFrame("a descriptor that has not come")
        taken, self._came = self._came[:count], self._came[count:]
        return taken

    def _readable(self):
        try:
            data, ancillary, flags, _ = self._socket.recvmsg(
                READ_BYTES, socket.CMSG_SPACE(MOST_WAITING * array.array("i").itemsize), socket.MSG_CMSG_CLOEXEC
            )
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.abort()
            return
        self._came += _descriptors(ancillary)
        # Cut are also those for which this process has no room.
        fits = len(self._came) <= MOST_WAITING and not flags & socket.MSG_CTRUNC
        if not self._keeps:
            self._drop_came()
        if not data:
            self.drop_waiting()
            self._connection.leave()
        elif self._keeps and not fits:
            self._connection.shut("bad-frame", "more descriptors than messages have mentioned")
        else:
            self._connection.data_received(data)

    # Out.

    def write(self, data: bytes, enclosing=None):
        """Takes over what goes with it, with the first byte."""
        if enclosing is None and not self._queue:
            self.transport.write(data)
            return
        if not self._is_open():
            if enclosing is not None:
                enclosing.close()
            return
        self._queue.append((data, enclosing))
        self._queued += len(data)
        if len(self._queue) == 1:
            self.advance()

    def waiting(self) -> int:
        return super().waiting() + self._queued

    def advance(self):
        """Sends what can be sent at the moment. The transport calls it, by way of the connection, while it looks after its
        own buffer, and is not to be closed in the midst of that.
        """
        while self._queue:
            data, enclosing = self._queue[0]
            if enclosing is not None:
                if not self._may_send(enclosing):
                    self._connection.pause_writing()
                    return
                try:
                    sent = self._socket.sendmsg([data], [(*RIGHTS, array.array("i", enclosing.fds))])
                except (BlockingIOError, InterruptedError):
                    self._connection.pause_writing()
                    self._loop.add_writer(self._socket, self._writable)
                    return
                except OSError:
                    self._loop.call_soon(self.abort)
                    return
                self._unread += enclosing.size
                enclosing.close()
                rest = data[sent:]
            else:
                rest = data
            self._queue.popleft()
            self._queued -= len(data)
            if rest:
                self.transport.write(rest)
        self.set_limits()
        if self._finishes:
            self._loop.call_soon(self.transport.close)

    def _may_send(self, enclosing) -> bool:
        """False when it is not its turn yet; the connection is told when it may be."""
        if self.transport.get_write_buffer_size() > 0:
            # Then it is told when nothing is left.
            self.transport.set_write_buffer_limits(high=0)
            return False
        if self._unread + enclosing.size <= MOST_UNREAD:
            return True
        (waiting,) = LEVEL.unpack(fcntl.ioctl(self._socket, termios.TIOCOUTQ, bytes(LEVEL.size)))
        if waiting > 0:
            self._loop.call_later(UNREAD_PAUSE, self._writable)
            return False
        self._unread = 0
        return True

    def _writable(self):
        if self._is_open():
            self._loop.remove_writer(self._socket)
            self._connection.resume_writing()

    # The end.

    def drop_waiting(self):
        if self._is_open():
            self._loop.remove_writer(self._socket)
        for _, enclosing in self._queue:
            if enclosing is not None:
                enclosing.close()
        self._queue.clear()
        self._queued = 0

    def finish(self):
        self._keep_nothing()
        self.pause_reading()
        self._finishes = True
        if not self._queue:
            self.transport.close()

    def discard(self):
        self._keep_nothing()
        super().discard()

    def abort(self):
        self.release()
        self.transport.abort()

    def release(self):
        self._keep_nothing()
        self.drop_waiting()
        self.pause_reading()
        self._socket.close()

    def _is_open(self) -> bool:
        return self._socket.fileno() >= 0

    def _keep_nothing(self):
        self._keeps = False
        self._drop_came()

    def _drop_came(self):
        close_all(self._came)
        self._came = []


def _descriptors(ancillary):
    came = array.array("i")
    for level, kind, data in ancillary:
        if (level, kind) == RIGHTS:
            came.frombytes(data[: len(data) - len(data) % came.itemsize])
    return list(came)
