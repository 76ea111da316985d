"""LM110 shared-across-runs: one client, and several functions that each run a loop of their own."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import combinations

from codemods.facts.bonds import WAITED_ON
from codemods.facts.long_lived import Use, uses_of
from codemods.facts.module import FunctionNode, Module
from codemods.facts.nodes import start
from codemods.facts.recurrence import both_called, is_command, is_command_line, is_offered, is_test, recurs
from codemods.facts.run_sites import run_sites
from codemods.model import Finding, Related, Severity
from codemods.rules.base import Rule

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
        by_object: dict[ast.Call, list[Use]] = {}
        for site in run_sites(module):
            for use in uses_of(module, site):
                assert use.binding.made is not None
                by_object.setdefault(use.binding.made, []).append(use)
        for made, uses in sorted(by_object.items(), key=lambda item: start(item[0])):
            resource = module.catalog.by_name.get(uses[0].binding.kind)
            if resource is not None and resource.in_loop and module.function(made) is None:
                continue  # making it there raises: LM204
            crossing = _crossing(module, uses)
            if crossing is None:
                continue
            together, how, severity = crossing
            yield self.finding(
                module,
                made,
                f"`{uses[0].name}` ({uses[0].binding.kind}) {how}",
                severity,
                refusal=_remedy(uses[0]),
                related=tuple(related for use in together[:3] for related in _places(module, use)),
            )


_Crossing = tuple[list[Use], str, Severity]


def _crossing(module: Module, uses: list[Use]) -> _Crossing | None:
    """The uses that happen on different loops in one process, and how that comes; None when none is known."""
    by_function: dict[FunctionNode, Use] = {}
    for use in uses:
        by_function.setdefault(use.site.function, use)
    error = Severity.ERROR if _is_sure(uses[0]) else Severity.WARNING
    for function, use in by_function.items():
        if not use.leaves_open:
            continue
        noun = "" if use.site.by_asgiref and not _is_task(module, function) else recurs(module, function)
        if noun:
            return [use], _again(f"each call of the {noun} `{function.name}`"), error
    functions = [f for f, use in by_function.items() if not use.site.by_asgiref]
    functions.sort(key=lambda function: not by_function[function].leaves_open)
    if not functions or not by_function[functions[0]].leaves_open:
        return None
    for one, other in combinations(functions, 2):
        if by_function[one].leaves_open and _both_happen(module, one, other):
            unclear = is_command_line(module) and not both_called(module, one, other)
            return [by_function[one], by_function[other]], _then(one, other), Severity.WARNING if unclear else error
    offered = [function for function in functions if is_offered(module, function)]
    if len(offered) > 1 and by_function[offered[0]].leaves_open and not is_command_line(module):
        message = _then(*offered[:2]) + ", once one process calls both"
        return [by_function[f] for f in offered], message, Severity.WARNING
    commands = [function for function in functions if is_command(function)]
    if len(commands) > 1 and by_function[commands[0]].leaves_open:
        message = _then(*commands[:2]) + ": harmless while each command has a process of its own"
        return [by_function[f] for f in commands], message, Severity.INFO
    return None


def _is_task(module: Module, function: FunctionNode) -> bool:
    return recurs(module, function) == "task"


def _is_sure(use: Use) -> bool:
    return use.binding.sure and use.binding.kind not in WAITED_ON


def _both_happen(module: Module, one: FunctionNode, other: FunctionNode) -> bool:
    """Whether two functions are called in one process, on the same object."""
    cls = module.scope(one)
    if isinstance(cls, ast.ClassDef) and cls is module.scope(other) and not (is_test(one) or is_test(other)):
        return True
    return (is_test(one) and is_test(other)) or both_called(module, one, other)


def _again(who: str) -> str:
    return f"is bound to the loop of its first run: {who} runs a new loop, and the one before is closed"


def _then(one: FunctionNode, other: FunctionNode) -> str:
    return f"is bound to the loop that `{one.name}` runs, which is closed when `{other.name}` uses it on another"


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
