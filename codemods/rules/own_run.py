"""A loop that is handled by hand gives way to ``asyncio.run``, a main coroutine, or an asyncio.Runner."""

from __future__ import annotations

import ast
from typing import NamedTuple

from codemods.facts.early_tasks import needs_coroutine, starts_unseen
from codemods.facts.flow import TRIES, repeating_loop
from codemods.facts.loop_refusals import FOREVER
from codemods.facts.loop_site import Site
from codemods.facts.module import Module
from codemods.facts.nodes import FUNCTIONS, start, walk_scope
from codemods.facts.runs import Group, Run
from codemods.model import Operation
from codemods.rewriting.operations import (
    AwaitArgument,
    RemoveFinally,
    RemoveStatement,
    ReplaceExpression,
    Unwrap,
    WrapInWith,
)
from codemods.rules.dropping import drop_all
from codemods.rules.handed_loop import take_back
from codemods.rules.main_coroutine import common_range, extract, free_name, merge, reads_well
from codemods.rules.main_results import Range
from codemods.rules.moving import STOPPED
from codemods.rules.shared_runner import is_lazy
from codemods.rules.spelling import spelling
from codemods.rules.started_tasks import as_runs, start_inside, waiting_forever, why_forever

_RUNNER_SINCE = (3, 11)
_RUNNERS = ("runner", "loop_runner", "async_runner")


class OwnRun(NamedTuple):
    """What takes a loop away, and what that may change."""

    operations: list[Operation]
    why_unsafe: str = ""


def own_run(module: Module, site: Site, replaced: list[ast.Call], taken: set[str]) -> OwnRun | str:
    """The operations that take the loop of ``site`` away, or why that cannot be done here.

    ``replaced`` are all calls of the file that get a loop and go away; names in ``taken`` are
    not free for a new coroutine at the top of the file.
    """
    if reason := _obstacle(module, site):
        return reason
    handed = take_back(module, site)
    if isinstance(handed, str):
        return handed
    function, change = spelling(module, "run", _spelled(site), replaced)
    if not function:
        return "asyncio is imported in a form that gives no `run`: import asyncio"
    extra: list[Operation] = [change] if change is not None else []
    used = taken if isinstance(site.scope, ast.Module) else set()
    unwrapped = [Unwrap(module.span(block)) for block in site.blocks]
    leaving = [*drop_all(module, site.done_with), *unwrapped, *extra, *handed]
    if site.starts:
        moved = start_inside(module, site, function, used)
        return moved if isinstance(moved, str) else OwnRun([*leaving, *moved[0]], moved[1])
    if site.forever:
        return why_forever(module, site) or _run_on(module, site, replaced, handed)
    group = Group(site.scope, tuple(site.runs))
    where = common_range(module, group)
    several = len(site.runs) > 1 or site.runs[0].loop is not None
    if needs_coroutine(module, site.runs[0].coroutine) and not several:
        around = _moved(module, site.runs[0], where, used, function, group)
        return around if isinstance(around, str) else OwnRun([*leaving, *around])
    if not several:
        called = ReplaceExpression(module.span(site.runs[0].call.func), function)
        return OwnRun([*leaving, called])
    merged = None if handed else merge(module, group, where, used, runner=function)
    if merged is not None:
        return OwnRun([*leaving, *merged])
    if any(needs_coroutine(module, run.coroutine) for run in site.runs):
        merged = None if handed else merge(module, group, where, used, with_any_call=True, runner=function)
        reason = "a future is run, which has to be made in a coroutine: write one around it"
        between = "what stands between the runs is done while the loop runs then, which waits for it"
        return reason if merged is None else OwnRun([*leaving, *merged], between)
    if any(is_lazy(module, run.call) for run in site.runs):
        return "a generator expression runs the loop whenever it is asked to: make it a list"
    shared = _shared(module, site, where, replaced, handed)
    return shared if isinstance(shared, str) else OwnRun(shared)


def _run_on(module: Module, site: Site, replaced: list[ast.Call], handed: list[Operation]) -> OwnRun | str:
    """``run_forever`` behind other runs, on the Runner that they share."""
    if any(needs_coroutine(module, run.coroutine) for run in site.runs) or not waiting_forever(module):
        return FOREVER
    where = common_range(module, Group(site.scope, (*site.runs, *as_runs(module, site.forever))))
    shared = _shared(module, site, where, replaced, handed)
    return shared if isinstance(shared, str) else OwnRun(shared, STOPPED)


def _spelled(site: Site) -> ast.expr:
    """The expression that names the function of asyncio that gave the loop."""
    function = site.loops[0].made.func
    while isinstance(function, ast.Attribute) and isinstance(function.value, ast.Call):
        function = function.value.func  # get_event_loop_policy().new_event_loop
    return function


def _obstacle(module: Module, site: Site) -> str:
    if not all(module.stands_alone(statement) for statement in site.done_with):
        return "the loop shares a line with another statement: put it on a line of its own"
    if isinstance(site.scope, ast.Lambda | ast.ClassDef):
        return "the loop is run in a class body or a lambda: move that into a function"
    calls = [*(run.call for run in site.runs), *site.starts, *site.forever]
    if not all(_reaches(module, statement, call) for statement in site.made_by for call in calls):
        return f"`{site.name}` is made under a condition: decide on one way to run, `asyncio.run`"
    if not site.probe and any(_is_probed(module, held.made) for held in site.loops):
        return "the code is ready for having no loop: let coroutines await, and plain code use `asyncio.run`"
    if site.drain and any(start(call) > start(site.drain[0]) for call in calls):
        return "the loop is run again behind the end of its tasks: let a main coroutine end them where they have to end"
    nodes = [node for statement in site.scope.body for node in walk_scope(statement)]
    if isinstance(site.scope, FUNCTIONS) and any(isinstance(node, ast.Yield | ast.YieldFrom) for node in nodes):
        return "the function yields while its loop is open: put `with asyncio.Runner() as runner:` around that by hand"
    if starts_unseen(module, site):
        return "tasks are started before the loop runs: start them in the main coroutine"
    rounds = {loop for call in calls if (loop := repeating_loop(module, call)) is not None}
    if any(rounds & set(module.ancestors(statement)) for statement in site.made_by):
        return "each round makes a loop of its own: let one main coroutine go round"
    if not all(reads_well(module, run.call) for run in site.runs):
        return "a run stands in an f-string whose parts cannot be located: assign its result to a name first"
    return ""


def _reaches(module: Module, binding: ast.stmt, call: ast.Call) -> bool:
    """Whether a run stands in the block of the statement that makes its loop, or deeper."""
    statements = module.block(binding).statements
    return any(node in statements for node in module.ancestors(call))


def _is_probed(module: Module, made: ast.Call) -> bool:
    """Whether a handler around the call that gets the loop does something about loops itself."""
    for above in module.ancestors(made):
        if isinstance(above, (*FUNCTIONS, ast.Lambda)):
            return False
        if isinstance(above, TRIES):
            calls = [n for handler in above.handlers for n in ast.walk(handler) if isinstance(n, ast.Call)]
            if any((module.qualname(call.func) or "").startswith("asyncio.") for call in calls):
                return True
    return False


def _moved(
    module: Module, run: Run, where: Range, taken: set[str], function: str, group: Group
) -> list[Operation] | str:
    """A coroutine around the statement that runs a future."""
    reason = "what is run is a future, which has to be made in a coroutine: write one around it"
    statement = run.statement
    whole = isinstance(statement, ast.Expr | ast.Assign | ast.Return) and statement.value is run.call
    inside = list(ast.walk(run.coroutine))
    if not whole or any(isinstance(node, ast.Await | ast.Yield | ast.NamedExpr) for node in inside):
        return reason
    if where.inside != [statement] or not module.stands_alone(statement):
        return reason
    moved = extract(module, group, where, taken, runner=function)
    return [AwaitArgument(module.span(run.call)), moved] if moved is not None else reason


def _shared(
    module: Module, site: Site, where: Range, replaced: list[ast.Call], handed: list[Operation]
) -> list[Operation] | str:
    """One asyncio.Runner for all runs: in the place of a ``try`` whose ``finally`` goes, or around them."""
    if module.target < _RUNNER_SINCE:
        return "several runs share the loop, and asyncio.Runner needs Python 3.11: merge them into one coroutine"
    spelled, change = spelling(module, "Runner", _spelled(site), replaced)
    if not spelled:
        return "asyncio is imported in a form that gives no `Runner`: import asyncio"
    inside = where.inside
    if not all(module.stands_alone(statement) for statement in (inside[0], inside[-1])):
        return "a run shares its line with another statement: put it on a line of its own"
    name = free_name(module, _RUNNERS)
    header = f"with {spelled}() as {name}:"
    operations: list[Operation] = [change] if change is not None else []
    operations += [ReplaceExpression(module.span(run.call.func), f"{name}.run") for run in site.runs]
    waiting = f"{name}.run({waiting_forever(module)})"
    operations += [ReplaceExpression(module.span(call), waiting) for call in site.forever]
    dropped = drop_all(module, site.done_with)
    clauses = [op for op in dropped if isinstance(op, RemoveFinally)]
    first = inside[0]
    around = module.parent(first)
    if isinstance(around, TRIES) and module.span(around) in [clause.at for clause in clauses]:
        first = around
    if len(clauses) == 1 and clauses[0].at == module.span(first) and (first is around or len(inside) == 1):
        kept = [op for op in dropped if op is not clauses[0]]
        return [*operations, *kept, RemoveFinally(clauses[0].at, header), *handed]
    if site.blocks:
        return [*operations, *dropped, Unwrap(module.span(site.blocks[0]), header), *handed]
    left = [statement for statement in inside if statement not in site.done_with]
    wrapped = WrapInWith(module.span(left[0]), module.span(left[-1]), header)
    kept = [op for op in dropped if not isinstance(op, RemoveStatement) or op.at != wrapped.first]
    return [*operations, *kept, wrapped, *handed]
