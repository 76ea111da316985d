"""Whether nothing of note happens between a statement and the end of a block around it."""

from __future__ import annotations

import ast
from collections.abc import Collection

from codemods.facts.flow import LOOPS, TRIES
from codemods.facts.module import Module
from codemods.facts.vocabulary import INSPECTORS, LOGGERS

_Statements = Collection[ast.stmt]


def leads_out(module: Module, statement: ast.stmt, block: ast.stmt, name: str, ignored: _Statements) -> bool:
    """Whether control leaves ``block`` right behind ``statement``, which stands somewhere inside of it.

    Messages that do not mention ``name``, and the ``ignored`` statements, may stand between.
    """
    here = statement
    while True:
        place = module.block(here)
        for later in place.statements[place.index + 1 :]:
            if later in ignored or _is_quiet(later, name):
                continue
            jump = _jump(module, later, block, name, ignored)
            if not isinstance(jump, ast.stmt):
                return jump
            here = jump
            break
        else:
            owner = place.owner
            if owner is block:
                return True
            if isinstance(owner, LOOPS) and place.field == "body":
                return False
            if isinstance(owner, ast.ExceptHandler | ast.match_case):
                owner = module.parent(owner) or owner
            if not isinstance(owner, ast.stmt) or owner not in _inside(module, statement, block):
                return False
            if isinstance(owner, TRIES) and not _passes(owner, here, name, ignored):
                return False
            here = owner


def _jump(module: Module, statement: ast.stmt, block: ast.stmt, name: str, ignored: _Statements) -> bool | ast.stmt:
    """Whether a statement leaves ``block`` at once; the loop that it leaves, if that is inside of the block."""
    if not isinstance(statement, ast.Return | ast.Raise | ast.Break | ast.Continue) or not _is_plain(statement, name):
        return False
    end: ast.stmt = block
    if isinstance(statement, ast.Break | ast.Continue):
        loops = [node for node in _inside(module, statement, block) if isinstance(node, LOOPS)]
        if loops and isinstance(statement, ast.Continue):
            return False
        end = loops[0] if loops else block
    child: ast.AST = statement
    for above in _inside(module, statement, end):
        if isinstance(above, TRIES):
            caught = isinstance(statement, ast.Raise) and bool(above.handlers) and child in above.body
            if caught or (child not in above.finalbody and not _all_quiet(above.finalbody, name, ignored)):
                return False
        elif isinstance(above, ast.With | ast.AsyncWith) and isinstance(statement, ast.Raise):
            return False  # it may swallow the exception
        child = above
    return end if end is not block else True


def _inside(module: Module, node: ast.AST, block: ast.stmt) -> list[ast.AST]:
    """The nodes around ``node`` that are inside of ``block``, from the inside out."""
    found: list[ast.AST] = []
    for above in module.ancestors(node):
        if above is block:
            break
        found.append(above)
    return found


def _passes(owner: ast.Try | ast.TryStar, child: ast.stmt, name: str, ignored: _Statements) -> bool:
    """Whether what a ``try`` still does behind the clause that ends with ``child`` is quiet."""
    rest = [] if child in owner.finalbody else list(owner.finalbody)
    if child in owner.body:
        rest += owner.orelse
    return _all_quiet(rest, name, ignored)


def _all_quiet(statements: list[ast.stmt], name: str, ignored: _Statements) -> bool:
    return all(statement in ignored or _is_quiet(statement, name) for statement in statements)


def _is_quiet(statement: ast.stmt, name: str) -> bool:
    """A message, or a constant that goes into a local name."""
    match statement:
        case ast.Pass() | ast.Expr(value=ast.Constant()):
            return True
        case ast.Assign(targets=[ast.Name()], value=ast.Constant()):
            return True
        case ast.Expr(value=ast.Call(func=ast.Name(id="print") as function) as call):
            return _is_plain(call, name, function)
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr=attr) as function) as call) if attr in LOGGERS:
            return _is_plain(call, name, function)
    return False


def _is_plain(node: ast.AST, name: str, function: ast.expr | None = None) -> bool:
    """Whether nothing happens when ``node`` is evaluated but that values are put together, ``name`` not among them."""
    raised = node.exc if isinstance(node, ast.Raise) else None
    for inner in ast.walk(node):
        if isinstance(inner, ast.Await | ast.Yield | ast.YieldFrom | ast.NamedExpr):
            return False
        if isinstance(inner, ast.Name) and inner.id == name:
            return False
        if isinstance(inner, ast.Call) and inner is not raised and inner.func is not function:
            known = isinstance(inner.func, ast.Name) and inner.func.id in INSPECTORS
            if not known:
                return False
    return True
