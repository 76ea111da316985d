"""Tasks that are started on a loop before it runs: they start in a new main coroutine, in the same order."""

from __future__ import annotations

import ast
from dataclasses import replace

from codemods.facts.flow import TRIES, repeating_loop
from codemods.facts.loop_refusals import FOREVER
from codemods.facts.loop_site import Site
from codemods.facts.module import Module
from codemods.facts.nodes import start, tail
from codemods.facts.runs import Group, Run
from codemods.facts.variables import Variables
from codemods.model import Operation
from codemods.rewriting.operations import AwaitArgument, NameValue, RemoveKeyword, RemoveStatement, ReplaceExpression
from codemods.rules.lost_tasks import end_lost, wait_for_cancelled, with_cancels
from codemods.rules.main_coroutine import common_range, extract
from codemods.rules.main_results import Range, targets
from codemods.rules.moving import BETWEEN, BY_HAND, Mover


def start_inside(module: Module, site: Site, function: str, taken: set[str]) -> tuple[list[Operation], str] | str:
    """The operations that move starts and runs into one coroutine, and what that may change; or why it cannot be.

    ``function`` is how ``asyncio.run`` is spelled. Names in ``taken`` are not free for the coroutine.
    """
    spelled, waiting = module.imports.local_name("asyncio.create_task") or "", waiting_forever(module)
    created = any(tail(call.func) == "create_task" for call in site.starts)
    if (created and "." not in spelled) or (site.forever and not waiting):
        return "asyncio is imported in a form that gives no `create_task`: import asyncio"
    if site.forever and (reason := why_forever(module, site)):
        return reason
    pulled, where = _places(module, site)
    where = with_cancels(module, site, where)
    inside = [*pulled, *where.inside]
    mover = Mover(module, site, inside)
    if reason := mover.obstacle() or _why_pulled(module, site, pulled, inside):
        return reason
    operations: list[Operation] = []
    for call in site.starts:
        if tail(call.func) == "create_task":
            operations.append(ReplaceExpression(module.span(call.func), spelled))
        elif any(keyword.arg == "loop" for keyword in call.keywords):
            operations.append(RemoveKeyword(module.span(call), "loop"))
    operations += [AwaitArgument(module.span(run.call)) for run in site.runs]
    operations += [ReplaceExpression(module.span(call), f"await {waiting}") for call in site.forever]
    group = Group(site.scope, tuple(site.runs or as_runs(module, site.forever)))
    moved = extract(module, group, where, taken, runner=function, private=mover.private, pulled=tuple(pulled))
    if moved is None:
        return "what the tasks are called is read elsewhere: start them in a main coroutine, and let that return it"
    ended = end_lost(module, site, pulled, where)
    if isinstance(ended, str):
        return ended
    if ended and moved.return_last:
        moved = replace(moved, return_last=False, returns=", ".join(targets(where.inside[-1])))
    names = {operation.at: operation.name for operation in ended if isinstance(operation, NameValue)}
    moved = replace(moved, pulled=tuple((at, names.pop(at, "")) for at, _ in moved.pulled))
    ended = [operation for operation in ended if not isinstance(operation, NameValue) or operation.at in names]
    gone = [RemoveStatement(module.span(statement), keep_comments=False) for statement in pulled]
    waits = wait_for_cancelled(module, site, where.inside)
    return [*operations, *gone, *ended, *waits, moved], mover.why_unsafe() or _why_caught(site, pulled)


def as_runs(module: Module, calls: list[ast.Call]) -> list[Run]:
    """Calls that start tasks or run the loop forever, as if each ran one coroutine: where they stand is what counts."""
    return [
        Run(call, call.args[0] if call.args else call, module.statement(call), repeating_loop(module, call))
        for call in calls
    ]


def _places(module: Module, site: Site) -> tuple[list[ast.stmt], Range]:
    """The statements that start tasks in front of the ``try`` that runs the loop; and what becomes the coroutine."""
    runs = sorted([*site.runs, *as_runs(module, site.forever)], key=lambda run: start(run.call))
    everything = sorted([*runs, *as_runs(module, site.starts)], key=lambda run: start(run.call))
    where = _without(common_range(module, Group(site.scope, tuple(everything))), site)
    *before, last = where.inside
    within = _without(common_range(module, Group(site.scope, tuple(runs))), site)
    starting = [statement for statement in before if any(node in site.starts for node in ast.walk(statement))]
    if starting and isinstance(last, TRIES) and within.inside[0] in last.body:
        return starting, within
    return [], where


def _without(where: Range, site: Site) -> Range:
    """The range without the statements that go away."""
    left = [statement for statement in where.statements if statement not in site.done_with]
    return Range(left, left.index(where.inside[0]), left.index(where.inside[-1]) + 1)


def _why_pulled(module: Module, site: Site, pulled: list[ast.stmt], inside: list[ast.stmt]) -> str:
    """Why statements cannot go into the ``try`` behind them: other code there needs what they bind."""
    for statement in pulled:
        read = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
        between = (n for name in read for n in Variables(module).uses(name).get(site.scope, []))
        if late := next(
            (n for n in between if isinstance(n.ctx, ast.Store) and _is_between(n, statement, inside)), None
        ):
            return f"line {late.lineno} {BETWEEN}"
        for name in targets(statement):
            own = Variables(module).uses(name).get(site.scope, [])
            if any(not set(inside) & {use, *module.ancestors(use)} for use in own):
                return f"`{name}` is used outside of the `try`, too: {BY_HAND}"
    return ""


def _why_caught(site: Site, pulled: list[ast.stmt]) -> str:
    """What changes when arguments are evaluated inside of the ``try``: its handlers see their errors."""
    for statement in pulled:
        made = [call.args[0] for call in site.starts if call in ast.walk(statement)]
        inside = [node for one in made for node in ast.walk(one) if node is not one]
        if any(isinstance(node, ast.Call | ast.Subscript) for node in inside):
            return f"what line {statement.lineno} raises comes to the handlers of the `try` then"
    return ""


def _is_between(node: ast.Name, pulled: ast.stmt, inside: list[ast.stmt]) -> bool:
    """Whether a name is bound behind a statement that moves, and in front of where it moves to."""
    return start(pulled) < start(node) < start(inside[-1]) and not any(node in ast.walk(s) for s in inside)


def waiting_forever(module: Module) -> str:
    """``asyncio.Event().wait()``, which nobody ends; empty where asyncio is imported in another form."""
    event = module.imports.local_name("asyncio.Event")
    return f"{event}().wait()" if event and "." in event else ""


def why_forever(module: Module, site: Site) -> str:
    """Why ``run_forever`` cannot become waiting for ever: something may stop the loop, or more than one runs."""
    stops = any("loop" in ast.unparse(stop.value).lower() for stop in module.attributes("stop"))
    return FOREVER if stops or len(site.forever) > 1 else ""
