"""Ends with the tenth request in its hands."""

import asyncio
import os

import hello

good = hello.answer
served = 0


def answer(method, path, body):
    global served
    served += path == "/load"
    if served == 10:
        os._exit(7)
    return good(method, path, body)


hello.answer = answer
asyncio.run(hello.main())
