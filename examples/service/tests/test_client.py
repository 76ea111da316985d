from app.client import is_healthy


async def test_lists_jobs(client):
    assert await client.jobs() == []


async def test_lists_jobs_again(client):
    assert await client.jobs() == []


async def test_is_healthy(url):
    assert await is_healthy(url)
