"""A broadcaster with Python's `websockets`, by the function that the library has for it.

It runs with version 10 and later. Usage: websockets-broadcast.py PORT
"""

import asyncio
import sys

import websockets

try:
    # From version 14 on the top-level names are those of the new implementation.
    from websockets.asyncio.server import broadcast, serve
except ImportError:
    from websockets import broadcast, serve

CLIENTS = set()


async def take_part(client, *_):
    """Sends whatever this client says to all; the second argument is the path in old versions."""
    await client.send("connected to WebSocket server")
    CLIENTS.add(client)
    try:
        async for message in client:
            broadcast(CLIENTS, message)
    except websockets.ConnectionClosed:
        pass
    finally:
        CLIENTS.discard(client)


async def main():
    """Serves until it is ended."""
    # Compression, pings and limits off: none of the peers does more than it has to.
    options = {"compression": None, "ping_interval": None, "max_size": None, "backlog": 4096}
    async with serve(take_part, "127.0.0.1", int(sys.argv[1]), **options):
        await asyncio.Future()


asyncio.run(main())
