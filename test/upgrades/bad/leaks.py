"""Answers well, and keeps four megabytes more each second."""

import asyncio

import hello

kept = []


async def main():
    async def leak():
        while True:
            kept.append(b"x" * (4 * 1024 * 1024))
            await asyncio.sleep(1)

    leaking = asyncio.create_task(leak())
    await hello.main()
    leaking.cancel()


asyncio.run(main())
