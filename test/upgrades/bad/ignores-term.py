"""Answers with 500, and lets itself be told nothing when it is to go."""

import asyncio

import hello

hello.Plugin.stop = lambda plugin: None


def respond(connection, method, path, body, keep):
    request = connection.plugin.slot.begin(path)
    well = path != "/load"
    connection.send("200 OK" if well else "500 Internal Server Error", b"\n", keep)
    connection.plugin.slot.end(request, well)


hello.Connection.respond = respond
asyncio.run(hello.main())
