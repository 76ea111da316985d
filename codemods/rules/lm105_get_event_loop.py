"""LM105: ``get_event_loop()`` where the running loop is meant, or where there may be none."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from codemods.facts.comprehensions import evaluated_later
from codemods.facts.loops import HeldLoop, How, held_loops, is_micropython
from codemods.facts.module import Module
from codemods.facts.versions import runs_only_before
from codemods.model import Finding, Operation, Rewrite, Safety, Severity
from codemods.rewriting.operations import ReplaceExpression
from codemods.rules.base import Rule
from codemods.rules.missing_loop import missing_loop
from codemods.rules.needless_loop import needless
from codemods.rules.spelling import spelling

_RUNNING_SINCE = (3, 7)
_RAISES_SINCE = (3, 14)
_PATCHED = re.compile(rb"get_event_loop[\"']|\.get_event_loop[ \t]*=[^=]")


class GetEventLoop(Rule):
    """`get_event_loop()` in a coroutine, or in plain code that may have no loop.

    What it finds
        `asyncio.get_event_loop()` in the body of an `async def`, where it gives the running loop; and
        in plain code, where it gives the current loop if there is one. Plain code that asks whether
        there is one (`try: ... except RuntimeError:`), that sets one before, that only coroutines of
        the file call, that is a method of an `IsolatedAsyncioTestCase`, or a branch for Python versions
        before 3.14, is right. What is run by hand on such a loop belongs to LM103.

    Why it breaks
        In a coroutine nothing breaks: `get_running_loop()` is the same loop, and the name says so.
        In plain code, `get_event_loop()` makes a new loop when there is none, which nobody closes;
        Python 3.12 warns of that and Python 3.14 raises `RuntimeError: There is no current event
        loop`. In a thread, and after any `asyncio.run`, it raises on every version.

    What it changes
        In a coroutine, `asyncio.get_event_loop()` becomes `asyncio.get_running_loop()`. A loop with
        which nothing is done, or nothing but what LM106 takes out, goes away altogether.

    When it refuses
        In plain code; in plain functions and lambdas inside of a coroutine, which may run in another
        thread; where it stands in for a loop that may be given, `loop or asyncio.get_event_loop()`.

    Safety
        Safe: in a coroutine the two give the same object. Unsafe where the file patches
        `get_event_loop` by its name, as a test may do.
    """

    code = "LM105"
    name = "get-event-loop"

    def find(self, module: Module) -> Iterator[Finding]:
        """Every call of ``get_event_loop`` that gives something else than its reader may think."""
        if is_micropython(module):
            return
        for held in held_loops(module):
            if held.how is not How.CURRENT or module.qualname(held.made.func) is None:
                continue
            if runs_only_before(module, held.made, _RAISES_SINCE):
                continue
            if module.in_coroutine(held.made):
                if not _starts_a_run(held):
                    yield self._in_coroutine(module, held)
            elif missing := missing_loop(module, held):
                yield self.finding(module, held.made, missing.message, missing.severity, refusal=missing.advice)

    def _in_coroutine(self, module: Module, held: HeldLoop) -> Finding:
        message = f"`{module.code(held.made)}` gives the loop that runs this coroutine, which `get_running_loop` says"
        rewrite = _rewrite(module, held)
        if isinstance(rewrite, str):
            return self.finding(module, held.made, message, Severity.INFO, refusal=rewrite)
        return self.finding(module, held.made, message, Severity.INFO, rewrite=rewrite)


def _starts_a_run(held: HeldLoop) -> bool:
    """``get_event_loop().run_until_complete(...)``: LM102 awaits what is run there."""
    return held.binding is None and held.uses[0].method == "run_until_complete"


def _rewrite(module: Module, held: HeldLoop) -> Rewrite | str:
    if isinstance(module.parent(held.made), ast.BoolOp | ast.IfExp):
        return "another loop may be given in its place: what is made here may then belong to a loop that does not run"
    if evaluated_later(module, held.made) is not None:
        return "the generator expression may be read where no loop runs: take the loop before it"
    if module.target < _RUNNING_SINCE:
        return "`get_running_loop` needs Python 3.7"
    if operations := needless(module, held):
        return Rewrite("Leave out the loop, which nothing needs", Safety.SAFE, operations)
    operations = _replaced(module, held)
    if not operations:
        return "asyncio is imported in a form that gives no `get_running_loop`: import asyncio"
    title = "Take the running loop"
    if _PATCHED.search(module.source.data):
        why = "this file patches `get_event_loop`, and would have to patch `get_running_loop`"
        return Rewrite(title, Safety.UNSAFE, operations, why)
    return Rewrite(title, Safety.SAFE, operations)


def _replaced(module: Module, held: HeldLoop) -> tuple[Operation, ...]:
    """``get_running_loop`` in its place; where that takes an import, in all places that the import serves."""
    name, change = spelling(module, "get_running_loop", held.made.func, ())
    if change is None:
        return (ReplaceExpression(module.span(held.made.func), name),) if name else ()
    calls = [
        call
        for call in module.calls("asyncio.get_event_loop")
        if module.in_coroutine(call) and evaluated_later(module, call) is None and _is_same(call.func, held.made.func)
    ]
    calls = [call for call in calls if not isinstance(module.parent(call), ast.BoolOp | ast.IfExp)]
    name, change = spelling(module, "get_running_loop", held.made.func, calls)
    assert change is not None
    return (change, *(ReplaceExpression(module.span(call.func), name) for call in calls))


def _is_same(one: ast.expr, other: ast.expr) -> bool:
    return isinstance(one, ast.Name) and isinstance(other, ast.Name) and one.id == other.id
