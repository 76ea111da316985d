"""LM101 multiple-runs."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from codemods.facts.bonds import Bond
from codemods.facts.leftovers import leaves_something
from codemods.facts.module import Module, ScopeNode
from codemods.facts.nodes import FUNCTIONS
from codemods.facts.runs import Group, groups
from codemods.facts.sharing import Shared, shared
from codemods.model import Finding, Related, Rewrite, Safety, Severity
from codemods.rules.base import Rule
from codemods.rules.main_coroutine import common_range, merge
from codemods.rules.main_results import Range
from codemods.rules.shared_runner import share

_RUNNER_SINCE = (3, 11)
_WORTH_INDENTING = {Bond.FREE: 25, Bond.UNKNOWN: 60}
"""So many lines of other code may move into a ``with``, by how sure it is that the runs share anything."""
_SEVERITY = {Bond.FREE: Severity.INFO, Bond.UNKNOWN: Severity.WARNING, Bond.BOUND: Severity.ERROR}


class MultipleRuns(Rule):
    """Several `asyncio.run` calls that happen one after the other, each on a loop of its own.

    What it finds
        Two or more `asyncio.run` calls of one function or module that can happen in one pass, or one
        in a loop. Runs that exclude each other (`if`/`else`, `match`, an early return), probes
        (`except RuntimeError: asyncio.run(...)` after `get_running_loop()`), wrappers around a single
        run, and runs between which the policy, the loop factory or the function changes are not
        findings. Neither are test functions, unless their runs share something loop-bound.

    Why it breaks
        Every `asyncio.run` makes a loop, runs the coroutine and closes the loop. That alone raises
        nothing. What breaks is an object that was bound to the first loop and is used on the second:
        an `httpx.AsyncClient` with an open connection, a redis client, a stream, a queue that somebody
        waited on. It fails with `RuntimeError: Event loop is closed` or with `got Future attached to a
        different loop`. The severity says what crosses: *error* when something loop-bound does,
        *warning* when an object of unknown kind does, *info* when nothing does.

    What it changes
        Runs that stand next to each other become one main coroutine with one `asyncio.run`. Where
        other code, branches, loops, `finally` or `except KeyboardInterrupt` stand between, the runs
        get one loop by `with asyncio.Runner() as runner:` and nothing moves.

    When it refuses
        `while True` loops that start over with each round, definitions or loop handling between the
        runs, different options, several statements on one line, generators and class bodies, a context
        variable that is set between the runs, several `if __name__` blocks, and a target version below
        3.11 where a Runner would be needed. Where nothing is known to break, also a run that only cleans
        up in an `except`, and long stretches of other code that would have to move into the `with`.

    Safety
        Safe when what the runs share makes the original raise, or when every coroutine is in this file
        and leaves no task, context variable or loop setting behind. Else unsafe: on one loop, what the
        first coroutine leaves behind goes on during the second.
    """

    code = "LM101"
    name = "multiple-runs"

    def find(self, module: Module) -> Iterator[Finding]:
        """One finding for each group of runs, at its first one."""
        names: dict[ScopeNode, set[str]] = {}
        for group in groups(module):
            common = shared(module, group)
            worst = common[0].bond if common else Bond.FREE
            if worst is not Bond.BOUND and _is_test(module, group):
                continue
            first, *others = group.runs
            rewrite = _rewrite(module, group, worst, names.setdefault(group.scope, set()))
            yield self.finding(
                module,
                first.call,
                _message(group, common),
                _SEVERITY[worst],
                rewrite=rewrite if isinstance(rewrite, Rewrite) else None,
                refusal=rewrite if isinstance(rewrite, str) else "",
                related=tuple(Related(module.path, module.span(run.call), "and this one") for run in others),
            )


def _message(group: Group, common: list[Shared]) -> str:
    first = group.runs[0]
    if not common:
        if len(group.runs) == 1:
            return "each round starts a loop of its own and closes it: they could share one"
        return f"{len(group.runs)} runs, each on a loop of its own that it closes: they could share one"
    worst = common[0]
    here = "this run" if worst.runs[0] is first else f"the run in line {worst.runs[0].call.lineno}"
    again = f"the run in line {worst.runs[1].call.lineno}" if len(worst.runs) > 1 else "the next round"
    kind = f" ({worst.kind})" if worst.kind else ""
    if worst.bond is Bond.BOUND:
        return f"`{worst.name}`{kind} is bound to the loop of {here}, which is closed when {again} uses it"
    return (
        f"`{worst.name}`{kind} is used on the loop of {here} and on another in {again}: what it keeps open breaks there"
    )


def _rewrite(module: Module, group: Group, worst: Bond, taken: set[str]) -> Rewrite | str:
    if any(_starts_over(module, run.loop, group) for run in group.runs):
        return (
            "each round of `while True` is meant to start afresh; if the rounds share a client, "
            "put the loop into one main coroutine, or make the client inside of it"
        )
    where = common_range(module, group)
    operations = merge(module, group, where, taken)
    safety, why = _safety(module, group, worst, merged=operations is not None)
    if operations is not None:
        return Rewrite("Merge the runs into one main coroutine", safety, operations, why)
    if module.target < _RUNNER_SINCE:
        operations = merge(module, group, where, taken, with_any_call=True)
        if operations is None:
            return "other code stands between the runs, and asyncio.Runner needs Python 3.11: merge them by hand"
        moved = "the code between the runs moves into the coroutine, where it blocks the loop"
        return Rewrite("Merge the runs into one main coroutine", Safety.UNSAFE, operations, moved)
    if reason := _costs_more_than_it_gives(group, where, worst):
        return reason
    outcome = share(module, group, where)
    if isinstance(outcome, str):
        return outcome
    return Rewrite("Run them all on the loop of one asyncio.Runner", safety, outcome, why)


def _costs_more_than_it_gives(group: Group, where: Range, worst: Bond) -> str:
    """Why runs that are not known to break stay as they are: a Runner would indent too much other code."""
    if worst is Bond.BOUND:
        return ""
    handlers = [n for s in where.inside for n in ast.walk(s) if isinstance(n, ast.ExceptHandler)]
    rescuing = [run for run in group.runs if any(run.call in ast.walk(handler) for handler in handlers)]
    if worst is Bond.FREE and 0 < len(rescuing) < len(group.runs):
        line = rescuing[0].call.lineno
        return f"the run in line {line} cleans up after an exception: a fresh loop is right for that"
    lines = _lines(where.inside[0], where.inside[-1]) - sum(_lines(run.call, run.call) for run in group.runs)
    if lines <= _WORTH_INDENTING[worst]:
        return ""
    return (
        f"{lines} lines of other code stand between the runs and would move into a `with asyncio.Runner()`: where the "
        "runs share something that stays open, put them into one `async def main()`"
    )


def _lines(first: ast.stmt | ast.expr, last: ast.stmt | ast.expr) -> int:
    return (last.end_lineno or last.lineno) - first.lineno + 1


def _safety(module: Module, group: Group, worst: Bond, *, merged: bool) -> tuple[Safety, str]:
    if worst is Bond.BOUND:
        return Safety.SAFE, ""
    for run in group.runs:
        ends = merged and run is group.runs[-1] and module.parent(run.call) is run.statement
        if reason := leaves_something(module, run.coroutine, last=ends):
            return Safety.UNSAFE, reason
    return Safety.SAFE, ""


def _starts_over(module: Module, loop: ast.AST | None, group: Group) -> bool:
    """Whether ``loop``, or one around it in the same scope, is a ``while`` that never ends by itself."""
    around = [loop, *module.ancestors(loop)] if loop is not None else []
    endless = [n for n in around if isinstance(n, ast.While) and isinstance(n.test, ast.Constant) and n.test.value]
    return any(module.scope(node) is group.scope for node in endless)


def _is_test(module: Module, group: Group) -> bool:
    return isinstance(group.scope, FUNCTIONS) and group.scope.name.startswith("test")
