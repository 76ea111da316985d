"""LM302: a task that is cancelled while nobody waits until it has ended."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from codemods.facts.bonds import binding_of
from codemods.facts.entries import entry_coroutines
from codemods.facts.flow import LOOPS, can_follow
from codemods.facts.module import Module
from codemods.facts.nodes import tail
from codemods.facts.task_uses import Holder, Use
from codemods.facts.tasks import Tasks, made_by, tasks_of
from codemods.model import Finding, Related, Rewrite, Safety, Severity
from codemods.rewriting.operations import InsertAfter
from codemods.rules.base import Rule
from codemods.rules.task_endings import cancels_at_end
from codemods.rules.task_waiting import (
    NO_GATHER,
    Reach,
    gather_at,
    may_wait_for_us,
    never_ends,
    reach,
    started_function,
)

_WAITS = {
    "wait": ("asyncio.Event",),
    "get": ("asyncio.Queue", "asyncio.PriorityQueue", "asyncio.LifoQueue"),
}
_ENDS = ("stop", "close", "shut", "disconnect", "terminate", "dispose", "clean", "teardown", "tear_down", "exit")


@dataclass(frozen=True)
class _Cancel:
    """One statement that cancels a task, or all tasks of a collection."""

    call: ast.Call
    statement: ast.stmt
    """Behind it the tasks are cancelled: the call's statement, or the loop over the collection."""
    holder: Holder
    argument: str
    """What ``gather`` gets: ``task`` or ``*tasks``."""


class CancelNotAwaited(Rule):
    """A task is cancelled and nobody waits until it has ended.

    What it finds
        `task.cancel()` on a task that this file started, after which nothing waits for it: a local
        variable in a coroutine, an attribute that the class assigns from `create_task`, or a loop
        over a list of tasks.

    Why it breaks
        `cancel()` only asks. `CancelledError` is raised inside the task when the loop runs it next,
        and its `finally` blocks and `async with` exits may take longer still. What follows `cancel()`
        runs before that: the session is closed, the method returns, a manual loop is closed with
        "Task was destroyed but it is pending!", and an error of the task is lost or shows up late as
        "Task exception was never retrieved".

    What it changes
        It waits: `await asyncio.gather(task, return_exceptions=True)` behind the cancel, inside the
        `if` that guards it, once for cancels that stand together, and as `gather(*tasks, ...)` behind
        a loop. Not `try: await task` with `except CancelledError: pass`, which also swallows a
        cancellation of the function that waits.

    When it refuses
        In a plain `def`, which cannot wait. In a method that the task itself may call, because a task
        cannot wait for itself. When the task catches its own cancellation and goes on. When the file
        imports neither asyncio nor `gather`. Tasks that are returned, stored elsewhere, given to
        other code, looked at after the cancel, given time by an `await asyncio.sleep(...)` right behind it
        or started again at once are none of this rule's business, and neither are timer handles,
        futures, and what has nothing to clean up: an `asyncio.sleep`, an `event.wait()`, a `queue.get()`.

    Safety
        Safe for local tasks, and for attributes when the coroutine of the task provably never comes
        back to the method. Otherwise unsafe; so it is where a lock is held meanwhile, and where the task
        waits for something on its way out, which may be what comes behind the cancel.
    """

    code = "LM302"
    name = "cancel-not-awaited"

    def find(self, module: Module) -> Iterator[Finding]:
        """Every cancel of a known task that nobody waits for."""
        tasks = tasks_of(module)
        if not tasks.started:
            return
        entries = entry_coroutines(module)
        elsewhere = {
            statement
            for holder in tasks.locals
            if holder.scope in entries
            for statement in cancels_at_end(module, holder)
        }
        groups: list[list[_Cancel]] = []
        for cancel in _cancels(module, tasks):
            if cancel.statement in elsewhere or _waited_for(module, cancel) or _only_waits(module, cancel):
                continue
            if groups and _adjacent(module, groups[-1][-1].statement, cancel.statement):
                groups[-1].append(cancel)
            else:
                groups.append([cancel])
        for group in groups:
            if not _naps_behind(module, group[-1].statement) and (finding := self._judge(module, group)):
                yield finding

    def _judge(self, module: Module, group: list[_Cancel]) -> Finding | None:
        call = group[0].call
        function = module.function(call)
        names = " and ".join(f"`{cancel.holder.code}`" for cancel in group)
        several = len(group) > 1 or group[0].holder.many
        message = (
            f"{names} {'are' if several else 'is'} cancelled and nobody waits for the end: what comes next runs "
            f"before the {'tasks clean' if several else 'task cleans'} up"
        )
        related = tuple(
            Related(module.path, module.span(cancel.call), f"`{cancel.holder.code}` is cancelled together with it")
            for cancel in group[1:]
        )
        if not isinstance(function, ast.AsyncFunctionDef):
            if not isinstance(function, ast.FunctionDef) or not _ends_something(function.name):
                return None
            refusal = (
                f"`{function.name}` is a plain function and cannot wait: make it `async def` and await "
                f"`asyncio.gather({group[0].argument}, return_exceptions=True)` behind the cancel, or add a coroutine "
                "that does and await it before the loop ends"
            )
            return self.finding(module, call, message, Severity.INFO, refusal=refusal, related=related)
        rewrite = _rewrite(module, group, function)
        if isinstance(rewrite, str):
            return self.finding(module, call, message, Severity.WARNING, refusal=rewrite, related=related)
        return self.finding(module, call, message, Severity.WARNING, rewrite=rewrite, related=related)


def _only_waits(module: Module, cancel: _Cancel) -> bool:
    """Whether all that is cancelled is a sleep, or waits for an event or a queue: there is nothing to clean up."""
    made = [made_by(start) for start in cancel.holder.starts]
    return bool(made) and all(_is_wait(module, one) for one in made)


def _is_wait(module: Module, made: ast.expr) -> bool:
    match made:
        case ast.Call(func=func) if module.qualname(func) == "asyncio.sleep":
            return True
        case ast.Call(func=ast.Attribute(value=receiver, attr=attr)):
            return binding_of(module, receiver).kind in _WAITS.get(attr, ())
    return False


def _rewrite(module: Module, group: list[_Cancel], function: ast.AsyncFunctionDef) -> Rewrite | str:
    """The rewrite of cancels that stand together, or why there is none."""
    last = group[-1].statement
    starts = [call for cancel in group for call in cancel.holder.starts]
    gather = gather_at(module, last)
    if gather is None:
        return NO_GATHER
    if reason := never_ends(module, [made_by(call) for call in starts]):
        return reason
    if not module.stands_alone(last):
        return "the cancel shares its line with other code: put it on a line of its own"
    why_unsafe = ""
    for cancel in group:
        if isinstance(cancel.holder.scope, ast.ClassDef):
            reached = {reach(module, call, cancel.holder.scope, function) for call in cancel.holder.starts}
            if Reach.IS in reached:
                return f"the task runs `{function.name}` itself, and a task cannot wait for its own end"
            if Reach.MAYBE in reached:
                why_unsafe = (
                    f"if the task comes to call `{function.name}`, it waits for itself, which raises RecursionError"
                )
        elif (loop := _loop_around(module, last)) and not any(loop in module.ancestors(call) for call in starts):
            why_unsafe = "the loop around it goes on only when the task has ended"
    why_unsafe = why_unsafe or may_wait_for_us(module, last, starts)
    wait = gather.waiting_for(dict.fromkeys(cancel.argument for cancel in group))
    return Rewrite(
        title="Wait until the cancelled task has ended" if len(group) == 1 else "Wait until the tasks have ended",
        safety=Safety.UNSAFE if why_unsafe else Safety.SAFE,
        operations=(InsertAfter(module.span(last), wait), *gather.operations),
        why_unsafe=why_unsafe,
    )


def _cancels(module: Module, tasks: Tasks) -> Iterator[_Cancel]:
    """Every statement of the module that cancels tasks known to it."""
    for call in module.calls_ending("cancel"):
        found = tasks.cancelled(call)
        if found is None:
            continue
        holder, loop = found
        if (
            isinstance(holder.scope, ast.AsyncFunctionDef | ast.FunctionDef)
            and module.function(call) is not holder.scope
        ):
            continue
        if loop is None:
            yield _Cancel(call, module.statement(call), holder, holder.code)
            continue
        over = loop.iter
        if isinstance(over, ast.Call) and isinstance(over.func, ast.Name):
            over = over.args[0]  # list(tasks)
        statement = loop if isinstance(loop, ast.For) else module.statement(loop)
        yield _Cancel(call, statement, holder, f"*{module.code(over)}")


def _waited_for(module: Module, cancel: _Cancel) -> bool:
    """Whether somebody waits for the task, may do so, or has no reason to."""
    holder = cancel.holder
    if holder.used(Use.SETTLE, Use.KEEP) or _hears_of_the_end(module, cancel):
        return True
    if isinstance(holder.scope, ast.ClassDef):
        if holder.used(Use.WATCH):
            return True
        function = module.function(cancel.call)
        # A timer that is started again at once: the loop lives on, and nothing is closed.
        return any(module.function(node) is function for node in holder.used(Use.START))
    loop = _loop_around(module, cancel.statement)
    if loop and any(loop in module.ancestors(node) for node in holder.used(Use.WATCH)):
        return True
    looks = [node for node in holder.used(Use.TEST) if not (holder.many and _counts(module, node))]
    return any(_comes_later(module, cancel, node) for node in [*holder.used(Use.WATCH, Use.START), *looks])


def _counts(module: Module, tasks: ast.expr) -> bool:
    """Whether a use of a collection only asks how many tasks it holds, which is the same before and after their end."""
    parent = module.parent(tasks)
    return (isinstance(parent, ast.Call) and tail(parent.func) == "len") or isinstance(parent, ast.If)


def _hears_of_the_end(module: Module, cancel: _Cancel) -> bool:
    """Whether the function waits for an event behind the cancel that the task sets: ``exited.wait()``."""
    function, line = module.function(cancel.call), cancel.statement.end_lineno or 0
    waited = {
        module.code(call.func.value)
        for call in module.calls_ending("wait")
        if call.lineno > line and isinstance(call.func, ast.Attribute) and module.function(call) is function
    }
    bodies = [started_function(module, call) for call in cancel.holder.starts] if waited else []
    return any(
        isinstance(node, ast.Attribute) and node.attr in {"set", "set_result"} and module.code(node.value) in waited
        for body in bodies
        if body is not None
        for node in ast.walk(body)
    )


def _comes_later(module: Module, cancel: _Cancel, node: ast.expr) -> bool:
    first, second = cancel.statement, module.statement(node)
    if first is second or first in module.ancestors(node) or module.scope(first) is not module.scope(second):
        return False
    return (second.lineno, second.col_offset) > (first.lineno, first.col_offset) and can_follow(module, first, second)


def _loop_around(module: Module, statement: ast.stmt) -> ast.AST | None:
    """The innermost loop that runs ``statement`` again."""
    scope = module.scope(statement)
    for above in module.ancestors(statement):
        if above is scope:
            return None
        if isinstance(above, LOOPS):
            return above
    return None


def _adjacent(module: Module, one: ast.stmt, other: ast.stmt) -> bool:
    """Whether ``other`` is the statement behind ``one``."""
    block = module.block(one)
    return block.statements[block.index + 1 : block.index + 2] == [other]


def _naps_behind(module: Module, statement: ast.stmt) -> bool:
    """Whether ``await asyncio.sleep(...)`` follows: somebody gives the task the time to end."""
    block = module.block(statement)
    match block.statements[block.index + 1 : block.index + 2]:
        case [ast.Expr(value=ast.Await(value=ast.Call(func=function)))]:
            return module.qualname(function) == "asyncio.sleep"
    return False


def _ends_something(name: str) -> bool:
    """Whether a function of this name is where the lives of things end."""
    return name.strip("_").removeprefix("async_").startswith(_ENDS)
