"""The functions that a run reaches through the modules of a project, and the classes of objects made elsewhere."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from codemods.facts.bonds import attribute_values, values_of
from codemods.facts.callees import body_nodes, callee
from codemods.facts.module import FunctionNode, Module
from codemods.facts.nodes import FUNCTIONS, is_self_attribute
from codemods.facts.run_reach import called, class_of, is_cached, is_method, lasts, meant
from codemods.facts.run_sites import RunSite
from codemods.project.links import Links, Target

_DEPTH = 5
_ENOUGH = 150
"""So many functions of one run are looked at, the nearest first: a server reaches all that it has."""


@dataclass(frozen=True)
class FarStep:
    """A function that a run reaches, and where it stands."""

    module: Module
    function: FunctionNode
    path: tuple[str, ...]
    """The functions on the way, this one last; those of another module with its path."""
    lasting: bool
    """Whether ``self`` was there before the run."""


class Owner(NamedTuple):
    """The class of an object, and whether the object was there before the run."""

    module: Module
    cls: ast.ClassDef
    lasting: bool


Below = dict[tuple[FunctionNode, bool], list[FarStep]]
"""What each function, with a ``self`` that lasts or not, calls: looked up once for all runs."""


def far_steps(links: Links, module: Module, site: RunSite, known: Below) -> Iterator[FarStep]:
    """The functions that a run reaches, the nearest first, across modules."""
    lasting = is_method(module, site.function)
    if isinstance(site.coroutine, FUNCTIONS):
        level = [FarStep(module, site.coroutine, (site.coroutine.name,), lasting)]
    else:
        start = FarStep(module, site.function, (), lasting)
        level = [step for node in ast.walk(site.coroutine) for step in next_steps(links, start, node)]
        level += [
            FarStep(module, s.function, s.path, s.lasting) for s in meant(module, site.coroutine, lasting=lasting)
        ]
        level += _at_target(links, start, links.target(module, site.coroutine))
    seen: set[FunctionNode] = set()
    for _ in range(_DEPTH):
        below: list[FarStep] = []
        for step in level:
            if step.function in seen or len(seen) == _ENOUGH:
                continue
            seen.add(step.function)
            yield step
            key = step.function, step.lasting
            if key not in known:
                alone = replace(step, path=())
                known[key] = [
                    further for node in body_nodes(step.function) for further in next_steps(links, alone, node)
                ]
            below += [replace(further, path=(*step.path, *further.path)) for further in known[key]]
        level = below


def next_steps(links: Links, step: FarStep, node: ast.AST) -> list[FarStep]:
    """The function that a call in ``step`` means, when ``node`` is one; of a property, its getter."""
    module = step.module
    if isinstance(node, ast.Attribute):
        names_it = is_self_attribute(node) or links.target(module, node) is not None
        owner = owner_of(links, module, node.value, lasting=step.lasting) if names_it else None
        getter = _method(links, owner, node.attr) if owner else None
        return [_step(step, *getter)] if getter and _is_property(getter[1]) else []
    if not isinstance(node, ast.Call):
        return []
    if here := called(module, node, step.path, lasting=step.lasting):
        return [FarStep(module, s.function, s.path, s.lasting) for s in here]
    if found := _at_target(links, step, links.target(module, node.func)):
        return found
    if isinstance(node.func, ast.Attribute):
        owner = owner_of(links, module, node.func.value, lasting=step.lasting)
        method = _method(links, owner, node.func.attr) if owner else None
        return [_step(step, *method)] if method else []
    return []


def _at_target(links: Links, step: FarStep, target: Target | None) -> list[FarStep]:
    """The function, or the method of a class or of an object, that an imported name leads to."""
    if target is None:
        return []
    match target.definition, target.rest:
        case ((ast.FunctionDef() | ast.AsyncFunctionDef() as function), ()):
            return [_step(step, target.module, function, lasting=False)]
        case ast.ClassDef() as cls, (name,):
            method = _method(links, Owner(target.module, cls, lasting=True), name)
        case None, (name,):
            owner = _of_variable(links, target._replace(rest=()))
            method = _method(links, owner, name) if owner else None
        case _:
            return []
    return [_step(step, *method)] if method else []


def _step(step: FarStep, module: Module, function: FunctionNode, lasting: bool) -> FarStep:
    where = "" if module is step.module else f" in {module.path}"
    return FarStep(module, function, (*step.path, f"{function.name}{where}"), lasting)


def _method(links: Links, owner: Owner, name: str, depth: int = 3) -> tuple[Module, FunctionNode, bool] | None:
    """A method of a class or of one that it inherits from."""
    module, cls, lasting = owner
    if (own := module.method(cls, name)) is not None:
        return module, own, lasting
    for base in cls.bases if depth else ():
        above = _class(links, module, base)
        if above is not None and (found := _method(links, Owner(*above, lasting), name, depth - 1)):
            return found
    return None


def _class(links: Links, module: Module, expression: ast.expr) -> tuple[Module, ast.ClassDef] | None:
    """The class that a name means, here or in another module."""
    found = module.definition(expression.id, expression) if isinstance(expression, ast.Name) else None
    if isinstance(found, ast.ClassDef):
        return module, found
    target = links.target(module, expression)
    if target is not None and not target.rest and isinstance(target.definition, ast.ClassDef):
        return target.module, target.definition
    return None


def _is_property(function: FunctionNode) -> bool:
    names = [d.id if isinstance(d, ast.Name) else getattr(d, "attr", "") for d in function.decorator_list]
    return "property" in names or "cached_property" in names


# -- what objects belong to --------------------------------------------------------------------


def owner_of(links: Links, module: Module, node: ast.expr, *, lasting: bool, depth: int = 4) -> Owner | None:
    """The class that an object belongs to, wherever that is; ``lasting`` says it of ``self``."""
    if isinstance(node, ast.Await):
        node = node.value
    cls = class_of(module, node)
    if cls is not None:
        return Owner(module, cls, lasts(module, node, lasting=lasting))
    if depth == 0:
        return None
    target = links.target(module, node)
    if target is not None and not target.rest:
        definition = target.definition
        if isinstance(definition, ast.ClassDef):
            return Owner(target.module, definition, lasting=True)
        return _of_variable(links, target, depth) if definition is None else None
    match node:
        case ast.Call():
            return _of_call(links, module, node, depth)
        case ast.Name():
            values = values_of(module, node)
            return _one(links, module, values, lasting=lasting, depth=depth)
        case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=attr):
            around = module.enclosing_class(node)
            values = attribute_values(around, attr) if around is not None else []
            owner = _one(links, module, values, lasting=lasting, depth=depth)
            return owner._replace(lasting=lasting) if owner else None
    return None


def _of_variable(links: Links, target: Target, depth: int = 4) -> Owner | None:
    owner = _one(links, target.module, target.values, lasting=False, depth=depth)
    return owner._replace(lasting=True) if owner else None


def _of_call(links: Links, module: Module, call: ast.Call, depth: int) -> Owner | None:
    """Of a new object, or of what a function gives."""
    made = _class(links, module, call.func)
    if made is not None:
        return Owner(*made, lasting=False)
    found = function_at(links, module, call)
    if found is None:
        return None
    home, function = found
    owner = _one(links, home, returned(function), lasting=False, depth=depth)
    return owner._replace(lasting=True) if owner and is_cached(home, function) else owner


def _one(links: Links, module: Module, values: list[ast.expr], *, lasting: bool, depth: int) -> Owner | None:
    """What all of the values belong to, if that is one class."""
    owners = [
        owner_of(links, module, value, lasting=lasting, depth=depth - 1)
        for value in values
        if not (isinstance(value, ast.Constant) and value.value is None)
    ]
    first = owners[0] if owners else None
    if first is None or any(owner is None or owner.cls is not first.cls for owner in owners):
        return None
    return first._replace(lasting=all(owner is not None and owner.lasting for owner in owners))


def function_at(links: Links, module: Module, call: ast.Call) -> tuple[Module, FunctionNode] | None:
    """The function that a call means, here or in another module."""
    here = callee(module, call)
    if here is not None:
        return module, here
    target = links.target(module, call.func)
    if target is not None and not target.rest and isinstance(target.definition, FUNCTIONS):
        return target.module, target.definition
    return None


def returned(function: FunctionNode) -> list[ast.expr]:
    """What a function gives back."""
    return [node.value for node in body_nodes(function) if isinstance(node, ast.Return) and node.value is not None]
