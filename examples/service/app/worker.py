"""Work off the queue, and say every few seconds that we are alive."""

import asyncio

import aiohttp


async def report_alive(session, url):
    while True:
        await session.post(url + "/alive")
        await asyncio.sleep(5)


async def work(session, url, queue):
    while not queue.empty():
        job = await queue.get()
        await session.post(url + "/done", json={"job": job})


async def main(url, jobs):
    queue = asyncio.Queue()
    for job in jobs:
        queue.put_nowait(job)
    async with aiohttp.ClientSession() as session:
        alive = asyncio.create_task(report_alive(session, url))
        await work(session, url, queue)


if __name__ == "__main__":
    asyncio.run(main("http://localhost:8080", ["a", "b"]))
