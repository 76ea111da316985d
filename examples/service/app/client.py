"""Talking to the API."""

import aiohttp


class Client:
    """The API with one session for all calls."""

    def __init__(self, url):
        self.url = url
        self.session = None

    async def connect(self):
        self.session = aiohttp.ClientSession(self.url)

    async def jobs(self):
        async with self.session.get("/jobs") as response:
            response.raise_for_status()
            return await response.json()

    async def close(self):
        await self.session.close()


async def is_healthy(url):
    """Whether the API answers at all."""
    session = aiohttp.ClientSession()
    response = await session.get(url + "/health")
    body = await response.json()
    return body["status"] == "ok"
