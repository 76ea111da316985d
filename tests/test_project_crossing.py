"""What leaves an async fixture, judged by its body."""

from __future__ import annotations

import pytest

from codemods.facts.module import Module
from codemods.project.crossing import Crossing, crossing
from codemods.project.pytest_syntax import Syntax
from codemods.source import Source

HEAD = """\
import asyncio
import asyncpg
import httpx
import pytest_asyncio
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool
@pytest_asyncio.fixture(scope="session")
"""


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("async def f():\n    await asyncio.sleep(0)\n    yield\n", Crossing.NOTHING),
        ("async def f() -> str:\n    return await token()\n", Crossing.NOTHING),
        ("async def f():\n    return make()\n", Crossing.NOTHING),
        ("async def f():\n    global pool\n    pool = await make()\n", Crossing.SOMETHING),
        ("async def f(request):\n    request.cls.pool = await make()\n", Crossing.SOMETHING),
        ("async def f():\n    return await make()\n", Crossing.SOMETHING),
        ("async def f():\n    async with httpx.AsyncClient() as client:\n        yield client\n", Crossing.BOUND),
        ("async def f():\n    pool = await asyncpg.create_pool()\n    yield pool\n", Crossing.BOUND),
        (
            "async def f(app):\n    async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as client:\n"
            "        yield client\n",
            Crossing.IN_PROCESS,
        ),
        (
            "async def f():\n    setup = await asyncpg.connect('x')\n    await setup.close()\n"
            "    engine = create_async_engine('x', poolclass=NullPool)\n    yield engine\n",
            Crossing.NOTHING,
        ),
    ],
)
def test_what_leaves_a_fixture(body: str, expected: Crossing) -> None:
    syntax = Syntax(Module(Source("conftest.py", (HEAD + body).encode())))
    assert crossing(syntax.fixtures[0]) is expected
