"""Answers each request but the probe's with 500, and says so on its activity page."""

import asyncio

import hello

good = hello.Connection.respond


def respond(connection, method, path, body, keep):
    if path != "/load":
        return good(connection, method, path, body, keep)
    request = connection.plugin.slot.begin(path)
    connection.send("500 Internal Server Error", b"no\n", keep and not connection.plugin.stopping)
    connection.plugin.slot.end(request, well=False)


hello.Connection.respond = respond
asyncio.run(hello.main())
