"""Sources with bugs that the tests of the bot are about."""

UNCLOSED = """\
import asyncio

import aiohttp


async def {name}(url):
    session = aiohttp.ClientSession()
    response = await session.get(url)
    print(await response.json())


asyncio.run({name}("http://localhost"))
"""
"""LM201, safe."""

DANGLING = """\
import asyncio


async def beat():
    while True:
        await asyncio.sleep(1)


async def main():
    alive = asyncio.create_task(beat())
    await asyncio.sleep(3)


asyncio.run(main())
"""
"""LM301, safe."""

TWO_RUNS = """\
import asyncio

import httpx


class Client:
    def __init__(self):
        self.http = httpx.AsyncClient()

    async def get(self, url):
        return await self.http.get(url)


client = Client()
asyncio.run(client.get("http://localhost/a"))
asyncio.run(client.get("http://localhost/b"))
"""
"""LM101."""


def unclosed(name: str) -> str:
    """A coroutine of this name that forgets to close its session."""
    return UNCLOSED.format(name=name)


MAYBE_TWO_RUNS = """\
import asyncio

from elsewhere import Client


def main():
    client = Client()
    asyncio.run(client.connect())
    print(asyncio.run(client.jobs()))
    asyncio.run(client.close())
"""
"""LM101, unsafe: what connect leaves behind is not known."""
