import pytest_asyncio

from app.client import Client


@pytest_asyncio.fixture(scope="session")
async def client():
    client = Client("http://localhost:8080")
    await client.connect()
    yield client
    await client.close()
