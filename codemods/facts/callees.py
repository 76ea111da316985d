"""Which function of this file a call means, and what is reached from a coroutine."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from codemods.facts.module import FunctionNode, Module
from codemods.facts.nodes import walk_scope


def callee(module: Module, call: ast.expr) -> FunctionNode | None:
    """The function of this file that ``f()``, ``self.f()`` or ``Class().f()`` calls; None if unsure."""
    if not isinstance(call, ast.Call):
        return None
    match call.func:
        case ast.Name(id=name):
            found = module.definition(name, call)
            return None if isinstance(found, ast.ClassDef) else found
        case ast.Attribute(value=receiver, attr=attr):
            cls = instance_class(module, receiver)
            return module.method(cls, attr) if cls is not None else None
    return None


def given_function(module: Module, value: ast.expr) -> FunctionNode | ast.Lambda | None:
    """The function of this file, or the lambda, that is handed on as ``value``; ``partial`` is seen through."""
    if isinstance(value, ast.Call) and module.qualname(value.func) == "functools.partial" and value.args:
        value = value.args[0]
    match value:
        case ast.Lambda():
            return value
        case ast.Name(id=name):
            found = module.definition(name, value)
            return None if isinstance(found, ast.ClassDef) else found
        case ast.Attribute(value=receiver, attr=attr):
            cls = instance_class(module, receiver)
            return module.method(cls, attr) if cls is not None else None
    return None


def instance_class(module: Module, receiver: ast.expr) -> ast.ClassDef | None:
    """The class of this file that ``receiver`` is an instance of: ``self``, ``Class()``, ``x = Class()``."""
    if isinstance(receiver, ast.Call) and isinstance(receiver.func, ast.Name):
        found = module.definition(receiver.func.id, receiver)
        return found if isinstance(found, ast.ClassDef) else None
    if not isinstance(receiver, ast.Name):
        return None
    if receiver.id == "self":
        return module.enclosing_class(receiver)
    values = assigned_values(module, receiver)
    classes = [instance_class(module, value) for value in values if isinstance(value, ast.Call)]
    return classes[0] if len(values) == 1 and classes else None


def assigned_values(module: Module, name: ast.Name) -> list[ast.expr]:
    """The right sides of the assignments to ``name`` in the scope that it is bound in.

    Empty when it is bound in any other way (a parameter, a loop, a ``with``).
    """
    scope = module.scope(name)
    while True:
        bound = [
            node for node in module.names(name.id) if not isinstance(node.ctx, ast.Load) and module.scope(node) is scope
        ]
        if bound or isinstance(scope, ast.Module) or module.binds(name.id, scope):
            break
        scope = module.scope(scope)
    values: list[ast.expr] = []
    for node in bound:
        holder = module.parent(node)
        if isinstance(holder, ast.Tuple):
            holder = module.parent(holder)
        if isinstance(holder, ast.Assign | ast.AnnAssign) and holder.value is not None:
            values.append(holder.value)
        elif not isinstance(holder, ast.AnnAssign):
            return []
    return values


def reached(module: Module, function: FunctionNode, depth: int = 4) -> Iterator[FunctionNode]:
    """``function`` and the functions of this file that it calls, down to ``depth`` levels."""
    seen: set[FunctionNode] = set()
    level = [function]
    for _ in range(depth):
        below: list[FunctionNode] = []
        for here in level:
            if here in seen:
                continue
            seen.add(here)
            yield here
            for node in body_nodes(here):
                found = callee(module, node) if isinstance(node, ast.Call) else None
                if found is not None:
                    below.append(found)
        level = below


def body_nodes(function: FunctionNode) -> Iterator[ast.AST]:
    """What stands in the body of a function, without the bodies of functions inside it."""
    for statement in function.body:
        yield from walk_scope(statement)
