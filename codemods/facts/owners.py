"""Whether the owner of a resource, a list of the file or a name of the function around, sees to its close."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from codemods.facts.lifetimes import Lifetime
from codemods.facts.module import FunctionNode, Module
from codemods.facts.nodes import FUNCTIONS, is_self_attribute, tail
from codemods.facts.vocabulary import CLOSING


def owner_closes(module: Module, life: Lifetime) -> bool:
    """Whether the file closes what keeps a resource: ``for session in sessions: await session.close()``.

    That may stand in the function, in one around it (behind the ``yield`` of a fixture), or, for an
    attribute of ``self``, anywhere in the class.
    """
    kept = {escape.into.partition("[")[0] for escape in life.trace.escapes if escape.kind == "stored"}
    function, name = life.creation.function, life.creation.name
    around = [function, *(above for above in module.ancestors(function) if isinstance(above, FUNCTIONS))]
    places: list[ast.AST] = list(around)
    if any(into.startswith("self.") for into in kept) and (cls := module.enclosing_class(function)) is not None:
        places.append(cls)
    shared = module.is_declared(name, function) and not life.closes.straight
    for call in (node for place in places for node in ast.walk(place) if isinstance(node, ast.Call)):
        if not (isinstance(call.func, ast.Attribute) and CLOSING.search(call.func.attr)):
            continue
        receiver = call.func.value
        if is_self_attribute(receiver) and module.code(receiver) in kept:
            return True
        if not isinstance(receiver, ast.Name):
            continue
        if shared and receiver.id == name and _is_in(module, call, around[1:]):
            return True
        if any(module.code(_iterated(over)) in kept for over in _loops_over(module, receiver)):
            return True
    return False


def _is_in(module: Module, call: ast.Call, functions: list[FunctionNode]) -> bool:
    return module.function(call) in functions


def _loops_over(module: Module, name: ast.Name) -> Iterator[ast.expr]:
    """What the loops and comprehensions around a name go over, where they bind it."""
    for above in module.ancestors(name):
        loops = [above] if isinstance(above, ast.For | ast.AsyncFor) else getattr(above, "generators", [])
        for loop in loops:
            if any(isinstance(node, ast.Name) and node.id == name.id for node in ast.walk(loop.target)):
                yield loop.iter


def _iterated(over: ast.expr) -> ast.expr:
    """``tasks`` out of ``list(tasks)``, ``reversed(tasks)``, ``tasks.values()`` and ``tasks.items()``."""
    if isinstance(over, ast.Call):
        if isinstance(over.func, ast.Attribute) and over.func.attr in ("values", "items", "copy"):
            return _iterated(over.func.value)
        if len(over.args) == 1 and tail(over.func) in ("list", "tuple", "reversed", "set", "enumerate"):
            return _iterated(over.args[0])
    return over
