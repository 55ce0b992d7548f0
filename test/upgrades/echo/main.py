"""A plugin that sends back what it gets: four bytes of length, most significant first, and so many bytes.

A protocol of one's own needs a word for "this was the last answer on this connection", or a server that is to go away
has no end that loses nothing (docs/draining.md). Here it is the first bit of an answer's length.
"""

import asyncio
import os
import signal
import socket

FIRST_FD = 3
MOST = 1024 * 1024
LAST_ANSWER = 0x80000000


class Connection(asyncio.Protocol):
    def __init__(self, plugin):
        self.plugin, self.received = plugin, bytearray()

    def connection_made(self, transport):
        self.transport = transport
        self.plugin.connections.add(self)

    def connection_lost(self, error):
        self.plugin.connections.discard(self)
        self.plugin.check_finished()

    def data_received(self, data):
        self.received += data
        while len(self.received) >= 4 and not self.transport.is_closing():
            length = int.from_bytes(self.received[:4], "big")
            if length > MOST:
                self.transport.abort()
            elif len(self.received) < 4 + length:
                return
            else:
                self.answer(bytes(self.received[4 : 4 + length]))
                del self.received[: 4 + length]

    def answer(self, payload):
        last = LAST_ANSWER if self.plugin.stopping else 0
        self.transport.write((len(payload) | last).to_bytes(4, "big") + payload)
        if last:
            self.transport.close()


class Plugin:
    def __init__(self, loop, listeners):
        self.loop, self.listeners = loop, listeners
        self.connections, self.accepting = set(), set()
        self.stopping = False
        self.finished = loop.create_future()
        for listener in listeners:
            listener.setblocking(False)
            loop.add_reader(listener, self.accept, listener)

    def accept(self, listener):
        try:
            client, _ = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        task = self.loop.create_task(self.loop.connect_accepted_socket(lambda: Connection(self), client))
        self.accepting.add(task)
        task.add_done_callback(self.accepting.discard)
        return True

    def stop(self):
        if self.stopping:
            return
        self.stopping = True
        for listener in self.listeners:
            self.loop.remove_reader(listener)
            while self.accept(listener):
                pass
            listener.close()
        self.check_finished()

    def check_finished(self):
        if self.stopping and not self.connections and not self.accepting and not self.finished.done():
            self.finished.set_result(None)


async def main():
    loop = asyncio.get_running_loop()
    plugin = Plugin(loop, [socket.socket(fileno=FIRST_FD + i) for i in range(int(os.environ["LISTEN_FDS"]))])
    loop.add_signal_handler(signal.SIGTERM, plugin.stop)
    await plugin.finished


asyncio.run(main())
