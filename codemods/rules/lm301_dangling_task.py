"""LM301: a task that is still pending when its coroutine, and what it uses, ends."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from codemods.facts.entries import entry_coroutines
from codemods.facts.module import Module
from codemods.facts.task_uses import Holder, Use
from codemods.facts.tasks import tasks_of
from codemods.model import Finding, Related, Severity
from codemods.rules.base import Rule
from codemods.rules.task_cleanup import closed_before, end_in_finally
from codemods.rules.task_endings import Life, cancels_at_end, dangles, life


class DanglingTask(Rule):
    """A task is still pending when the coroutine that started it, and what it uses, ends.

    What it finds
        A local variable in a coroutine that holds an asyncio task (or a list of tasks) that nothing
        awaits, gathers, waits for, returns, stores or hands on; and tasks of a `main` that are
        cancelled in its last lines only.

    Why it breaks
        The task outlives the function. `asyncio.run` cancels what is left, but only when `main` has
        returned: the session, the pool, the file that the task works with are closed by then, and the
        task fails on them, or its own cleanup does. A loop that is run and closed by hand cancels
        nothing and prints "Task was destroyed but it is pending!". When `main` raises, a cancel in its
        last line never happens.

    What it changes
        In the coroutine that `asyncio.run`, `Runner.run` or `run_until_complete` runs, what follows the
        start goes into a `try`; its `finally` cancels the task and waits for it with `asyncio.gather(task,
        return_exceptions=True)`. Tasks of one block share one `finally`, and a `try` that has none gets it;
        a list gets a loop. A task that is started inside `async with` ends inside it, while what it uses is
        still open. A cancel in the last lines moves into the `finally`.

    When it refuses
        In other coroutines: the task may be meant to outlive them (info). When the variable could be
        unbound or hold only the last of several tasks (started in a branch or a loop). When something
        else is awaited between two starts. When nothing is awaited behind the start, so that the task
        never gets to run. When the task catches its own cancellation and goes on.

    Safety
        Safe: the end of `main` was the end of the task before, too. Unsafe when `main` goes on behind
        the block in which a task was started that does not depend on it, or when the end of the task may
        take a lock that is held around the block. An error of the task that was
        logged as "Task exception was never retrieved" is not logged any more: await the task where its
        result matters.
    """

    code = "LM301"
    name = "dangling-task"

    def find(self, module: Module) -> Iterator[Finding]:
        """Every local task that nobody waits for, those of one block in one finding."""
        tasks = tasks_of(module)
        dangling = [holder for holder in tasks.locals if dangles(holder)]
        if not dangling:
            return
        entries = entry_coroutines(module)
        blocks: dict[int, list[Life]] = {}
        for holder in dangling:
            assert isinstance(holder.scope, ast.AsyncFunctionDef)
            runner = entries.get(holder.scope)
            if runner is None:
                if not holder.used(Use.CANCEL) and holder.code != "_":
                    yield self._report(module, holder, _outlives(holder), Severity.INFO, _may_outlive(holder))
                continue
            if holder.used(Use.CANCEL) and not cancels_at_end(module, holder):
                continue  # LM302 waits behind each of them
            found = life(module, holder)
            if isinstance(found, str):
                yield self._report(module, holder, _message([holder], runner), Severity.WARNING, found)
            else:
                blocks.setdefault(id(found.block), []).append(found)
        for lives in blocks.values():
            yield self._judge(module, sorted(lives, key=lambda one: one.first), entries)

    def _report(self, module: Module, holder: Holder, message: str, severity: Severity, refusal: str) -> Finding:
        where = module.statement(holder.starts[0])
        return self.finding(module, where, message, severity, refusal=refusal)

    def _judge(self, module: Module, lives: list[Life], entries: dict[ast.AsyncFunctionDef, str]) -> Finding:
        holders = [one.holder for one in lives]
        scope = holders[0].scope
        assert isinstance(scope, ast.AsyncFunctionDef)
        message = _message(holders, entries[scope], closed_before(module, lives))
        where = lives[0].block[lives[0].first]
        related = tuple(
            Related(module.path, module.span(one.block[one.first]), f"`{one.holder.code}` is mended together with it")
            for one in lives[1:]
        )
        rewrite = end_in_finally(module, lives)
        if isinstance(rewrite, str):
            return self.finding(module, where, message, Severity.WARNING, refusal=rewrite, related=related)
        return self.finding(module, where, message, Severity.WARNING, rewrite=rewrite, related=related)


def _function_name(holder: Holder) -> str:
    return holder.scope.name if isinstance(holder.scope, ast.AsyncFunctionDef) else ""


def _outlives(holder: Holder) -> str:
    verb = "hold tasks that run" if holder.many else "is a task that runs"
    return f"`{holder.code}` {verb} on when `{_function_name(holder)}` has returned: nobody waits or sees an error"


def _may_outlive(holder: Holder) -> str:
    return (
        f"`{_function_name(holder)}` is not what `asyncio.run` runs here, so the task may be meant to outlive it: if "
        "it is, keep a reference to it; if not, cancel it in a `finally` and wait for it there"
    )


def _message(holders: Sequence[Holder], runner: str, closed: str = "") -> str:
    names = " and ".join(f"`{holder.code}`" for holder in holders)
    several = len(holders) > 1 or holders[0].many
    be, them = ("are", "them") if several else ("is", "it")
    name = _function_name(holders[0])
    if all(holder.used(Use.CANCEL) for holder in holders):
        where = f"in the last lines of `{name}`"
        return f"{names} {be} cancelled {where}: an exception skips that, and nobody waits for {them} to end"
    when = f"when `{name}` ends" + (f" and `{closed}` is closed" if closed else "")
    if runner.endswith("run_until_complete"):
        return f"{names} {be} still running {when}: closing the loop then destroys {them} pending"
    return f"{names} {be} still running {when}: `{runner}` cancels {them} only after that, silently"
