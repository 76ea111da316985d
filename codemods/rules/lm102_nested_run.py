"""LM102: a loop is started inside a coroutine, where one runs already."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from codemods.facts.module import Module
from codemods.model import Finding, Operation, Rewrite, Safety, Severity
from codemods.rewriting.operations import AwaitArgument, ReplaceExpression
from codemods.rules.base import Rule

_RUN = "asyncio.run"
_NO_PLACE_FOR_AWAIT = (ast.GeneratorExp,)


class NestedRun(Rule):
    """`asyncio.run` or `run_until_complete` inside a coroutine.

    What it finds
        A call of `asyncio.run(...)`, or of `run_until_complete(...)` on any object, in the body of
        an `async def`; and in a plain function inside a coroutine that the coroutine calls itself.
        A function that is only handed on, to `asyncio.to_thread` or to a thread, is right there.

    Why it breaks
        A coroutine runs on a loop, and a thread has one running loop. `asyncio.run` raises
        `RuntimeError: asyncio.run() cannot be called from a running event loop`,
        `run_until_complete` raises `This event loop is already running`; the coroutine that was
        made for it is never awaited.

    What it changes
        `asyncio.run(work())` and `loop.run_until_complete(work())` become `await work()`.

    When it refuses
        In a generator expression, which an `await` would turn into an asynchronous one; in a plain
        function, which cannot await.

    Safety
        Safe: the call raises whenever it is reached.
    """

    code = "LM102"
    name = "nested-run"

    def find(self, module: Module) -> Iterator[Finding]:
        """Every run that happens while a loop is running."""
        runs = [*module.calls(_RUN), *module.calls_ending("run_until_complete")]
        for call in sorted(runs, key=lambda call: (call.lineno, call.col_offset)):
            if len(call.args) == 0 or isinstance(call.args[0], ast.Starred):
                continue
            message = f"`{module.code(call.func)}` raises here: the coroutine is run by a loop that is running already"
            if module.in_coroutine(call):
                yield self._in_coroutine(module, call, message)
            elif (coroutine := _called_by_coroutine(module, call)) is not None:
                yield self.finding(
                    module,
                    call,
                    message.replace("the coroutine", f"`{coroutine.name}`, which calls this,"),
                    Severity.ERROR,
                    refusal="a plain function cannot await: make it `async def` and await it where it is called",
                )

    def _in_coroutine(self, module: Module, call: ast.Call, message: str) -> Finding:
        if any(isinstance(above, _NO_PLACE_FOR_AWAIT) for above in _expressions_around(module, call)):
            refusal = "an `await` would make this an asynchronous generator: use a list, or a loop"
            return self.finding(module, call, message, Severity.ERROR, refusal=refusal)
        operation: Operation = AwaitArgument(at=module.span(call))
        if isinstance(module.parent(call), ast.Await):  # what a run gives is no coroutine: one await was meant
            operation = ReplaceExpression(module.span(call), module.code(call.args[0]))
        rewrite = Rewrite("Await the coroutine", Safety.SAFE, (operation,))
        return self.finding(module, call, message, Severity.ERROR, rewrite=rewrite)


def _expressions_around(module: Module, node: ast.AST) -> Iterator[ast.AST]:
    for above in module.ancestors(node):
        if isinstance(above, ast.stmt):
            return
        yield above


def _called_by_coroutine(module: Module, call: ast.Call) -> ast.AsyncFunctionDef | None:
    """The coroutine that itself calls the plain function around ``call``, one defined inside of it."""
    function = module.function(call)
    if not isinstance(function, ast.FunctionDef):
        return None
    outer = module.function(function)
    if not isinstance(outer, ast.AsyncFunctionDef):
        return None
    calls = [
        name
        for name in module.uses(function.name, outer)
        if isinstance(parent := module.parent(name), ast.Call)
        and parent.func is name
        and module.function(name) is outer
    ]
    return outer if calls else None
