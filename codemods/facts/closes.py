"""How the calls that close a resource are reached: always, on the happy path, or sometimes."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field

from codemods.facts.flow import TRIES
from codemods.facts.module import FunctionNode, Module
from codemods.facts.resources import Creation
from codemods.facts.traces import Trace


@dataclass
class Closes:
    """The calls that close one resource, sorted by how they are reached."""

    in_finally: bool = False
    straight: list[ast.stmt] = field(default_factory=list)
    """Statements of the resource's own block, in order; ``if x: await x.close()`` counts as one."""
    leaving: list[ast.stmt] = field(default_factory=list)
    """Statements right before a ``return``, ``raise``, ``break`` or ``continue`` deeper inside."""
    odd: list[ast.stmt] = field(default_factory=list)
    """Conditional closes, guarded ones, and those that are part of a larger statement."""
    handled: list[ast.stmt] = field(default_factory=list)
    """Statements in an exception handler."""
    forgotten: list[ast.stmt] = field(default_factory=list)
    """Statements that call a coroutine ``close()`` and do not await it."""


def classify(module: Module, trace: Trace, creation: Creation, block: list[ast.stmt]) -> Closes:
    """Sort the closes of ``trace``; ``block`` is the list of statements that the resource is made in."""
    name, function = creation.name, creation.function
    found = Closes()
    waits = [module.statement(call) for call in trace.waits]
    units = [_unit(module, call, name) for call in trace.closes]
    ends = {id(unit) for unit in units if unit is not None} | {id(wait) for wait in waits}
    for call, unit in zip(trace.closes, units, strict=True):
        where = _where(module, call, function)
        statement = module.statement(call)
        if where == "finally":
            found.in_finally = True
        elif unit is None:
            found.odd.append(statement)
        elif not _may_be_sync(creation, call) and isinstance(statement, ast.Expr) and statement.value is call:
            found.forgotten.append(unit)
        elif unit in block:
            found.straight.append(unit)
        elif where == "handler":
            found.handled.append(unit)
        elif _leaves_next(module, unit, ends):
            found.leaving.append(unit)
        else:
            found.odd.append(unit)
    for wait in waits:
        if not isinstance(wait, ast.Expr) and _where(module, wait, function) != "finally":
            found.odd.append(wait)
        elif wait in block:
            found.straight.append(wait)
        elif _where(module, wait, function) == "handler":
            found.handled.append(wait)
        elif _leaves_next(module, wait, ends):
            found.leaving.append(wait)
    found.straight.sort(key=lambda statement: statement.lineno)
    return found


def _may_be_sync(creation: Creation, call: ast.Call) -> bool:
    resource = creation.resource
    return resource.sync_close or (isinstance(call.func, ast.Attribute) and call.func.attr in resource.alt_close)


def _unit(module: Module, call: ast.Call, name: str) -> ast.stmt | None:
    """The statement that does nothing else than this close; None when it is part of something larger."""
    statement = module.statement(call)
    if not isinstance(statement, ast.Expr):
        return None
    value = statement.value.value if isinstance(statement.value, ast.Await) else statement.value
    if value is not call:
        return None
    owner = module.parent(statement)
    if isinstance(owner, ast.If) and not owner.orelse and owner.body == [statement]:
        names = {node.id for node in ast.walk(owner.test) if isinstance(node, ast.Name)}
        if names == {name}:
            return owner
    return statement


def _where(module: Module, node: ast.AST, function: FunctionNode) -> str:
    """``finally`` or ``handler`` when the node stands in one; else the empty string."""
    child = node
    for above in module.ancestors(node):
        if above is function:
            break
        if isinstance(above, TRIES) and child in above.finalbody:
            return "finally"
        if isinstance(above, ast.ExceptHandler):
            return "handler"
        child = above
    return ""


def _leaves_next(module: Module, statement: ast.stmt, ends: Iterable[int]) -> bool:
    """Whether the function or the loop is left right after ``statement``, or after other closes."""
    block = module.block(statement)
    for later in block.statements[block.index + 1 :]:
        if isinstance(later, ast.Return | ast.Raise | ast.Break | ast.Continue):
            return True
        if id(later) not in ends and not _is_short(later):
            return False
    return False


def _is_short(statement: ast.stmt) -> bool:
    """A statement that may stand between a close and the way out: another close, a message."""
    if isinstance(statement, ast.Expr):
        value = statement.value.value if isinstance(statement.value, ast.Await) else statement.value
        return isinstance(value, ast.Call)
    return isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)
