"""A loop that is handled by hand gives way to ``asyncio.run``, a main coroutine, or an asyncio.Runner."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from codemods.facts.callees import callee
from codemods.facts.flow import TRIES
from codemods.facts.manual_loops import Site
from codemods.facts.module import Module
from codemods.facts.nodes import FUNCTIONS, tail, walk_scope
from codemods.facts.runs import Group, Run
from codemods.model import Operation
from codemods.rewriting.operations import AwaitArgument, RemoveFinally, RemoveStatement, ReplaceExpression, WrapInWith
from codemods.rules.dropping import drop_all
from codemods.rules.handed_loop import take_back
from codemods.rules.main_coroutine import common_range, extract, free_name, merge, reads_well
from codemods.rules.main_results import Range
from codemods.rules.spelling import spelling

_RUNNER_SINCE = (3, 11)
_RUNNERS = ("runner", "loop_runner", "async_runner")
_FUTURES = {
    *("asyncio.gather", "asyncio.ensure_future", "asyncio.shield", "asyncio.wrap_future", "asyncio.create_task"),
    "asyncio.run_coroutine_threadsafe",
}
_ON_CURRENT = _FUTURES | {"asyncio.Future", "asyncio.Task", "asyncio.as_completed"}
"""What belongs to the loop that is current when it is made."""


def needs_coroutine(module: Module, coroutine: ast.expr) -> bool:
    """Whether what is run is a future, or is made of futures, which have to be made inside of a coroutine."""
    calls = [node for node in ast.walk(coroutine) if isinstance(node, ast.Call)]
    return any(module.qualname(call.func) in _FUTURES for call in calls)


def own_run(module: Module, site: Site, replaced: list[ast.Call], taken: set[str]) -> list[Operation] | str:
    """The operations that take the loop of ``site`` away, or why that cannot be done here.

    ``replaced`` are all calls of the file that get a loop and go away; names in ``taken`` are
    not free for a new coroutine.
    """
    if reason := _obstacle(module, site):
        return reason
    handed = take_back(module, site)
    if isinstance(handed, str):
        return handed
    several = len(site.runs) > 1 or site.runs[0].loop is not None
    function, change = spelling(module, "run", _spelled(module, site), replaced)
    if not function:
        return "asyncio is imported in a form that gives no `run`: import asyncio"
    extra: list[Operation] = [change] if change is not None else []
    group = Group(site.scope, tuple(site.runs))
    where = common_range(module, group)
    if needs_coroutine(module, site.runs[0].coroutine) and not several:
        moved = _moved(module, site.runs[0], where, taken, function, group)
        return moved if isinstance(moved, str) else [*drop_all(module, site.done_with), *extra, *moved, *handed]
    if not several:
        called = ReplaceExpression(module.span(site.runs[0].call.func), function)
        return [*drop_all(module, site.done_with), *extra, called, *handed]
    if any(needs_coroutine(module, run.coroutine) for run in site.runs):
        return "a future is run, which has to be made in a coroutine: write one around it"
    if not handed and (merged := merge(module, group, where, taken, runner=function)) is not None:
        return [*drop_all(module, site.done_with), *extra, *merged]
    return _shared(module, site, where, replaced, handed)


def _spelled(module: Module, site: Site) -> ast.expr:
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
    if not all(_reaches(module, held.binding, run) for held in site.loops if held.binding for run in site.runs):
        return f"`{site.name}` is made under a condition: decide on one way to run, `asyncio.run`"
    if any(_is_probed(module, held.made) for held in site.loops):
        return "the code is ready for having no loop: let coroutines await, and plain code use `asyncio.run`"
    nodes = [node for statement in site.scope.body for node in walk_scope(statement)]
    if isinstance(site.scope, FUNCTIONS) and any(isinstance(node, ast.Yield | ast.YieldFrom) for node in nodes):
        return "the function yields while its loop is open: put `with asyncio.Runner() as runner:` around that by hand"
    if site.tasks or _starts_tasks(module, site):
        return "tasks are started before the loop runs: start them in the main coroutine"
    rounds = {run.loop for run in site.runs if run.loop is not None}
    if any(rounds & set(module.ancestors(held.made)) for held in site.loops if held.binding):
        return "each round makes a loop of its own: let one main coroutine go round"
    if not all(reads_well(module, run.call) for run in site.runs):
        return "a run stands in an f-string whose parts cannot be located: assign its result to a name first"
    return ""


def _starts_tasks(module: Module, site: Site) -> bool:
    """Whether plain code makes futures on the current loop, outside of what is run."""
    inside = {node for run in site.runs for node in ast.walk(run.coroutine)}
    scopes = (site.scope, module.tree)
    calls = [*module.calls(*_ON_CURRENT), *_on_loops_of_objects(module)]
    return any(call not in inside and module.scope(call) in scopes for call in calls)


def _on_loops_of_objects(module: Module) -> Iterator[ast.Call]:
    """``client.loop.create_task(...)``: on the loop that an object took when it was made."""
    for call in module.calls_ending("create_task", "call_later", "call_soon"):
        loop = call.func.value if isinstance(call.func, ast.Attribute) else None
        if isinstance(loop, ast.Attribute) and loop.attr == "loop":
            yield call


def _reaches(module: Module, binding: ast.stmt, run: Run) -> bool:
    """Whether a run stands in the block of the assignment that makes its loop, or deeper."""
    statements = module.block(binding).statements
    return any(node in statements for node in (run.statement, *module.ancestors(run.statement)))


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
    spelled, change = spelling(module, "Runner", _spelled(module, site), replaced)
    if not spelled:
        return "asyncio is imported in a form that gives no `Runner`: import asyncio"
    inside = where.inside
    if not all(module.stands_alone(statement) for statement in (inside[0], inside[-1])):
        return "a run shares its line with another statement: put it on a line of its own"
    name = free_name(module, _RUNNERS)
    header = f"with {spelled}() as {name}:"
    operations: list[Operation] = [change] if change is not None else []
    operations += [ReplaceExpression(module.span(run.call.func), f"{name}.run") for run in site.runs]
    dropped = drop_all(module, site.done_with)
    clauses = [op for op in dropped if isinstance(op, RemoveFinally)]
    first = inside[0]
    around = module.parent(first)
    if isinstance(around, TRIES) and module.span(around) in [clause.at for clause in clauses]:
        first = around
    if len(clauses) == 1 and clauses[0].at == module.span(first) and (first is around or len(inside) == 1):
        kept = [op for op in dropped if op is not clauses[0]]
        return [*operations, *kept, RemoveFinally(clauses[0].at, header), *handed]
    left = [statement for statement in inside if statement not in site.done_with]
    wrapped = WrapInWith(module.span(left[0]), module.span(left[-1]), header)
    kept = [op for op in dropped if not isinstance(op, RemoveStatement) or op.at != wrapped.first]
    return [*operations, *kept, wrapped, *handed]


def is_coroutine(module: Module, coroutine: ast.expr) -> bool:
    """Whether it is sure that what is run is a coroutine: ``asyncio.run`` takes nothing else."""
    if not isinstance(coroutine, ast.Call):
        return False
    function = callee(module, coroutine)
    if isinstance(function, ast.AsyncFunctionDef):
        return not function.decorator_list and not _is_generator(function)
    name = module.qualname(coroutine.func) or ""
    return name.startswith("asyncio.") and tail(coroutine.func) in _ASYNCIO_COROUTINES


_ASYNCIO_COROUTINES = {
    *("sleep", "wait", "wait_for", "to_thread", "open_connection", "open_unix_connection"),
    *("start_server", "start_unix_server", "create_subprocess_exec", "create_subprocess_shell"),
}


def _is_generator(function: ast.AsyncFunctionDef) -> bool:
    return any(isinstance(node, ast.Yield) for statement in function.body for node in ast.walk(statement))
