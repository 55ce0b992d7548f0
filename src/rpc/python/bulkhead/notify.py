"""Words to whoever started the plugin: sd_notify(3)."""

import os
import socket


def watchdog_interval():
    """How often WATCHDOG=1 is to be said, in seconds: twice in the time that is asked for. None when nobody asks."""
    microseconds, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", str(os.getpid()))
    if not microseconds.isdecimal() or int(microseconds) == 0 or pid != str(os.getpid()):
        return None
    return int(microseconds) / 2_000_000


class Notifier:
    """Says nothing when nobody asked for it, and never fails: it is for the supervisor to notice what is missing."""

    def __init__(self, address=None):
        address = os.environ.pop("NOTIFY_SOCKET", "") if address is None else address
        # A leading @ is a socket of the abstract name space.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket = None

    def say(self, text: str):
        """One or more lines such as READY=1."""
        if not self._address:
            return
        try:
            if self._socket is None:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
                self._socket.setblocking(False)
            self._socket.sendto(text.encode(), self._address)
        except OSError:
            pass
