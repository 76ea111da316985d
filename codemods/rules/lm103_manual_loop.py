"""LM103: a loop that is made, run and closed by hand."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

from codemods.facts.loop_end import LoopEnd
from codemods.facts.loop_site import Site
from codemods.facts.loops import How
from codemods.facts.manual_loops import current_elsewhere, manual_sites
from codemods.facts.module import Module
from codemods.facts.nodes import tail
from codemods.model import Finding, Operation, Related, Rewrite, Safety, Severity
from codemods.rewriting.operations import ChangeFromImport, RemoveStatement
from codemods.rules.base import Rule
from codemods.rules.loop_risks import why_unsafe
from codemods.rules.loop_shutdown import shut_down
from codemods.rules.missing_loop import is_guarded
from codemods.rules.own_run import own_run
from codemods.rules.unused_imports import drop_unused, is_only_in

_RAISES_SINCE = (3, 14)
_IMPORTS = (ChangeFromImport, RemoveStatement)
_FROM = re.compile(r"(from|import)\s+contextlib\b|from\s+asyncio\b")


class ManualLoop(Rule):
    """A loop is made, run and closed by hand.

    What it finds
        `run_until_complete` or `run_forever` on a loop that plain code gets by `get_event_loop()`,
        `new_event_loop()` or from a loop class. The loops of a file are one finding: once one of them
        is `asyncio.run`, `get_event_loop()` raises in the same thread. A loop that is shut down by hand
        as `asyncio.run` would do it, and that has to stay, is none.

    Why it breaks
        `loop.close()` does not end what still runs: tasks are destroyed while they are pending,
        asynchronous generators and the threads of the executor are never shut down, and what they
        still do fails with `RuntimeError: Event loop is closed`. An exception skips the close
        altogether. `get_event_loop()` without a loop warns since Python 3.12 and raises since 3.14.

    What it changes
        One run becomes `asyncio.run(...)`; several become one main coroutine where they stand next to
        each other, else `with asyncio.Runner() as runner:`. What makes, sets, shuts down and closes the
        loop goes away, and so does a `for` that cancels all tasks in front of the close. A coroutine that
        got the loop as an argument takes the running one. A future such as `asyncio.gather(...)` gets a
        coroutine around it. Tasks that are started before the loop runs start in that coroutine, in the
        same order; those that no run waits for are cancelled and awaited at its end. `run_forever` becomes
        waiting for ever, where nothing stops the loop.

        Where the loop has to stay, and the source shows where it is closed, the missing steps go in front
        of `loop.close()`, in a `finally`: cancel the tasks and wait for them, `shutdown_asyncgens`,
        `shutdown_default_executor`.

    When it refuses
        `run_forever` in threads, and where something stops the loop; settings, signal handlers and callbacks
        on the loop before it runs; loops of chosen classes; loops that are kept on an object, returned,
        handed on, or used by several functions; code that asks whether a loop is running, and a function that
        makes a loop where there is none, unless only plain code at the top of the file calls it. If one loop
        of a file has to stay, so do the others that share its current loop.

    Safety
        Safe for a coroutine of this file, run once on a loop of its own, or on the current one at the
        top of the program, with no object that was made before and may belong to that loop; and for
        tasks that the next run waits for. Unsafe else: each call of a function would run on a loop of its
        own; an object made earlier may belong to the old one; what comes from elsewhere may not be a
        coroutine; a coroutine that is run behind a started task takes its first step before that. To shut
        down a loop that stays is unsafe: what still runs is cancelled, and waited for. It is only reported where the
        loop may be the one that runs the caller.
    """

    code = "LM103"
    name = "manual-loop"

    def find(self, module: Module) -> Iterator[Finding]:
        """One finding for all loops of the file that go together; one for each loop that stays."""
        sites = manual_sites(module)
        if not sites:
            return
        stuck, operations, whys = _convert(module, sites)
        for one in stuck.values():
            if not _is_loop_fixture(module, one.site):  # LM403 says all there is to say of it
                yield from self._stays(module, one)
        going = [site for number, site in enumerate(sites) if number not in stuck]
        if going:
            reasons = [*(why_unsafe(module, site, sites) for site in going), *whys]
            why = next(filter(None, reasons), "")
            safety = Safety.UNSAFE if why else Safety.SAFE
            rewrite = Rewrite("Run it by asyncio.run, which closes its loop", safety, tuple(operations), why)
            first, *others = going
            related = tuple(Related(module.path, module.span(site.place), "and this one") for site in others)
            message, severity = _message(module, first), _severity(module, first)
            yield self.finding(module, first.place, message, severity, rewrite=rewrite, related=related)

    def _stays(self, module: Module, stuck: _Stuck) -> Iterator[Finding]:
        """The finding for a loop that stays: none where it is shut down as ``asyncio.run`` would do it."""
        site, reason = stuck.site, stuck.reason
        message, severity = _message(module, site), _severity(module, site)
        if severity is not Severity.ERROR and not stuck.for_others:
            end = LoopEnd(module, site)
            if end.is_whole():
                return
            if operations := shut_down(module, end):
                why = f"what still runs is cancelled and waited for then; the loop itself stays: {reason}"
                rewrite = Rewrite("Shut the loop down before it is closed", Safety.UNSAFE, tuple(operations), why)
                yield self.finding(module, site.place, message, severity, rewrite=rewrite)
                return
        if site.obstacle or site.forever:
            severity = Severity.INFO
        yield self.finding(module, site.place, message, severity, refusal=reason)


def _is_loop_fixture(module: Module, site: Site) -> bool:
    """Whether the loop is the one that an override of pytest-asyncio's ``event_loop`` fixture hands out."""
    function = site.scope
    if not isinstance(function, ast.FunctionDef) or function.name != "event_loop":
        return False
    decorators = [d.func if isinstance(d, ast.Call) else d for d in function.decorator_list]
    return any(module.qualname(d) in ("pytest.fixture", "pytest_asyncio.fixture") for d in decorators)


def _message(module: Module, site: Site) -> str:
    left = "nothing shuts down what is still running on this loop when it is closed"
    if any(module.scope(call) is site.scope for call in module.calls("asyncio.all_tasks")):
        left = "what `asyncio.run` does at its end is done by hand here"
    elif not _is_closed(module, site):
        left = "nothing closes this loop, and what is still running on it is never shut down"
    if site.how is not How.CURRENT:
        return left
    raises = "raises" if module.target >= _RAISES_SINCE else "raises from Python 3.14 on, and warns before"
    return f"{left}; where none was set, `{module.code(site.loops[0].made)}` {raises}"


def _is_closed(module: Module, site: Site) -> bool:
    """Whether the loop is closed: in the same scope, or, where an object keeps it, anywhere in the file."""
    makers = [module.parent(held.made) for held in site.loops]
    targets = [target for maker in makers if isinstance(maker, ast.Assign) for target in maker.targets]
    targets += [maker.target for maker in makers if isinstance(maker, ast.AnnAssign)]
    kept = {tail(target) for target in targets if isinstance(target, ast.Attribute)}
    closes = [call.func for call in module.calls_ending("close") if isinstance(call.func, ast.Attribute)]
    return site.is_closed or any(
        tail(close.value) in kept or (tail(close.value) == site.name != "" and module.scope(close) is site.scope)
        for close in closes
    )


def _severity(module: Module, site: Site) -> Severity:
    return Severity.ERROR if site.how is How.CURRENT and module.target >= _RAISES_SINCE else Severity.WARNING


class _Stuck(NamedTuple):
    site: Site
    reason: str
    for_others: bool = False
    """Whether it could go, if another loop of the file did not stay."""


def _convert(module: Module, sites: list[Site]) -> tuple[dict[int, _Stuck], list[Operation], list[str]]:
    """The sites that have to stay, by number, each with its reason; what takes the others away, and may change."""
    makers = [held.made for site in sites for held in site.loops]
    replaced = [*makers, *module.calls("asyncio.set_event_loop")]
    operations: list[Operation] = []
    stuck: dict[int, _Stuck] = {}
    taken: set[str] = set()
    whys: list[str] = []
    for number, site in enumerate(sites):
        outcome = site.obstacle or own_run(module, site, replaced, taken)
        if isinstance(outcome, str):
            stuck[number] = _Stuck(site, outcome)
        else:
            operations += [operation for operation in outcome.operations if operation not in operations]
            whys.append(outcome.why_unsafe)
    operations += _without_imports(module, [s for number, s in enumerate(sites) if number not in stuck], operations)
    shared = _takes_current(module, sites) or next(
        (
            f"the loop of line {site.place.lineno} stays, and after `asyncio.run` there is no current loop for it"
            for site, *_ in stuck.values()
            if site.how is How.CURRENT or (site.is_set and site.scope is module.tree)
        ),
        "",
    )
    if shared:
        stuck = {number: stuck.get(number, _Stuck(site, shared, True)) for number, site in enumerate(sites)}
    return stuck, operations, whys


def _without_imports(module: Module, going: list[Site], operations: list[Operation]) -> list[Operation]:
    """What takes out the names of contextlib and asyncio that only the beginnings and ends of these loops needed."""
    blocks = [block.items[0].context_expr for site in going for block in site.blocks]
    gone = [*(statement for site in going for statement in site.done_with), *blocks]
    found = [operation for operation in drop_unused(module, gone, operations) if isinstance(operation, _IMPORTS)]
    changes = [operation for operation in operations if isinstance(operation, ChangeFromImport)]
    for statement in module.imports.statements:
        here = [change for change in changes if change.at == module.span(statement)]
        names = {alias.name for alias in statement.names if alias.asname is None} - {change.remove for change in here}
        unused = sorted(name for name in names if here and is_only_in(module, name, gone))
        found += [ChangeFromImport(module.span(statement), remove=name) for name in unused]
    return [operation for operation in found if _FROM.match(module.segment(operation.at))]


def _takes_current(module: Module, sites: list[Site]) -> str:
    """Why other code at the top of the file needs the current loop; empty when none does."""
    for call in current_elsewhere(module, sites):
        if module.function(call) is None and not is_guarded(module, call):
            return f"line {call.lineno} takes the current loop, too: change that first"
    return ""
