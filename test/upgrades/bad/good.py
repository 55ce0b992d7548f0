"""The version that serves well. Each answer takes a few milliseconds, so that one can be ten times slower.

Beside it, as in each of these versions: hello.py, which is main.py of hello-python, and activity.py.
"""

import asyncio
import time

import hello

good = hello.answer


def answer(method, path, body):
    time.sleep(0.003)
    return good(method, path, body)


hello.answer = answer
asyncio.run(hello.main())
