"""The functions that a run reaches in its file, and whether an object was there before it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from codemods.facts.bonds import attribute_values, values_of
from codemods.facts.callees import body_nodes, callee, given_function, instance_class
from codemods.facts.module import FunctionNode, Module
from codemods.facts.nodes import FUNCTIONS
from codemods.facts.run_sites import RunSite
from codemods.facts.sharing import is_global_variable

_CACHES = ("functools.lru_cache", "functools.cache")
_DEPTH = 6


@dataclass(frozen=True)
class Step:
    """A function that a run reaches."""

    function: FunctionNode
    path: tuple[str, ...]
    lasting: bool
    """Whether ``self`` was there before the run."""


def steps_of(module: Module, site: RunSite) -> Iterator[Step]:
    """The functions of this file that a run reaches, the nearest first."""
    lasting = is_method(module, site.function)
    if isinstance(site.coroutine, FUNCTIONS):
        level = [Step(site.coroutine, (site.coroutine.name,), lasting)]
    else:
        nodes = list(ast.walk(site.coroutine))
        level = [step for node in nodes for step in called(module, node, (), lasting=lasting)]
        level += meant(module, site.coroutine, lasting=lasting)
    seen: set[FunctionNode] = set()
    for _ in range(_DEPTH):
        below: list[Step] = []
        for step in level:
            if step.function in seen:
                continue
            seen.add(step.function)
            yield step
            for node in body_nodes(step.function):
                below += called(module, node, step.path, lasting=step.lasting)
        level = below


def meant(module: Module, reference: ast.expr, *, lasting: bool) -> list[Step]:
    """The function that is handed on without a call: by its name, as a method, in a ``partial``."""
    found = given_function(module, reference)
    if not isinstance(found, FUNCTIONS):
        return []
    return [Step(found, (found.name,), lasting and (is_method(module, found) or _is_nested(module, found)))]


def called(module: Module, node: ast.AST, path: tuple[str, ...], *, lasting: bool) -> list[Step]:
    """The function that a call means, when ``node`` is one."""
    if not isinstance(node, ast.Call):
        return []
    function = callee(module, node)
    if isinstance(node.func, ast.Attribute):
        cls = class_of(module, node.func.value)
        function = module.method(cls, node.func.attr) if cls is not None else None
        lasting = lasts(module, node.func.value, lasting=lasting)
    elif function is not None and not _is_nested(module, function):
        lasting = False
    if function is None:
        return []
    return [Step(function, (*path, function.name), lasting)]


def _is_nested(module: Module, function: FunctionNode) -> bool:
    """Whether a function sees the ``self`` of the function around it."""
    return isinstance(module.scope(function), FUNCTIONS)


def class_of(module: Module, receiver: ast.expr, depth: int = 3) -> ast.ClassDef | None:
    """The class of this file that an object belongs to: a variable, an attribute, what a function gives."""
    if depth == 0:
        return None
    if isinstance(receiver, ast.Await):
        receiver = receiver.value
    cls = instance_class(module, receiver)
    if cls is not None:
        return cls
    match receiver:
        case ast.Name(id="cls"):
            return module.enclosing_class(receiver)
        case ast.Name(id=name):
            found = module.definition(name, receiver)
            if found is not None:
                return found if isinstance(found, ast.ClassDef) else None
            values = values_of(module, receiver)
        case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=attr):
            owner = module.enclosing_class(receiver)
            values = attribute_values(owner, attr) if owner is not None else []
        case ast.Call():
            function = callee(module, receiver)
            values = _returned(function) if function is not None else []
        case _:
            return None
    classes = {class_of(module, value, depth - 1) for value in values if not _is_none(value)}
    return classes.pop() if len(classes) == 1 else None


def _returned(function: FunctionNode) -> list[ast.expr]:
    return [node.value for node in body_nodes(function) if isinstance(node, ast.Return) and node.value is not None]


def _is_none(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is None


def lasts(module: Module, node: ast.expr, *, lasting: bool, depth: int = 3) -> bool:
    """Whether an object was there before the run; ``lasting`` says so of ``self``."""
    match node:
        case ast.Name(id="self"):
            return lasting
        case ast.Name(id="cls"):
            return True
        case ast.Name(id=name):
            if isinstance(module.definition(name, node), ast.ClassDef) or is_global_variable(module, node):
                return True
            values = values_of(module, node)
            return bool(depth and values) and all(
                lasts(module, value, lasting=lasting, depth=depth - 1) for value in values
            )
        case ast.Attribute(value=value):
            return lasts(module, value, lasting=lasting, depth=depth)
        case ast.Await(value=value):
            return lasts(module, value, lasting=lasting, depth=depth)
        case ast.Call():
            function = callee(module, node)
            if function is None or depth == 0:
                return False
            if is_cached(module, function):
                return True
            values = [value for value in _returned(function) if not _is_none(value)]
            return bool(values) and all(lasts(module, v, lasting=False, depth=depth - 1) for v in values)
    return False


def is_cached(module: Module, function: FunctionNode) -> bool:
    """Whether a plain function gives the same object again and again, by ``functools``."""
    names = [d.func if isinstance(d, ast.Call) else d for d in function.decorator_list]
    return isinstance(function, ast.FunctionDef) and any(module.qualname(name) in _CACHES for name in names)


def is_method(module: Module, function: FunctionNode) -> bool:
    """Whether a function stands in a class."""
    return isinstance(module.scope(function), ast.ClassDef)
