"""Where a file makes an object that has to be closed, and under which name it keeps it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from codemods.catalog.resources import Catalog, Resource
from codemods.facts.module import FunctionNode, Module


@dataclass(frozen=True)
class Creation:
    """One place where a resource is made, inside a function of the file."""

    resource: Resource
    call: ast.Call
    value: ast.expr
    """The expression that gives the object: the call, or the ``await`` around it.

    Between the two may stand an ``asyncio.wait_for``.
    """
    function: FunctionNode
    binding: ast.Assign | ast.AnnAssign | None = None
    """The assignment that gives the object a local name; None where it is used on the spot."""
    name: str = ""
    companions: tuple[str, ...] = ()
    """The other names of a tuple that it came in (``reader`` of ``reader, writer``)."""


def creations(module: Module, catalog: Catalog) -> Iterator[Creation]:
    """Every resource that a function makes and binds to a name, or uses on the spot.

    What is stored, passed on or returned at once has an owner elsewhere and is left out; so
    are module and class level, and what an ``async with`` enters right where it is made.
    """
    for call in module.calls(*catalog.by_name):
        resource = catalog.by_name[module.qualname(call.func) or ""]
        function = module.function(call)
        if function is None or isinstance(function, ast.Lambda):
            continue
        made = _timed(module, call)
        parent = module.parent(made)
        awaited = isinstance(parent, ast.Await)
        if resource.acquire == "await" and not awaited:
            continue
        if resource.acquire == "call" and (made is not call or (awaited and not resource.awaitable)):
            continue
        value = parent if isinstance(parent, ast.Await) else call
        holder = module.parent(value)
        if isinstance(holder, ast.Attribute):
            if holder.attr in resource.ends and _is_entered(module, holder):
                continue
            yield Creation(resource, call, value, function)
        elif isinstance(holder, ast.Assign | ast.AnnAssign) and holder.value is value:
            target = holder.targets[0] if isinstance(holder, ast.Assign) else holder.target
            if isinstance(holder, ast.Assign) and len(holder.targets) != 1:
                continue
            names = _names(target, resource.item)
            if names:
                yield Creation(resource, call, value, function, holder, names[0], tuple(names[1:]))


def _is_entered(module: Module, attribute: ast.Attribute) -> bool:
    """Whether ``X().method`` is called as the item of an ``async with``."""
    call = module.parent(attribute)
    return isinstance(call, ast.Call) and isinstance(module.parent(call), ast.withitem)


def _timed(module: Module, call: ast.Call) -> ast.Call:
    """The ``asyncio.wait_for(call, ...)`` around a call, or the call itself."""
    parent = module.parent(call)
    if (
        isinstance(parent, ast.Call)
        and parent.args[:1] == [call]
        and module.qualname(parent.func) == "asyncio.wait_for"
    ):
        return parent
    return call


def _names(target: ast.expr, item: int) -> list[str]:
    """The name of the object, then those of its companions; empty when it gets no local name."""
    if item < 0:
        return [target.id] if isinstance(target, ast.Name) else []
    if not isinstance(target, ast.Tuple) or len(target.elts) <= item:
        return []
    names = [element.id for element in target.elts if isinstance(element, ast.Name)]
    if len(names) != len(target.elts):
        return []
    return [names[item], *names[:item], *names[item + 1 :]]
