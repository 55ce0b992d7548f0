"""Takes connections, its probe's among them, and says nothing."""

import asyncio

import hello

hello.Connection.data_received = lambda connection, data: None
asyncio.run(hello.main())
