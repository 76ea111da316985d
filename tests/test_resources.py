"""The catalog of resources, and what depends on the path or the version of a file."""

from __future__ import annotations

import textwrap
from typing import Any

import pytest

from codemods.catalog import resources
from codemods.facts.lifetimes import End, lifetimes
from codemods.facts.module import Module
from codemods.model import Severity
from codemods.rules.lm201_unclosed_resource import UnclosedResource
from codemods.rules.lm202_close_skipped import CloseSkipped
from codemods.source import Source


def module(code: str, path: str = "app.py") -> Module:
    return Module(Source(path, textwrap.dedent(code).encode()))


def ends(body: str) -> list[End]:
    """How the resources of a coroutine with this body end."""
    head = "import aiohttp, asyncpg, asyncio\nasync def f(url, dsn, keep):\n"
    code = head + textwrap.indent(textwrap.dedent(body), "    ")
    return [life.end for life in lifetimes(module(code))]


def entry(**changes: Any) -> dict[str, Any]:
    table = {"qualname": "shop.Client", "acquire": "call", "context": "async-with", "close": "close", **changes}
    return {key: value for key, value in table.items() if value is not None}


# -- the catalog ------------------------------------------------------------------------------


def test_the_names_read_without_parsing_are_those_of_the_catalog() -> None:
    assert resources.constructor_names() == set(resources.load().by_name)


def test_every_constructor_has_its_needles() -> None:
    needles = set(resources.needles(resources.constructor_names()))
    for name in resources.load().by_name:
        package, tail = name.partition(".")[0].encode(), name.rpartition(".")[2].encode()
        assert (package, tail + b"(") in needles


@pytest.mark.parametrize("resource", dict.fromkeys(resources.load().by_name.values()), ids=lambda r: r.qualname)
def test_nothing_that_only_looks_like_a_close_counts_as_one(resource: resources.Resource) -> None:
    assert not resource.closers & set(resource.not_close)
    assert resource.close == "" or resource.close in resource.closers


def test_an_entry_of_the_user_is_added_and_replaces() -> None:
    own = entry(qualname="aiohttp.ClientSession", close="shut")
    catalog = resources.load((resources.parse(own), resources.parse(entry(aliases=["shop.connect"]))))
    assert catalog.by_name["aiohttp.ClientSession"].close == "shut"
    assert catalog.by_name["shop.connect"].qualname == "shop.Client"
    assert resources.load().by_name["aiohttp.ClientSession"].close == "close"


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"colour": "red"}, "shop.Client: unknown key 'colour'"),
        ({"close": 3}, "shop.Client: close: expected a string, not 3"),
        ({"aliases": "shop.connect"}, "shop.Client: aliases: expected a list of strings"),
        ({"aliases": [1]}, "shop.Client: aliases: expected a list of strings"),
        ({"close": None}, "shop.Client: close is missing"),
        ({"context": "with"}, "shop.Client: context: 'with' is not one of async-with, async-with-await, none"),
        ({"acquire": "yield"}, "shop.Client: acquire: 'yield' is neither call nor await"),
        ({"context": "none", "close": ""}, "shop.Client: without a context manager and without close"),
        ({"qualname": "Client"}, "Client: 'Client' is not what an import spells"),
        ({"aliases": ["shop connect"]}, "shop.Client: 'shop connect' is not what an import spells"),
        ({"severity": "fatal"}, "shop.Client: severity: 'fatal' is not one of info, warning, error"),
        ({"qualname": None}, "a resource without qualname: qualname is missing"),
    ],
)
def test_an_entry_that_makes_no_sense_is_named(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(resources.CatalogError, match=f"^{complaint}"):
        resources.parse(entry(**changes))


def test_the_cleanup_closes_and_then_waits() -> None:
    by_name = resources.load().by_name
    assert by_name["asyncio.open_connection"].cleanup("w") == "w.close()\nawait w.wait_closed()"
    assert by_name["grpc.aio.server"].cleanup("server") == "await server.stop(None)"
    assert by_name["aiogram.Bot"].cleanup("bot") == "await bot.session.close()"


# -- how a life ends --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "s = aiohttp.ClientSession()\nasync with s:\n    await s.get(url)",
        "s = aiohttp.ClientSession()\ntry:\n    await s.get(url)\nfinally:\n    await s.close()",
        "s = None\ntry:\n    s = aiohttp.ClientSession()\nfinally:\n    if s:\n        await s.close()",
        "s = aiohttp.ClientSession()\nasync def end():\n    await s.close()\nurl.add(end)",
        "s = aiohttp.ClientSession()\nurl.addAsyncCleanup(s.close)",
        "s = aiohttp.ClientSession()\nyield s\nawait s.close()",
        "s = aiohttp.ClientSession()\nawait s.get(url)\nawait close_everything(s)",
        "c = await asyncpg.connect(dsn)\ntry:\n    await c.fetch(url)\nexcept OSError:\n    await c.close()\nreturn c",
    ],
)
def test_closed(body: str) -> None:
    assert ends(body) == [End.CLOSED]


@pytest.mark.parametrize(
    "body",
    [
        "s = aiohttp.ClientSession()\nawait s.get(url)\nawait s.close()",
        "s = aiohttp.ClientSession()\nif keep:\n    return await s.get(url)\nawait s.close()",
        "s = aiohttp.ClientSession()\nawait s.get(url)\nawait asyncio.wait_for(s.close(), 1)",
    ],
)
def test_closed_on_the_happy_path(body: str) -> None:
    assert ends(body) == [End.HAPPY]


@pytest.mark.parametrize(
    "body",
    [
        "s = aiohttp.ClientSession()\nawait s.get(url)",
        "s = aiohttp.ClientSession()\ns.get(url).close()",
        "s = aiohttp.ClientSession()\nawait s.get(url)\ns.close()",
        "s = aiohttp.ClientSession()\ntry:\n    await s.get(url)\nexcept OSError:\n    await s.close()\n    raise",
    ],
)
def test_never_closed(body: str) -> None:
    assert ends(body) == [End.NEVER]


def test_what_is_bound_nowhere_is_left_to_its_owner() -> None:
    assert ends("url.session = aiohttp.ClientSession()\nreturn Shop(aiohttp.ClientSession())") == []


# -- findings that no fixture can show --------------------------------------------------------

ENV = """
    from alembic import context
    from sqlalchemy.ext.asyncio import create_async_engine

    async def run(url):
        engine = create_async_engine(url)
        async with engine.connect() as connection:
            await connection.run_sync(context.run_migrations)
        await engine.dispose()
"""


def test_a_method_named_like_a_builtin_may_keep_the_session() -> None:
    code = """
        import aiohttp
        from shop import current

        async def setup(url):
            session = aiohttp.ClientSession()
            current.set(session)
            print(session, list([session]))
    """
    (finding,) = UnclosedResource().find(module(code))
    assert (finding.severity, finding.refusal) == (
        Severity.INFO,
        "`set(...)` may keep `session`: close it when that is done with",
    )


def test_the_template_of_alembic_is_left_as_it_is() -> None:
    (finding,) = CloseSkipped().find(module(ENV, "migrations/env.py"))
    assert (finding.severity, finding.rewrite) == (Severity.INFO, None)
    assert "Alembic" in finding.refusal
    (finding,) = CloseSkipped().find(module(ENV, "migrations/other.py"))
    assert finding.rewrite is not None


def test_a_plain_function_without_a_loop_is_no_finding() -> None:
    code = """
        from openai import AsyncOpenAI

        def make(app):
            client = AsyncOpenAI()
            app.setup(client)
    """
    assert list(UnclosedResource().find(module(code))) == []
