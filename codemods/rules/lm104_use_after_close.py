"""LM104: a loop is used after it was closed."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from codemods.facts import flow
from codemods.facts.loops import HeldLoop, How, Use, held_loops, is_bound_once
from codemods.facts.manual_loops import manual_sites
from codemods.facts.module import Module
from codemods.model import Finding, Operation, Related, Rewrite, Safety, Severity
from codemods.rewriting.operations import InsertAfter, RemoveStatement
from codemods.rules.base import Rule

_HARMLESS = ("close", "is_closed", "is_running", "get_debug", "time")
_RUN = "run_until_complete"


class UseAfterClose(Rule):
    """A loop is used after `loop.close()`.

    What it finds
        `run_until_complete`, `create_task`, `call_soon` and the like on a loop that the same function
        has closed before; and `get_event_loop().run_until_complete(...)` in a file where another function
        closes the current loop and leaves it current.

    Why it breaks
        A closed loop stays closed: `RuntimeError: Event loop is closed`, and the coroutine is never
        awaited. `asyncio.set_event_loop(loop)` followed by `loop.close()` leaves the closed loop
        current, so that the next `get_event_loop()` gives it out.

    What it changes
        The close moves behind the last use, where both stand in one block. LM103 replaces the loop
        altogether where it can.

    When it refuses
        Closes that are conditional, in a `finally` or in another function; uses that return.

    Safety
        Safe: as it is, the use raises.
    """

    code = "LM104"
    name = "use-after-close"

    def find(self, module: Module) -> Iterator[Finding]:
        """Every first use behind a close, and every run on a current loop that another function closed."""
        for held in held_loops(module):
            if held.how is not How.RUNNING and held.binding is not None and is_bound_once(module, held):
                yield from self._in_function(module, held)
        yield from self._across(module)

    def _in_function(self, module: Module, held: HeldLoop) -> Iterator[Finding]:
        own = [use for use in held.uses if use.method and module.scope(use.node) is held.scope]
        for close in own:
            if close.method != "close":
                continue
            later = [use for use in own if use.method not in _HARMLESS and _follows(module, close, use)]
            if not later:
                continue
            rewrite = _move(module, close, later)
            related = (Related(module.path, module.span(close.call(module)), "closed here"),)
            message = f"`{held.name}` is closed by then: `{module.code(later[0].call(module).func)}` raises"
            yield self.finding(
                module,
                later[0].call(module),
                message,
                Severity.ERROR,
                rewrite=rewrite if isinstance(rewrite, Rewrite) else None,
                refusal=rewrite if isinstance(rewrite, str) else "",
                related=related,
            )
            return

    def _across(self, module: Module) -> Iterator[Finding]:
        sites = manual_sites(module)
        closing = [site for site in sites if site.is_closed and (site.how is How.CURRENT or site.is_set)]
        for site in sites:
            before = [other for other in closing if other.scope is not site.scope]
            if site.how is How.CURRENT and site.runs and before and not site.probe:
                line = before[0].place.lineno
                message = f"this raises once the loop of line {line} was closed: it stays the current one"
                advice = "run each by `asyncio.run`, which makes its own loop and leaves no current one"
                yield self.finding(module, site.place, message, Severity.INFO, refusal=advice)


def _follows(module: Module, close: Use, use: Use) -> bool:
    after = (use.node.lineno, use.node.col_offset) > (close.node.lineno, close.node.col_offset)
    return after and flow.can_follow(module, close.node, use.node)


def _move(module: Module, close: Use, later: list[Use]) -> Rewrite | str:
    statement = module.statement(close.node)
    if not isinstance(statement, ast.Expr) or statement.value is not close.call(module):
        return "the close is part of something larger: put it behind the last use"
    block = module.block(statement)
    tops: list[ast.stmt] = []
    for use in later:
        above = [node for node in (use.node, *module.ancestors(use.node)) if node in block.statements]
        tops += [node for node in above if isinstance(node, ast.stmt)]
    if len(tops) != len(later):
        return (
            "the close is conditional, or stands in another block: close the loop behind its last use, in a `finally`"
        )
    last = max(tops, key=lambda top: top.lineno)
    if not flow.falls_through(module, [last]) or not all(map(module.stands_alone, (statement, last))):
        return "the last use leaves the function, or shares its line: close the loop in a `finally` around it"
    operations: tuple[Operation, ...] = (
        RemoveStatement(module.span(statement)),
        InsertAfter(module.span(last), module.code(statement)),
    )
    return Rewrite("Close the loop behind its last use", Safety.SAFE, operations)
