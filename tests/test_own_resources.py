"""Resources that users add in their config, through the command line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.conftest import Loopmend

RESOURCE = """
[[tool.loopmend.resource]]
qualname = "shop.client.Client"
aliases = ["shop.connect"]
acquire = "call"
context = "async-with"
close = "aclose"
"""

NEVER = """\
from shop.client import Client


async def main(url):
    client = Client(url)
    print(await client.get())
"""

MENDED = """\
from shop.client import Client


async def main(url):
    async with Client(url) as client:
        print(await client.get())
"""

SKIPPED = """\
import shop


async def main(url):
    client = shop.connect(url)
    print(await client.get())
    await client.aclose()
"""

TWO_RUNS = """\
import asyncio
from shop.client import Client

client = Client()
asyncio.run(client.get(1))
asyncio.run(client.get(2))
"""


SHARED = """\
import pytest
from shop.client import Client

client = Client()


@pytest.mark.asyncio
async def test_one():
    await client.get(1)


@pytest.mark.asyncio
async def test_two():
    await client.get(2)
"""


def test_a_resource_of_the_user_is_found_and_mended(loopmend: Loopmend, project: Path) -> None:
    (project / "a.py").write_text(NEVER)
    (project / "b.py").write_text(SKIPPED)
    (project / "c.py").write_text(TWO_RUNS)
    assert "LM20" not in loopmend("check").out
    (project / "pyproject.toml").write_text(RESOURCE)
    found = loopmend("check").out
    assert "a.py:5:5: LM201 [safe fix]" in found
    assert "b.py:5:5: LM202 [safe fix]" in found
    assert "`client` (shop.client.Client) is bound to the loop of this run" in found
    loopmend("apply")
    assert (project / "a.py").read_text() == MENDED


def test_a_client_of_the_users_own_that_tests_share_is_found(loopmend: Loopmend, project: Path) -> None:
    (project / "pyproject.toml").write_text(RESOURCE)
    (project / "test_shop.py").write_text(SHARED)
    assert "test_shop.py:4:1: LM406 the shop.client.Client that client keeps" in loopmend("check").out


def test_what_was_silent_without_the_resource_is_not_taken_from_the_cache(loopmend: Loopmend, project: Path) -> None:
    (project / "a.py").write_text(NEVER)
    os.utime(project / "a.py", (1, 1))
    (project / "pyproject.toml").write_text("[tool.loopmend]\n")
    assert loopmend("check").code == 0
    (project / "pyproject.toml").write_text(RESOURCE)
    assert loopmend("check").code == 1


def test_the_workers_know_it_too(loopmend: Loopmend, project: Path) -> None:
    for number in range(12):
        (project / f"a{number}.py").write_text(NEVER)
    (project / "loopmend.toml").write_text(RESOURCE.replace("tool.loopmend.", ""))
    assert loopmend("apply", "--jobs", "2").code == 0
    assert {path.read_text() for path in project.glob("*.py")} == {MENDED}


def test_an_entry_replaces_the_one_of_the_same_name(loopmend: Loopmend, project: Path) -> None:
    (project / "a.py").write_text(NEVER.replace("shop.client", "httpx").replace("Client", "AsyncClient"))
    (project / "pyproject.toml").write_text(
        RESOURCE.replace("shop.client.Client", "httpx.AsyncClient").replace('"async-with"', '"none"')
    )
    loopmend("apply")
    assert "finally:\n        await client.aclose()" in (project / "a.py").read_text()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("acquire", "aquire", "shop.client.Client: unknown key 'aquire'; did you mean 'acquire'?"),
        ('close = "aclose"', "close = 1", "shop.client.Client: close: expected a string, not 1"),
        ('acquire = "call"\n', "", "shop.client.Client: acquire is missing"),
        ("[[tool.loopmend.resource]]", "[tool.loopmend.resource]", "expected tables: [[tool.loopmend.resource]]"),
    ],
)
def test_a_mistake_names_the_entry_and_the_key(
    loopmend: Loopmend, project: Path, old: str, new: str, message: str
) -> None:
    (project / "a.py").write_text(NEVER)
    (project / "pyproject.toml").write_text(RESOURCE.replace(old, new))
    result = loopmend("check")
    assert result.code == 2
    assert "pyproject.toml: resource: " + message in result.err
