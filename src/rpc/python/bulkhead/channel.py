"""A connection as bytes: an asyncio transport, as far as connections use one."""

import socket


class Channel:
    def __init__(self, transport, high: int, low: int):
        """`high`: bytes that wait to be sent, from which on the connection is told to wait until they are `low`."""
        self.transport, self.high, self.low = transport, high, low
        self.set_limits()

    def set_limits(self):
        self.transport.set_write_buffer_limits(high=self.high, low=self.low)

    def is_local(self) -> bool:
        return self.transport.get_extra_info("socket").family == socket.AF_UNIX

    def pause_reading(self):
        self.transport.pause_reading()

    def resume_reading(self):
        self.transport.resume_reading()

    def write(self, data: bytes):
        self.transport.write(data)

    def advance(self):
        """Writes what has waited for the transport; the connection calls it when it may write again."""

    def waiting(self) -> int:
        """Bytes that have been written and not been sent."""
        return self.transport.get_write_buffer_size()

    def drop_waiting(self):
        """Forgets what can still be forgotten of that: whole messages."""

    def finish(self):
        """Closes when what was written is out."""
        self.transport.close()

    def discard(self):
        """Writes nothing more, and reads on. Raises OSError."""
        self.resume_reading()
        self.transport.write_eof()

    def abort(self):
        """Ends at once."""
        self.transport.abort()

    def release(self):
        """Whatever there is beside the transport, which has ended."""
