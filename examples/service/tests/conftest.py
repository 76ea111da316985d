import asyncio
import queue
import threading

import pytest
import pytest_asyncio
from aiohttp import web

from app.client import Client


async def serve(address):
    app = web.Application()
    app.router.add_get("/jobs", lambda request: web.json_response([]))
    app.router.add_get("/health", lambda request: web.json_response({"status": "ok"}))
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        address.put("http://127.0.0.1:%d" % runner.addresses[0][1])
        await asyncio.Event().wait()
    finally:
        await runner.cleanup()


@pytest.fixture(scope="session")
def url():
    """An API on a free port, in a thread with a loop of its own."""
    address = queue.Queue()
    threading.Thread(target=lambda: asyncio.run(serve(address)), daemon=True).start()
    return address.get(timeout=10)


@pytest_asyncio.fixture(scope="session")
async def client(url):
    client = Client(url)
    await client.connect()
    yield client
    await client.close()
