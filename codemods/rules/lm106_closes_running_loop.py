"""LM106: a coroutine closes or stops the loop that runs it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from codemods.facts.flow import TRIES
from codemods.facts.loops import HeldLoop, Use, held_loops, is_bound_once
from codemods.facts.module import Module
from codemods.facts.nodes import tail
from codemods.model import Finding, Rewrite, Safety, Severity
from codemods.rules.base import Rule
from codemods.rules.dropping import drop
from codemods.rules.needless_loop import is_close, needless, running_loops

_NAMES = ("loop", "event_loop")


class ClosesRunningLoop(Rule):
    """A coroutine closes or stops the loop that is running it.

    What it finds
        `loop.close()` in an `async def`, on a loop that it got there from `get_event_loop()` or
        `get_running_loop()`; and `loop.stop()`, in a file that runs its coroutines by `asyncio.run` or
        `run_until_complete` and not by `run_forever`.

    Why it breaks
        The loop that runs a coroutine is running: `close()` raises `RuntimeError: Cannot close a
        running event loop`, and in a `finally` that error takes the place of the result. `stop()` ends
        `asyncio.run` before the coroutine is done: `RuntimeError: Event loop stopped before Future
        completed`.

    What it changes
        `loop.close()` goes away, and with it a `finally` or an `if loop.is_running()` that holds nothing
        else, and the loop itself where nothing else is done with it. Whoever made the loop closes it:
        `asyncio.run` does.

    When it refuses
        For `stop()`: what it is there to end has to end by itself. For a `close()` that is part of a
        larger statement, or that shares its line.

    Safety
        Safe: the close never did anything but raise.
    """

    code = "LM106"
    name = "closes-running-loop"

    def find(self, module: Module) -> Iterator[Finding]:
        """Every close of the running loop, and every stop that breaks the run."""
        for held in running_loops(module):
            if held.name and not is_bound_once(module, held):
                continue
            for use in held.uses:
                if module.function(use.node) is module.function(held.made):
                    yield from self._at_use(module, held, use)
        for call in module.calls_ending("close"):
            if not module.in_coroutine(call) or _is_caught(module, call):
                continue
            if name := _loop_from_outside(module, call):
                message = f"`{module.code(call)}` raises where `{name}` is the loop that runs this coroutine"
                advice = f"close `{name}` where it is made, behind the run; `asyncio.run` does that by itself"
                yield self.finding(module, call, message, Severity.WARNING, refusal=advice)

    def _at_use(self, module: Module, held: HeldLoop, use: Use) -> Iterator[Finding]:
        if use.method == "stop" and _ends_a_run(module):
            message = "this ends the run before its coroutine is done: `Event loop stopped before Future completed`"
            advice = "let the main coroutine return: it can wait for an `asyncio.Event` that is set here"
            yield self.finding(module, use.call(module), message, Severity.WARNING, refusal=advice)
        if use.method != "close" or _is_caught(module, use.call(module)):
            return
        call = use.call(module)
        message = f"`{module.code(call)}` raises here: the loop is running this coroutine"
        if not is_close(module, held, use):
            advice = "it is part of something larger: take it out by hand"
            yield self.finding(module, call, message, Severity.ERROR, refusal=advice)
            return
        operations = needless(module, held) or (drop(module, module.statement(call)),)
        rewrite = Rewrite("Leave out the close", Safety.SAFE, operations)
        yield self.finding(module, call, message, Severity.ERROR, rewrite=rewrite)


def _loop_from_outside(module: Module, close: ast.Call) -> str:
    """The name of the loop that is closed, where it is a parameter of the coroutine or a global of the file."""
    if not (isinstance(close.func, ast.Attribute) and isinstance(close.func.value, ast.Name)) or close.args:
        return ""
    name, function = close.func.value.id, module.function(close)
    parameters = [a for a in module.arguments(name) if module.binding_scope(a) is function]
    if any(name in _NAMES or (a.annotation and tail(a.annotation) == "AbstractEventLoop") for a in parameters):
        return name
    if function is None or module.is_bound(name, close) is module.binds(name, function):
        return ""
    return name if any(held.name == name and held.scope is module.tree for held in held_loops(module)) else ""


def _is_caught(module: Module, call: ast.Call) -> bool:
    """Whether a ``try`` is there for the error of this statement alone."""
    statement = module.statement(call)
    around = module.parent(statement)
    return isinstance(around, TRIES) and bool(around.handlers) and around.body == [statement]


def _ends_a_run(module: Module) -> bool:
    runs = [*module.calls("asyncio.run"), *module.calls_ending("run_until_complete")]
    return bool(runs) and not module.calls_ending("run_forever", "run_app")
