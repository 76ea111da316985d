"""``with asyncio.Runner() as runner:`` around runs between which other code stands."""

from __future__ import annotations

import ast

from codemods.facts.module import FUNCTIONS, Module, walk_scope
from codemods.facts.runs import RUN, Group
from codemods.model import Operation
from codemods.rewriting.operations import ChangeFromImport, RemoveKeyword, ReplaceExpression, WrapInWith
from codemods.rules.main_coroutine import Range, free_name, reads_well

_RUNNER = "asyncio.Runner"
_NAMES = ("runner", "loop_runner", "async_runner")
_LOOP_HANDLING = ("asyncio.new_event_loop", "asyncio.set_event_loop", "asyncio.get_event_loop", "asyncio.Runner")


def share(module: Module, group: Group, where: Range) -> tuple[Operation, ...] | str:
    """The operations that give the runs one Runner, or the reason why that cannot be done here."""
    inside = where.inside
    if reason := _obstacle(module, group, inside):
        return reason
    operations: list[Operation] = []
    spelled = module.imports.local_name(_RUNNER)
    if spelled is None:
        change = _import(module, group)
        if change is None:
            return "`asyncio` is imported in a form that gives no `Runner`; import asyncio and use asyncio.Runner"
        spelled = "Runner"
        operations.append(change)
    name = free_name(module, _NAMES)
    first = group.runs[0].call
    arguments = ", ".join(f"{k.arg}={module.code(k.value)}" for k in first.keywords)
    for run in group.runs:
        operations.append(ReplaceExpression(at=module.span(run.call.func), code=f"{name}.run"))
        operations += [RemoveKeyword(at=module.span(run.call), name=k.arg or "") for k in run.call.keywords]
    header = f"with {spelled}({arguments}) as {name}:"
    operations.append(WrapInWith(first=module.span(inside[0]), last=module.span(inside[-1]), header=header))
    return tuple(operations)


def _obstacle(module: Module, group: Group, inside: list[ast.stmt]) -> str:
    keywords = {tuple((k.arg, ast.dump(k.value)) for k in run.call.keywords) for run in group.runs}
    if len(keywords) > 1:
        return "the runs have different options; give them the same ones, or one loop each on purpose"
    if any(
        k.arg is None or not isinstance(k.value, ast.Constant | ast.Name | ast.Attribute)
        for k in group.runs[0].call.keywords
    ):
        return "the options of the runs are computed; make an asyncio.Runner with them by hand"
    if len(group.runs[0].call.keywords) > 1:
        return "the runs have several options; make an asyncio.Runner with them by hand"
    if isinstance(group.scope, ast.ClassDef):
        return "the runs stand in a class body, which has no place for a with block; move them into a function"
    if not all(module.stands_alone(statement) for statement in (inside[0], inside[-1])):
        return "a run shares its line with another statement; put it on a line of its own"
    if not all(reads_well(module, run.call) for run in group.runs):
        return "a run stands in an f-string whose parts cannot be located; assign its result to a name first"
    nodes = [node for statement in inside for node in walk_scope(statement)]
    if any(isinstance(node, (*FUNCTIONS, ast.ClassDef)) for node in nodes):
        return "functions or classes are defined between the runs; move the definitions in front of the first one"
    if any(isinstance(node, ast.Yield | ast.YieldFrom) for node in nodes):
        return "the function yields between the runs, so it may never come to close a shared Runner"
    if any(isinstance(node, ast.ImportFrom) and any(a.name == "*" for a in node.names) for node in nodes):
        return "a star import stands between the runs; move it to the top"
    own = {run.call for run in group.runs}
    handled = [c for c in module.calls(*_LOOP_HANDLING) if any(c is node for node in nodes) and c not in own]
    if handled:
        return "the code between the runs handles event loops of its own; give it the Runner's loop by hand"
    return ""


def _import(module: Module, group: Group) -> ChangeFromImport | None:
    """The change of ``from asyncio import run`` that makes Runner known."""
    own = {run.call for run in group.runs}
    for statement in module.imports.statements:
        if isinstance(statement, ast.ImportFrom) and statement.module == "asyncio" and not statement.level:
            local = next((a.asname or a.name for a in statement.names if a.name == "run"), None)
            if local is None or "Runner" in module.all_identifiers():
                continue
            used = [n for n in module.names(local) if not (isinstance(c := module.parent(n), ast.Call) and c in own)]
            remove = "run" if not used and local == "run" and module.qualname(group.runs[0].call.func) == RUN else ""
            return ChangeFromImport(at=module.span(statement), add="Runner", remove=remove)
    return None
