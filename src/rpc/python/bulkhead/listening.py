"""Where the plugin is reached: the socket that was handed in, or one of its own when it is run by hand."""

import asyncio
import errno
import os
import socket
import stat
import sys

FIRST_DESCRIPTOR = 3
RPC_NAME = "rpc"
BACKLOG = 512
TURN = 32  # connections that are taken before the loop does something else
PAUSE = 0.1  # seconds without accept when descriptors or memory have run out
NO_MORE = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def inherited():
    """The listening socket for calls that was handed in, or None; see sd_listen_fds(3). It is the one called `rpc`, or the
    only one, if whoever handed it in gave it no name. Others are left to the plugin, as they are.
    """
    count, names = os.environ.get("LISTEN_FDS", ""), os.environ.get("LISTEN_FDNAMES", "").split(":")
    if os.environ.get("LISTEN_PID", str(os.getpid())) != str(os.getpid()) or not count.isdecimal():
        return None
    if RPC_NAME in names[: int(count)]:
        index = names.index(RPC_NAME)
    elif count == "1" and names[0] in ("", "unknown"):
        index = 0
    else:
        return None
    os.set_inheritable(FIRST_DESCRIPTOR + index, False)
    return socket.socket(fileno=FIRST_DESCRIPTOR + index)


def name_by_hand() -> str:
    """What the program is called: as its file, or as its directory when the file is some main.py."""
    path = os.path.realpath(sys.argv[0] or ".")
    stem = os.path.splitext(os.path.basename(path))[0]
    return os.path.basename(os.path.dirname(path)) or stem if stem in ("main", "__main__") else stem


def bind(path: str):
    """A listening socket at the path, for this user alone. One that nobody serves any more is replaced."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        _clear(path)
        mask = os.umask(0o177)
        try:
            listener.bind(path)
        finally:
            os.umask(mask)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def _clear(path):
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise FileExistsError(errno.EEXIST, "there is something that is no socket", path)
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
        try:
            trial.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
        else:
            raise OSError(errno.EADDRINUSE, "another program serves there", path)


class Acceptor:
    """Takes connections from a listening socket, without ever waiting for one."""

    def __init__(self, listener, protocol):
        """`protocol` makes the asyncio.Protocol of a connection."""
        self._loop, self._listener, self._protocol = asyncio.get_running_loop(), listener, protocol
        self._joining = set()
        listener.setblocking(False)
        self._loop.add_reader(listener, self._turn)

    def joining(self) -> int:
        """Connections that were taken and have no protocol yet."""
        return len(self._joining)

    def close(self):
        """Takes those who wait already, who have been told that the connection is made, and nobody after them."""
        self._loop.remove_reader(self._listener)
        while self._accept():
            pass
        self._listener.close()

    def _turn(self):
        for _ in range(TURN):
            if not self._accept():
                return

    def _accept(self) -> bool:
        try:
            client, _ = self._listener.accept()
        except OSError as error:
            if error.errno in NO_MORE and self._listener.fileno() >= 0:
                self._loop.remove_reader(self._listener)
                self._loop.call_later(PAUSE, self._resume)
            return False
        joining = self._loop.create_task(self._loop.connect_accepted_socket(self._protocol, client))
        self._joining.add(joining)
        joining.add_done_callback(self._joined)
        return True

    def _joined(self, joining):
        self._joining.discard(joining)
        # A client that left already is none; asyncio has closed what there was of it.
        if not joining.cancelled():
            joining.exception()

    def _resume(self):
        if self._listener.fileno() >= 0:
            self._loop.add_reader(self._listener, self._turn)
