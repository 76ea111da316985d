"""``with asyncio.Runner() as runner:`` around runs between which other code stands."""

from __future__ import annotations

import ast

from codemods.facts.leftovers import sets_context
from codemods.facts.module import Module
from codemods.facts.nodes import FUNCTIONS, walk_scope
from codemods.facts.runs import Group, options
from codemods.model import Operation
from codemods.rewriting.operations import RemoveKeyword, ReplaceExpression, WrapInWith
from codemods.rules.main_coroutine import free_name, reads_well
from codemods.rules.main_results import Range, main_guard
from codemods.rules.spelling import spelling

_CONSUMERS = {"list", "tuple", "set", "frozenset", "dict", "sorted", "sum", "any", "all", "min", "max", "join"}
_NAMES = ("runner", "loop_runner", "async_runner")
_LOOP_HANDLING = ("asyncio.new_event_loop", "asyncio.set_event_loop", "asyncio.get_event_loop", "asyncio.Runner")


def share(module: Module, group: Group, where: Range) -> tuple[Operation, ...] | str:
    """The operations that give the runs one Runner, or the reason why that cannot be done here."""
    inside = where.inside
    if reason := _obstacle(module, group, inside):
        return reason
    operations: list[Operation] = []
    spelled, change = spelling(module, "Runner", group.runs[0].call.func, {run.call for run in group.runs})
    if not spelled:
        return "`asyncio` is imported in a form that gives no `Runner`; import asyncio and use asyncio.Runner"
    if change is not None:
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
    if len(options(group)) > 1:
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
    if isinstance(inside[0], ast.If) and main_guard(module, group.runs[0].call) is inside[0]:
        return "the runs stand in several `if __name__` blocks; make them one block"
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
    if any(is_lazy(module, run.call) for run in group.runs):
        return "a generator expression starts the runs whenever it is asked to; make it a list"
    own = {run.call for run in group.runs}
    calls = [node for node in nodes if isinstance(node, ast.Call)]
    if any(sets_context(module, call) for call in calls):
        return "a context variable is set between the runs, which a Runner would not see: it copies them once"
    handled = [c for c in module.calls(*_LOOP_HANDLING) if any(c is node for node in nodes) and c not in own]
    if handled:
        return "the code between the runs handles event loops of its own; give it the Runner's loop by hand"
    return ""


def is_lazy(module: Module, call: ast.Call) -> bool:
    """Whether a run stands in a generator expression that may be consumed after its statement."""
    child: ast.AST = call
    for above in module.ancestors(call):
        if isinstance(child, ast.GeneratorExp) and child.generators[0].iter is not call:
            consumed = isinstance(above, ast.Call) and ast.unparse(above.func).rpartition(".")[2] in _CONSUMERS
            if not consumed and not isinstance(above, ast.Starred | ast.For):
                return True
        if isinstance(above, ast.stmt):
            return False
        child = above
    return False
