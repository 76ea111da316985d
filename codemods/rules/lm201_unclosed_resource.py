"""LM201 unclosed-resource: a session, client or connection that nobody closes."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from codemods.facts.lifetimes import End, Lifetime, lifetimes
from codemods.facts.module import Module
from codemods.facts.owners import owner_closes
from codemods.model import Finding, Severity
from codemods.rules.base import Rule
from codemods.rules.closing import Refusal, close_it
from codemods.rules.inline import open_inline


class UnclosedResource(Rule):
    """A session, client or connection is opened in a coroutine and never closed.

    What it finds
        A coroutine makes an object out of the catalog of resources (`aiohttp.ClientSession()`,
        `httpx.AsyncClient()`, `redis.asyncio.from_url()`, `AsyncOpenAI()`, `asyncpg.connect()`,
        `asyncio.open_connection()` and a hundred more), keeps it in a local variable or uses it on
        the spot, and nothing closes it: no statement here, and nothing in the file that goes over the list
        or the attribute that keeps it.

    Why it breaks
        Its connections belong to the loop. When `asyncio.run` returns, the loop is closed and they
        are still open: "Unclosed client session", `ResourceWarning`, a program that hangs at exit,
        and `RuntimeError: Event loop is closed` from whatever tries to close them then.

    What it changes
        The statements from the creation to the last one that needs the object, or a response,
        cursor or task that lives off it, move into `async with X() as x:`; an object that is used
        on the spot (`await X().get()`) gets a name on the way. Where there is no
        context manager, or entering it does more than that, they move into a `try` whose
        `finally` closes the object.

    When it refuses
        Somebody else has to close the object: it is returned, yielded, stored on an object or in a
        container, kept by a constructor (reported as a hint). Or the place to close it is not
        plain: a nested function or a task may use it later, the name stands for several objects,
        it is used outside of the block that it is made in, it works without being named (a server, a
        connection with a listener), or several statements share a line.

    Safety
        Safe: the object is closed after its last use in the function. Unsafe where it is handed to
        a coroutine function that is not in the file, which may keep it, where `wait_closed()` may
        raise an error that the function catches now, where the rewrite needs a newer version of the
        package, and in async generators.
    """

    code = "LM201"
    name = "unclosed-resource"

    def find(self, module: Module) -> Iterator[Finding]:
        """Every resource of a function that is never closed."""
        for life in lifetimes(module):
            if life.end is not End.NEVER:
                continue
            creation = life.creation
            place = creation.binding or creation.call
            message, severity = _message(life), Severity(creation.resource.severity)
            try:
                if not module.in_coroutine(creation.call):
                    _refuse_sync(module, life)
                mend = close_it if creation.binding is not None else open_inline
                yield self.finding(module, place, message, severity, rewrite=mend(module, life))
            except Refusal as refusal:
                worst = min(severity, refusal.severity, key=lambda s: s.rank)
                if owner_closes(module, life):
                    continue
                if worst is Severity.INFO:
                    message = f"`{creation.name}` is not closed here: it stays open until its owner closes it"
                yield self.finding(module, place, message, worst, refusal=refusal.reason)
            except _NotUsedInLoop:
                continue


class _NotUsedInLoop(Exception):
    """A resource of a plain function that no loop is run for in that function."""


def _message(life: Lifetime) -> str:
    creation = life.creation
    what = f"`{creation.name}`" if creation.name else f"the `{creation.resource.qualname}`"
    if life.closes.forgotten:
        return f"{what} is never closed: `close()` is a coroutine, and it is not awaited"
    if creation.resource.note:
        return f"{what} is never closed: {creation.resource.note}"
    return f"{what} is never closed: its connections stay open until the loop is closed under them"


def _refuse_sync(module: Module, life: Lifetime) -> None:
    """Raise Refusal for a resource that is handed to a run of the loop, _NotUsedInLoop for any other."""
    runs = ("run", "run_until_complete")
    for read in life.trace.reads:
        for above in module.ancestors(read):
            if isinstance(above, ast.Call) and isinstance(above.func, ast.Attribute) and above.func.attr in runs:
                raise Refusal(f"`{life.creation.function.name}` is not a coroutine: open it inside the one that is run")
    raise _NotUsedInLoop
