#!/usr/bin/python3
"""Serves its socket for calls without an SDK: each line is answered by the name of the sandbox and that line."""

import asyncio
import os
import signal
import socket


def rpc() -> socket.socket:
    names = os.environ["LISTEN_FDNAMES"].split(":")
    return socket.socket(fileno=3 + names.index("rpc"))


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(os.environ["BULKHEAD_SANDBOX"].encode() + b" " + line)
    writer.close()


async def main() -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await asyncio.start_unix_server(serve, sock=rpc())
    await stopped.wait()


asyncio.run(main())
