"""Which local names of a file hold an open resource, and who needs it there."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from codemods.catalog.resources import Resource
from codemods.facts.module import FunctionNode, Module
from codemods.facts.nodes import FUNCTIONS, tail
from codemods.facts.resources import creations
from codemods.facts.uses import Tracer


@dataclass(frozen=True)
class Holding:
    """A local name that holds a resource: assigned, or entered by ``async with X() as name``."""

    resource: Resource
    name: str
    binding: ast.stmt
    function: FunctionNode


def holdings(module: Module) -> Iterator[Holding]:
    """Every resource under a local name, the entered ones first.

    What asyncio itself makes (streams, servers, processes) is left out: closing one ends what waits for it.
    """
    for call in module.calls(*module.catalog.by_name):
        resource = module.catalog.by_name[module.qualname(call.func) or ""]
        made: ast.AST = call
        if isinstance(module.parent(call), ast.Await):
            made = module.parent(call) or call
        item, function = module.parent(made), module.function(call)
        if isinstance(item, ast.withitem) and isinstance(function, FUNCTIONS) and resource.package != "asyncio":
            statement = module.parent(item)
            if isinstance(item.optional_vars, ast.Name) and isinstance(statement, ast.AsyncWith):
                yield Holding(resource, item.optional_vars.id, statement, function)
    for creation in creations(module, module.catalog):
        if creation.binding is not None and creation.resource.package != "asyncio" and not creation.resource.ends:
            yield Holding(creation.resource, creation.name, creation.binding, creation.function)


def reads_of_holding(module: Module, tracer: Tracer, holding: Holding) -> set[ast.Name]:
    """The names whose values need the resource: itself, what is made of it, functions that capture it."""
    trace = tracer.trace(holding.resource, holding.name, holding.binding, holding.function)
    found = set(trace.reads)
    pending: list[ast.Name] = []
    for escape in trace.escapes:
        if escape.kind.endswith("captured"):
            pending += [node for node in [escape.node] if isinstance(node, ast.Name)]
        elif escape.kind == "kept" and isinstance(escape.node, ast.Call):
            pending += _reads_of_wrapper(module, escape.node)
    while pending:
        name = pending.pop()
        if name in found:
            continue
        found.add(name)
        inner = module.function(name)
        if inner is not holding.function:
            if isinstance(inner, FUNCTIONS):
                pending += _loads(module, inner.name, holding.function)
        else:
            pending += _reads_of_wrapper(module, name)
    return found


def _reads_of_wrapper(module: Module, made: ast.expr) -> list[ast.Name]:
    """The reads of ``api`` behind ``api = Api(made)`` and ``async with Api(made) as api``."""
    child: ast.AST = made
    for above in module.ancestors(made):
        function = module.function(made)
        if isinstance(above, ast.Assign | ast.withitem) and isinstance(function, FUNCTIONS):
            targets = above.targets if isinstance(above, ast.Assign) else [above.optional_vars]
            return [load for t in targets if isinstance(t, ast.Name) for load in _loads(module, t.id, function)]
        if not isinstance(above, ast.Call | ast.keyword | ast.Attribute) or _is_plain_call(child, above):
            return []
        child = above
    return []


def _is_plain_call(child: ast.AST, above: ast.AST) -> bool:
    """Whether ``above`` calls a plain function with it, whose result may be anything."""
    return isinstance(above, ast.Call) and above.func is not child and not tail(above.func)[:1].isupper()


def _loads(module: Module, name: str, function: FunctionNode) -> list[ast.Name]:
    return [use for use in module.uses(name, function) if isinstance(use.ctx, ast.Load)]
