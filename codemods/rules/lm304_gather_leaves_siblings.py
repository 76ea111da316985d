"""LM304: one coroutine of a ``gather`` fails, and the others go on with what is being closed."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from codemods.facts import vocabulary as words
from codemods.facts.awaitables import Argument, arguments
from codemods.facts.flow import TRIES
from codemods.facts.holding import Holding, holdings, reads_of_holding
from codemods.facts.module import Module
from codemods.facts.nodes import FUNCTIONS, tail
from codemods.facts.raising import handles_errors
from codemods.facts.task_uses import Use
from codemods.facts.tasks import tasks_of
from codemods.facts.uses import Tracer
from codemods.model import Finding, Severity
from codemods.rules.base import Rule
from codemods.rules.gathering import settle


class GatherLeavesSiblings(Rule):
    """One coroutine of a `gather` fails, and the others go on with a session that is being closed.

    What it finds
        `await asyncio.gather(...)` without `return_exceptions=True`, of two coroutines or more that use a
        session, client, pool or connection which the same function opens.

    Why it breaks
        `gather` raises the first error at once and leaves the other tasks running. The exception goes up
        through the `async with`, which closes the session under them: they die of "Session is closed", or
        of whatever the library makes of a closed connection. Nothing is logged, because `gather` has
        marked their errors as seen.

    What it changes
        The coroutines become tasks first. The `gather` goes into a `try`, whose `finally` cancels the
        tasks and waits for them with `asyncio.gather(*tasks, return_exceptions=True)`, inside the block,
        while everything is still open. The results, their order and the error that is raised are the same.
        A list that is filled with coroutines right in front is filled with tasks instead. A `finally` that ends
        other tasks behind the `gather` takes these in.

    When it refuses
        When the `gather` stands where it is not always evaluated, or behind another `await` of the
        same statement; when its arguments await something themselves; when a coroutine catches its own
        cancellation and goes on. It has nothing to say where every coroutine handles its errors itself, where
        an `except` or `finally` around it cancels, and inside an `asyncio.TaskGroup`.

    Safety
        Unsafe: when one coroutine fails, the others are cancelled and awaited before the error goes on,
        where they ran on before. An `asyncio.TaskGroup` does the same from Python 3.11 on, but raises an
        ExceptionGroup, which `except ValueError` does not catch.
    """

    code = "LM304"
    name = "gather-leaves-siblings"

    def find(self, module: Module) -> Iterator[Finding]:
        """Every plain gather of coroutines that share a resource of their function."""
        calls = [call for call in module.calls("asyncio.gather") if _is_plain(module, call)]
        if not calls:
            return
        held = list(holdings(module))
        tracer = Tracer(module, module.catalog)
        reads: dict[Holding, set[ast.Name]] = {}
        for call in calls:
            given = arguments(module, call)
            mine = [h for h in held if h.function is module.function(call) and _is_open(module, h, call)]
            if not mine or _is_looked_after(module, call, given) or _never_raise(module, given):
                continue
            inside = {node for part in (call, *(i for a in given for i in a.items)) for node in ast.walk(part)}
            for holding in mine:
                if holding not in reads:
                    reads[holding] = reads_of_holding(module, tracer, holding)
                if not inside.isdisjoint(reads[holding]):
                    yield self._judge(module, call, given, holding)
                    break

    def _judge(self, module: Module, call: ast.Call, given: list[Argument], holding: Holding) -> Finding:
        message = (
            f"when one of them fails, `gather` raises at once and the others go on with `{holding.name}`, which is "
            "closed under them: nobody waits for them or sees their errors"
        )
        rewrite = settle(module, call, given)
        if isinstance(rewrite, str):
            return self.finding(module, call, message, Severity.WARNING, refusal=rewrite)
        return self.finding(module, call, message, Severity.WARNING, rewrite=rewrite)


def _is_plain(module: Module, call: ast.Call) -> bool:
    """Whether a ``gather`` runs several awaitables, is awaited on the spot, and passes their errors on."""
    if len(call.args) < 2 and not any(isinstance(given, ast.Starred) for given in call.args):
        return False
    for keyword in call.keywords:
        if keyword.arg != "return_exceptions" or not isinstance(keyword.value, ast.Constant) or keyword.value.value:
            return False
    around = module.parent(call)
    if (
        isinstance(around, ast.Call)
        and around.args[:1] == [call]
        and module.qualname(around.func) == "asyncio.wait_for"
    ):
        around = module.parent(around)
    return isinstance(around, ast.Await) and module.in_coroutine(call)


def _is_open(module: Module, holding: Holding, call: ast.Call) -> bool:
    """Whether the resource is there where ``call`` stands."""
    if isinstance(holding.binding, ast.AsyncWith):
        return holding.binding in module.ancestors(call)
    return holding.binding.lineno < call.lineno


def _is_looked_after(module: Module, call: ast.Call, given: list[Argument]) -> bool:
    """Whether something cancels the tasks or waits for them, or they clean up and must not be cancelled."""
    items = [item for argument in given for item in argument.items]
    if any(isinstance(item, ast.Call) and words.CLOSING.search(tail(item.func)) for item in items):
        return True
    tasks = tasks_of(module)
    holders = [tasks.holder(node) for node in (*items, *(argument.node for argument in given))]
    if any(holder is not None and holder.used(Use.CANCEL) for holder in holders):
        return True
    child: ast.AST = call
    for above in module.ancestors(call):
        if isinstance(above, FUNCTIONS):
            return False
        if isinstance(above, TRIES):
            cleanup = [*above.finalbody, *(statement for handler in above.handlers for statement in handler.body)]
            nodes = [node for statement in cleanup for node in ast.walk(statement)]
            cancels = [n for n in nodes if isinstance(n, ast.Call) and tail(n.func) == "cancel"]
            cancelled = [found[0] if (found := tasks.cancelled(cancel)) else None for cancel in cancels]
            if child in above.finalbody or any(one is None or one in holders for one in cancelled):
                return True
        if isinstance(above, ast.AsyncWith | ast.With):
            made = [item.context_expr for item in above.items if isinstance(item.context_expr, ast.Call)]
            if any(tail(one.func) in _LOOKING_AFTER for one in made):
                return True
        child = above
    return False


_LOOKING_AFTER = {"TaskGroup", "create_task_group", "raises", "assertRaises", "assertRaisesRegex"}
"""Context managers that wait for tasks, and those of tests that expect an error."""


def _never_raise(module: Module, given: list[Argument]) -> bool:
    """Whether every coroutine is of a function of this file that handles its errors itself."""
    return all(a.items and all(handles_errors(module, item) for item in a.items) for a in given)
