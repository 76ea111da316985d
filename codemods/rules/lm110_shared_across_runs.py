"""LM110 shared-across-runs: one client, and several functions that each run a loop of their own."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from codemods.facts.bonds import may_bind
from codemods.facts.module import Module
from codemods.facts.nodes import start
from codemods.facts.run_sites import run_sites
from codemods.model import Finding, Related
from codemods.rules.base import Rule

if TYPE_CHECKING:
    from codemods.facts.long_lived import Use

_ENGINE = "sqlalchemy.ext.asyncio.create_async_engine"


class SharedAcrossRuns(Rule):
    """A client that lives as long as the process is used by coroutines that each get a loop of their own.

    What it finds
        An async client, session, connection pool or SQLAlchemy engine in a variable of the module, in
        an attribute of a class, in the cache of a function, or in an attribute of an instance whose
        methods run loops; a queue or event that somebody waits for. And runs that get at it, directly
        or through functions of the same file: `asyncio.run`, `run_until_complete` on a new loop,
        `async_to_sync`, also behind a wrapper such as `run_async(coro)`.

        The runs have to happen in one process: a function that is called again and again (a task of
        Celery, RQ, Dramatiq or Huey, a scheduled job, a web route, a Lambda handler, one that is
        called in a loop), two tests, two methods of one object, two functions that are called one
        after the other. Two public functions that nothing in the file calls are a warning, commands
        of a command line, which each have a process of their own, a hint. Runs inside one function
        are the matter of LM101.

        Fine are objects that every run makes anew or closes before it ends, or that work on any loop
        (aiosqlite, psycopg, an engine with `NullPool`), and one run in `main`.

    Why it breaks
        Every run makes a loop and closes it. The client keeps a connection open, which belongs to the
        loop of the first run. The next run takes that connection and raises `RuntimeError: Event loop
        is closed`, or `got Future attached to a different loop`: in a worker every second task fails,
        and the next one, on a new connection, works again.

    What it changes
        Nothing: where the client should be made is a decision.

    When it refuses
        Always. Make the client inside the coroutine that is run, or keep one loop for all runs.

    Safety
        Only reported. What other modules make, and what they run, is not seen.
    """

    code = "LM110"
    name = "shared-across-runs"
    fixable = False

    def find(self, module: Module) -> Iterator[Finding]:
        """One finding for each object, where it is made."""
        sites = run_sites(module) if may_bind(module) else []
        if not sites:
            return
        # Few files get this far, and these take as long to import as all of them take to look at.
        from codemods.facts.long_lived import uses_of
        from codemods.rules.crossing_runs import crossing

        by_object: dict[ast.Call, list[Use]] = {}
        for site in sites:
            for use in uses_of(module, site):
                assert use.binding.made is not None
                by_object.setdefault(use.binding.made, []).append(use)
        for made, uses in sorted(by_object.items(), key=lambda item: start(item[0])):
            resource = module.catalog.by_name.get(uses[0].binding.kind)
            if resource is not None and resource.in_loop and module.function(made) is None:
                continue  # making it there raises: LM204
            judged = crossing(module, uses)
            if judged is None:
                continue
            together, how, severity = judged
            yield self.finding(
                module,
                made,
                f"`{uses[0].name}` ({uses[0].binding.kind}) {how}",
                severity,
                refusal=_remedy(uses[0]),
                related=tuple(related for use in together[:3] for related in _places(module, use)),
            )


def _remedy(use: Use) -> str:
    kind = use.binding.kind
    if kind == _ENGINE:
        return (
            "make the engine inside the coroutine that is run and dispose of it there, or give it "
            "`poolclass=NullPool`, so that no connection outlives a run"
        )
    if kind.startswith("asyncio."):
        return "make it inside the coroutine that is run, and hand it on from there"
    return (
        "make it inside the coroutine that is run, in an `async with` or with its close in a `finally`, "
        "and hand it on; or keep one loop for all runs"
    )


def _places(module: Module, use: Use) -> Iterator[Related]:
    function = use.site.function
    yield Related(module.path, module.span(use.site.node), f"`{function.name}` runs a loop of its own here")
    through = " -> ".join(use.path)
    yield Related(module.path, module.span(use.node), f"and uses it here{', through ' + through if through else ''}")
