"""Loop-bound objects that one module of a project makes and a run in another one uses."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, replace

from codemods.facts.bonds import ENGINE, SESSION_MAKERS, Binding, Bond, attribute_values, binding_of, values_of
from codemods.facts.callees import body_nodes
from codemods.facts.long_lived import Use, assigns, closes, doings, is_peek, lasting_object, opens, tidies_up
from codemods.facts.module import FunctionNode, Module
from codemods.facts.nodes import FUNCTIONS, is_self_attribute, tail
from codemods.facts.run_reach import Step, is_cached, is_method
from codemods.facts.run_sites import RunSite
from codemods.facts.sharing import is_global_variable
from codemods.project.far_steps import Below, FarStep, far_steps, function_at, owner_of, returned
from codemods.project.links import Links

_Seen = tuple[ast.expr, Module, Binding]
"""An expression that uses an object, the module that makes the object, and how it is bound."""

_LOOPS = ("get_running_loop", "get_event_loop", "current_task")


@dataclass(frozen=True, kw_only=True)
class FarUse(Use):
    """A run gets at an object that another module made before it."""

    module: Module
    """Where it is used."""
    home: Module
    """Where it is made."""


class FarUses:
    """The objects of other modules that runs use, each function on the way looked at once."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self._below: Below = {}
        self._objects: dict[tuple[FunctionNode, bool], list[_Seen]] = {}

    def of(self, module: Module, site: RunSite) -> list[FarUse]:
        """The objects of other modules that a run uses and that were there before it, each once."""
        steps = list(far_steps(self._links, module, site, self._below))
        reached = {step.function for step in steps}
        found: dict[ast.Call, FarUse] = {}
        for where, path, objects in self._bodies(module, site, steps):
            for node, home, binding in objects:
                assert binding.made is not None
                if home is not module and _is_there(home, binding.made, reached) and not _minds_loops(home, binding):
                    use = FarUse(site, binding, ast.unparse(node), node, path, module=where, home=home)
                    found.setdefault(binding.made, use)
        done = list(_doings(module, site, steps)) if found else []
        kept = [use for use in found.values() if not any(assigns(m, what, use, where) for m, what, where in done)]
        tidy = tidies_up(site)
        return [
            replace(use, leaves_open=not (tidy or any(self._closes(m, what, use) for m, what, _ in done)))
            for use in kept
        ]

    def _bodies(
        self, module: Module, site: RunSite, steps: list[FarStep]
    ) -> Iterator[tuple[Module, tuple[str, ...], list[_Seen]]]:
        if not isinstance(site.coroutine, FUNCTIONS):
            given = list(ast.walk(site.coroutine))
            yield module, (), _seen(self._links, module, given, lasting=is_method(module, site.function))
        for step in steps:
            key = step.function, step.lasting
            if key not in self._objects:
                nodes = list(body_nodes(step.function))
                each_loop = any(isinstance(n, ast.Call) and tail(n.func) in _LOOPS for n in nodes)
                self._objects[key] = [] if each_loop else _seen(self._links, step.module, nodes, lasting=step.lasting)
            yield step.module, step.path, self._objects[key]

    def _closes(self, module: Module, node: ast.AST, use: FarUse) -> bool:
        """Whether ``node`` closes the object, or enters what was imported: ``async with client:``."""
        if closes(module, node, use):
            return True
        if not isinstance(node, ast.AsyncWith):
            return False
        entered = [item.context_expr for item in node.items if not isinstance(item.context_expr, ast.Call)]
        found = [far_binding(self._links, module, value) for value in entered]
        return any(one is not None and one[1].made is use.binding.made for one in found)


def _seen(links: Links, module: Module, nodes: list[ast.AST], *, lasting: bool) -> list[_Seen]:
    found = [(node, _object(links, module, node, lasting=lasting)) for node in nodes]
    return [(node, *what) for node, what in found if what is not None and isinstance(node, ast.expr)]


def _doings(module: Module, site: RunSite, steps: list[FarStep]) -> Iterator[tuple[Module, ast.AST, FunctionNode]]:
    """What happens in a run and around it."""
    here = [Step(step.function, step.path, step.lasting) for step in steps if step.module is module]
    yield from doings(module, site, here)
    for step in steps:
        if step.module is not module:
            yield from ((step.module, node, step.function) for node in body_nodes(step.function))


# -- what it finds there -----------------------------------------------------------------------


def _object(links: Links, module: Module, node: ast.AST, *, lasting: bool) -> tuple[Module, Binding] | None:
    """The module that makes it, and the binding, of a lasting object that ``node`` uses."""
    here = lasting_object(module, node, lasting=lasting)
    if here is not None and here.made is not None:
        return module, here
    match node:
        case ast.Name(ctx=ast.Load()) if is_global_variable(module, node) or links.target(module, node):
            found = far_binding(links, module, node)
        case ast.Attribute(value=value, ctx=ast.Load()) if is_self_attribute(node) or links.target(module, node):
            owner = owner_of(links, module, value, lasting=lasting)
            known = owner is not None and owner.lasting
            found = far_binding(links, module, node) if known or not is_self_attribute(node) else None
        case ast.Call() if (at := function_at(links, module, node)) is not None and is_cached(*at):
            found = far_binding(links, module, node)
        case _:
            return None
    if found is None or is_peek(module, node) or not opens(module, node, found[1]):
        return None
    return found


def far_binding(links: Links, module: Module, node: ast.expr, depth: int = 4) -> tuple[Module, Binding] | None:
    """The bound object that an expression gives, and the module that makes it; None for anything else."""
    if isinstance(node, ast.Await):
        node = node.value
    binding = binding_of(module, node)
    if binding.bond is Bond.BOUND and binding.made is not None:
        return module, binding
    if depth == 0 or (binding.bond is Bond.FREE and binding.kind):
        return None
    return _first(links, depth, _behind(links, module, node))


def _behind(links: Links, module: Module, node: ast.expr) -> list[tuple[Module, ast.expr]]:
    """The expressions, in whatever module, that say what another one is."""
    target = links.target(module, node) if isinstance(node, ast.Name | ast.Attribute) else None
    if target is not None and not target.rest:
        return [(target.module, value) for value in target.values]
    match node:
        case ast.Name():
            return [(module, value) for value in values_of(module, node)]
        case ast.Attribute(value=value, attr=attr):
            if is_self_attribute(node) and (cls := module.enclosing_class(node)) is not None:
                return [(module, v) for v in attribute_values(cls, attr)]
            owner = owner_of(links, module, value, lasting=True)
            return [(owner.module, v) for v in attribute_values(owner.cls, attr)] if owner else []
        case ast.Call(func=func) if module.qualname(func) in SESSION_MAKERS:
            engines = [*node.args[:1], *(k.value for k in node.keywords if k.arg == "bind")]
            return [(module, engine) for engine in engines]
        case ast.Call() if (at := function_at(links, module, node)) is not None:
            return [(at[0], value) for value in returned(at[1])]
    return []


def _first(links: Links, depth: int, values: list[tuple[Module, ast.expr]]) -> tuple[Module, Binding] | None:
    for module, value in values:
        if found := far_binding(links, module, value, depth - 1):
            return found
    return None


# -- what does not last after all --------------------------------------------------------------


def _is_there(home: Module, made: ast.Call, reached: set[FunctionNode]) -> bool:
    """Whether the object is there in every process: not one that only the start of some server makes and keeps."""
    function = home.function(made)
    if not isinstance(function, FUNCTIONS) or function in reached or function.name == "__init__":
        return True
    statement = home.statement(made)
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return not any(
        isinstance(t, ast.Attribute) or (isinstance(t, ast.Name) and home.is_declared(t.id, function)) for t in targets
    )


def _minds_loops(home: Module, binding: Binding) -> bool:
    """Whether a module with an engine has thought of it: an engine without a pool for some, a driver in threads."""
    return binding.kind == ENGINE and ("NullPool" in home.text or "aiosqlite" in home.text)
