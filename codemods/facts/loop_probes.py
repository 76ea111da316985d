"""Statements that take the current loop where there is one, and make a new one where there is none."""

from __future__ import annotations

import ast

from codemods.facts.flow import TRIES
from codemods.facts.loops import HeldLoop, How, origin
from codemods.facts.module import Module
from codemods.facts.nodes import tail
from codemods.facts.variables import BINDERS, Variables

_HOWS = (How.RUNNING, How.CURRENT, How.NEW)
_CAUGHT = {"RuntimeError", "Exception", "BaseException"}


def probe(module: Module, held: HeldLoop) -> list[ast.stmt]:
    """The statements of one block that decide what loop the name of ``held`` means, and do nothing else.

    ``try: loop = get_event_loop()`` with ``except RuntimeError: loop = new_event_loop()``, and
    ``if loop.is_closed(): loop = new_event_loop()``. Empty where another binding of the name, or
    other code between, has a say.
    """
    name = held.name
    found: list[ast.stmt] = []
    for node in Variables(module).uses(name).get(held.scope, ()):
        if isinstance(node.ctx, ast.Load):
            continue
        binding = module.parent(node)
        if not isinstance(binding, BINDERS) or not _only_makes(module, binding, name):
            return []
        statement: ast.stmt = binding
        for above in module.ancestors(statement):
            if not isinstance(above, ast.Try | ast.If | ast.ExceptHandler):
                break
            if isinstance(above, ast.stmt) and _only_makes(module, above, name):
                statement = above
        if statement not in found:
            found.append(statement)
    owners = {module.block(statement).owner for statement in found}
    decides = any(isinstance(statement, ast.Try | ast.If) for statement in found)
    return found if len(owners) == 1 and decides else []


def _only_makes(module: Module, statement: ast.stmt, name: str) -> bool:
    """Whether a statement does nothing but give ``name`` a loop, and make that the current one."""
    match statement:
        case (
            ast.Assign(targets=[ast.Name(id=bound)], value=value)
            | ast.AnnAssign(target=ast.Name(id=bound), value=value)
        ):
            return bound == name and (origin(module, value) in _HOWS or _is_none(value))
        case ast.Expr(value=ast.Call(func=function, args=[ast.Name(id=given)], keywords=[])):
            return module.qualname(function) == "asyncio.set_event_loop" and given == name
        case ast.Pass():
            return True
        case ast.Raise(exc=ast.Call(func=ast.Name(id="RuntimeError"), args=[]) | ast.Name(id="RuntimeError")):
            return _is_caught(module, statement)
        case ast.If(test=test, body=body, orelse=orelse):
            return _asks(test, name) and all(_only_makes(module, inner, name) for inner in [*body, *orelse])
    if not isinstance(statement, TRIES) or statement.finalbody:
        return False
    if not all(_catches(handler) for handler in statement.handlers):
        return False
    inside = [*statement.body, *statement.orelse, *(inner for handler in statement.handlers for inner in handler.body)]
    return all(_only_makes(module, inner, name) for inner in inside)


def _is_none(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def _catches(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return all(kind is None or tail(kind) in _CAUGHT for kind in kinds)


def _is_caught(module: Module, statement: ast.stmt) -> bool:
    """Whether a ``raise`` goes to a handler of a ``try`` that it stands in, as ``if loop.is_closed(): raise``."""
    child: ast.AST = statement
    for above in module.ancestors(statement):
        if isinstance(above, TRIES):
            return child in above.body and bool(above.handlers)
        child = above
    return False


def _asks(test: ast.expr, name: str) -> bool:
    """``loop.is_closed()``, ``loop is None``, ``not loop``, and both of them."""
    match test:
        case ast.BoolOp(values=values):
            return all(_asks(value, name) for value in values)
        case ast.UnaryOp(op=ast.Not(), operand=ast.Name(id=asked)):
            return asked == name
        case ast.Compare(left=ast.Name(id=asked), ops=[ast.Is()], comparators=[ast.Constant(value=None)]):
            return asked == name
        case ast.Call(func=ast.Attribute(value=ast.Name(id=asked), attr="is_closed"), args=[], keywords=[]):
            return asked == name
    return False
