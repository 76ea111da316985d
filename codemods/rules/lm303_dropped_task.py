"""LM303: a task that nothing keeps."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from codemods.facts.entries import entry_coroutines
from codemods.facts.finalizers import finalizers
from codemods.facts.flow import LOOPS
from codemods.facts.foreign_loops import uses_from_outside
from codemods.facts.loops import is_micropython
from codemods.facts.module import Module
from codemods.facts.nodes import tail
from codemods.facts.raising import handles_errors
from codemods.facts.task_uses import Holder
from codemods.facts.tasks import made_by, tasks_of
from codemods.facts.variables import own_names
from codemods.model import Finding, Related, Rewrite, Safety, Severity
from codemods.rewriting.operations import NameValue
from codemods.rules.base import Rule
from codemods.rules.task_cleanup import closed_before, end_in_finally
from codemods.rules.task_endings import Life
from codemods.rules.task_waiting import awaits

_KEEP = (
    "keep it in a set, `tasks.add(task)`, and let `task.add_done_callback(tasks.discard)` take it out; or start it in "
    "an `asyncio.TaskGroup`, which waits for it and shows its error"
)
_EXCUSED = re.compile(r"#\s*noqa:[\sA-Z0-9,]*\bRUF006\b")
_DROPPING = {"add_done_callback", "call_soon", "call_soon_threadsafe", "call_later", "call_at"}
"""The methods of asyncio that call a function and drop what it gives."""


class DroppedTask(Rule):
    """A task is started and nothing keeps it.

    What it finds
        `asyncio.create_task(...)`, `ensure_future(...)` or `loop.create_task(...)` as a statement of its own,
        and as a `lambda` that asyncio calls: `call_soon(lambda: asyncio.create_task(...))`.

    Why it breaks
        The loop itself keeps only a weak reference to a task. One that waits for something that nothing
        else refers to is garbage-collected, and never goes on. Nobody can wait for it or cancel it: it is still
        running when what it uses is closed, and its error is heard of when it is collected, if at all.

    What it changes
        In the coroutine that `asyncio.run`, `Runner.run` or `run_until_complete` runs, the task gets a name, and
        what follows goes into a `try` whose `finally` cancels it and waits for it, as LM301 does it; a `finally`
        that ends tasks already takes it in.

    When it refuses
        Elsewhere: the task is meant to outlive the function. Keep it in a set until it is done, or start it in
        an `asyncio.TaskGroup`. In a branch or a loop of the main coroutine, and wherever LM301
        refuses. `create_task` of a TaskGroup or of another library is none of this rule's business, nor
        is a line with `noqa: RUF006`, by which ruff is told of the same.

    Safety
        Unsafe: an error of the task was logged when it ended, as "Task exception was never retrieved"; the
        `finally` keeps quiet about it.
    """

    code = "LM303"
    name = "dropped-task"

    def find(self, module: Module) -> Iterator[Finding]:
        """Every dropped task, those that one `finally` can end in one finding."""
        dropped = [c for c in tasks_of(module).started if _is_dropped(module, c) and not _is_excused(module, c)]
        if not dropped or is_micropython(module):
            return
        # LM602 and LM205 have more to say of these.
        ending, outside = finalizers(module), {use.call for use in uses_from_outside(module)}
        dropped = [call for call in dropped if call not in outside and module.function(call) not in ending]
        entries = entry_coroutines(module)
        groups: list[list[ast.Call]] = []
        for call in dropped:
            function = module.function(call)
            if isinstance(function, ast.AsyncFunctionDef) and function in entries:
                if groups and _go_together(module, groups[-1][-1], call):
                    groups[-1].append(call)
                else:
                    groups.append([call])
                continue
            severity = Severity.WARNING if isinstance(function, ast.AsyncFunctionDef) else Severity.INFO
            silent = handles_errors(module, made_by(call))
            then = "never goes on" if silent else "nobody sees its error"
            message = f"{_dropped(module, [call])} may be collected while it waits, and {then}"
            yield self.finding(module, call, message, severity, refusal=_KEEP)
        for group in groups:
            yield self._in_entry(module, group, dropped, entries)

    def _in_entry(
        self,
        module: Module,
        calls: list[ast.Call],
        dropped: list[ast.Call],
        entries: dict[ast.AsyncFunctionDef, str],
    ) -> Finding:
        function = module.function(calls[0])
        assert isinstance(function, ast.AsyncFunctionDef)
        lives = list(_lives(module, calls, function))
        closed = closed_before(module, lives)
        when = f"when `{function.name}` ends" + (f" and `{closed}` is closed" if closed else "")
        waits = "it waits, and is" if len(calls) == 1 else "they wait, and are"
        message = f"{_dropped(module, calls)} may be collected while {waits} still running {when}"
        related = tuple(
            Related(module.path, module.span(call), "this one is mended together with it") for call in calls[1:]
        )
        rewrite = _placed_badly(module, calls[0]) or _again(module, calls, dropped) or end_in_finally(module, lives)
        if isinstance(rewrite, str):
            return self.finding(module, calls[0], message, Severity.WARNING, refusal=rewrite, related=related)
        named = [NameValue(module.span(one.block[one.first]), one.holder.code) for one in lives]
        rewrite = Rewrite(
            rewrite.title,
            Safety.UNSAFE,
            (*named, *rewrite.operations),
            rewrite.why_unsafe or "an error of the task was logged when it was dropped, and is not logged any more",
        )
        return self.finding(module, calls[0], message, Severity.WARNING, rewrite=rewrite, related=related)


def _is_dropped(module: Module, call: ast.Call) -> bool:
    """Whether nothing gets the task that ``call`` starts."""
    parent = module.parent(call)
    if isinstance(parent, ast.Lambda):
        user = module.parent(parent)
        return isinstance(user, ast.Call) and parent in user.args and tail(user.func) in _DROPPING
    return isinstance(parent, ast.Expr)


def _is_excused(module: Module, call: ast.Call) -> bool:
    """Whether a line of the call has ``noqa: RUF006``, which is ruff's name for the same."""
    lines = module.source.lines[call.lineno - 1 : call.end_lineno]
    return any(_EXCUSED.search(line) for line in lines)


def _go_together(module: Module, one: ast.Call, other: ast.Call) -> bool:
    """Whether one ``finally`` can do for both: nothing is awaited, and nothing returns, between the two."""
    first, second = module.block(module.statement(one)), module.block(module.statement(other))
    between = first.statements[first.index + 1 : second.index]
    leaves = any(isinstance(node, ast.Return) for statement in between for node in ast.walk(statement))
    return first.statements is second.statements and not leaves and not awaits(module, between, naps=False)


def _dropped(module: Module, calls: list[ast.Call]) -> str:
    made = [made_by(call) for call in calls]
    codes = [f"{module.code(one.func)}()" if isinstance(one, ast.Call) else module.code(one) for one in made]
    names = " and ".join(f"`{code}`" for code in dict.fromkeys(codes))
    return f"nothing keeps the task of {names}: it" if len(calls) == 1 else f"nothing keeps the tasks of {names}: they"


def _lives(module: Module, calls: list[ast.Call], function: ast.AsyncFunctionDef) -> Iterator[Life]:
    """The lives that the tasks will have, under names that are free."""
    taken = own_names(function) | set(module.imports.names)
    for call in calls:
        made = made_by(call)
        base = tail(made.func).strip("_") if isinstance(made, ast.Call) else ""
        own = f"{base}_task" if base else "background_task"
        names = [own, *(f"{own}_{number}" for number in range(2, 100))]
        name = next(name for name in names if name not in taken)
        taken.add(name)
        statement = module.statement(call)
        block = module.block(statement)
        holder = Holder(name, False, function, starts=[call], bindings=[statement])
        yield Life(holder, block.owner, block.statements, block.index, block.index + 1, ())


def _again(module: Module, calls: list[ast.Call], dropped: list[ast.Call]) -> str:
    """Why it is not enough to end these: what they run is started again where no name would hold it."""
    made = {ast.dump(made_by(call)) for call in calls}
    for other in dropped:
        same = other not in calls and ast.dump(made_by(other)) in made
        if same and module.function(other) is module.function(calls[0]) and _placed_badly(module, other):
            return (
                f"line {other.lineno} starts the same again, and nothing keeps that task either: collect the tasks in "
                "a list, and cancel and await them all in one `finally`"
            )
    return ""


def _placed_badly(module: Module, call: ast.Call) -> str:
    """Why no ``finally`` behind the start would do; empty when one does."""
    statement = module.statement(call)
    if not module.stands_alone(statement):
        return "the start shares its line with other code: put it on a line of its own"
    owner = module.block(statement).owner
    while owner is not module.function(call):
        if isinstance(owner, LOOPS):
            return (
                "it is started in a loop: collect the tasks in a list, and cancel and await them all in a `finally` "
                "behind the loop"
            )
        if not isinstance(owner, ast.With | ast.AsyncWith | ast.Try):
            return "it is started in a branch: collect such tasks in a list that a `finally` can cancel and await"
        block = module.block(owner)
        if isinstance(owner, ast.Try) and statement in owner.finalbody:
            return "it is started in a `finally`: await it there"
        owner = block.owner
    return ""
