"""LM602: a loop that is used from a thread in which it does not run."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from codemods.facts.foreign_loops import UseFromOutside, uses_from_outside
from codemods.facts.module import Module
from codemods.model import Finding, Rewrite, Safety, Severity
from codemods.rewriting.operations import ReplaceExpression
from codemods.rules.base import Rule
from codemods.rules.spelling import spelling


class LoopFromThread(Rule):
    """A loop is used from a thread in which it does not run.

    What it finds
        In a function that the file hands to `threading.Thread`, `Timer`, `asyncio.to_thread`, `run_in_executor`
        or a thread pool, or in the `run` of a class that is a thread: `loop.call_soon`, `call_later`, `call_at`,
        `create_task`, `stop`, and `asyncio.ensure_future(..., loop=loop)`, on a loop that this thread does not run.
        The same in plain code, on a loop that `Thread(target=loop.run_forever)` runs, that the thread gets in its
        `args`, or that the `run` beside a method runs; and `asyncio.create_task` in such a function.

    Why it breaks
        A loop is not made to be used from outside: the call puts something into its queue without waking it. It
        notices with the next event, or never; two threads that do this at once lose calls. In debug
        mode it raises `RuntimeError: Non-thread-safe operation invoked on an event loop other than the current one`.
        `asyncio.create_task` raises `no running event loop` in a thread.

    What it changes
        `call_soon` becomes `call_soon_threadsafe`, which also calls the other methods: `loop.call_soon_threadsafe(
        loop.stop)`. A task is started by `asyncio.run_coroutine_threadsafe(..., loop)`.

    When it refuses
        When the result is used: from another thread that is a `concurrent.futures.Future`, or nothing. When the
        call has more arguments than the other one takes, or goes over several lines. Loops that the thread runs itself
        are none of this rule's business.

    Safety
        Safe for `call_soon`. Otherwise unsafe: the call happens a little later, in the loop's own thread, and it
        raises "Event loop is closed" where the loop has been closed.
    """

    code = "LM602"
    name = "loop-from-thread"

    def find(self, module: Module) -> Iterator[Finding]:
        """Every use of a loop from a thread that is not its own."""
        for use in sorted(set(uses_from_outside(module)), key=lambda use: (use.call.lineno, use.call.col_offset)):
            code = module.code(use.call.func)
            if not use.loop:
                message = f"this runs in a thread, where no loop is running: `{code}` raises RuntimeError"
                advice = "hand the loop of the coroutine on, and call `asyncio.run_coroutine_threadsafe(..., loop)`"
                yield self.finding(module, use.call, message, Severity.ERROR, refusal=advice)
                continue
            message = (
                f"`{use.loop}` runs in another thread, and `{code}` does not wake it: it notices late or never, and in "
                "debug mode this raises `Non-thread-safe operation`"
            )
            rewrite = _rewrite(module, use)
            if isinstance(rewrite, str):
                yield self.finding(module, use.call, message, Severity.WARNING, refusal=rewrite)
            else:
                yield self.finding(module, use.call, message, Severity.WARNING, rewrite=rewrite)


def _rewrite(module: Module, use: UseFromOutside) -> Rewrite | str:
    call, loop = use.call, use.loop
    title = "Use the loop by `call_soon_threadsafe`"
    if use.method == "call_soon":
        operation = ReplaceExpression(module.span(call.func), f"{loop}.call_soon_threadsafe")
        return Rewrite(title, Safety.SAFE, (operation,))
    if not isinstance(module.parent(call), ast.Expr):
        return (
            "what it gives is used here: `asyncio.run_coroutine_threadsafe(..., loop)` gives a future to wait for "
            "with `.result()`, `loop.call_soon_threadsafe` a handle"
        )
    if "\n" in module.code(call):
        return f"the call goes over several lines: hand it to `{loop}.call_soon_threadsafe` by hand"
    arguments = [module.code(argument) for argument in call.args]
    if use.method not in ("create_task", "ensure_future"):
        if call.keywords:
            return f"it has keyword arguments: hand it to `{loop}.call_soon_threadsafe` with `functools.partial`"
        code = f"{loop}.call_soon_threadsafe({', '.join([f'{loop}.{use.method}', *arguments])})"
    else:
        named = [keyword.arg for keyword in call.keywords if keyword.arg != "loop"]
        if len(arguments) != 1 or named or any(isinstance(argument, ast.Starred) for argument in call.args):
            return (
                "it has more arguments than `asyncio.run_coroutine_threadsafe(..., loop)` takes: use that without them"
            )
        title = "Start the task by `run_coroutine_threadsafe`"
        asyncio = module.imports.local_name("asyncio")
        spelled = f"{asyncio}.run_coroutine_threadsafe" if asyncio else ""
        if use.method == "ensure_future":
            spelled, change = spelling(module, "run_coroutine_threadsafe", call.func, {call.func})
            if change is not None:
                return "import `run_coroutine_threadsafe` from asyncio, and start the task by it"
        if not spelled:
            return "import `asyncio`, and start the task by `asyncio.run_coroutine_threadsafe(..., loop)`"
        code = f"{spelled}({arguments[0]}, {loop})"
    why = "it happens a little later, in the thread of the loop, and raises where that has been closed"
    return Rewrite(title, Safety.UNSAFE, (ReplaceExpression(module.span(call), code),), why)
