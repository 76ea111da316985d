"""The loop-bound objects that outlive a run of the event loop, and which runs get at them.

An object lives on in a variable of the module, in an attribute of a class, in an attribute of
an instance that itself lives on, or in the cache of a function.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from codemods.facts.bonds import Binding, Bond, assignments_in, attribute_values, binding_of
from codemods.facts.callees import body_nodes, callee
from codemods.facts.module import FunctionNode, Module
from codemods.facts.nodes import FUNCTIONS, tail
from codemods.facts.run_reach import Step, class_of, is_cached, is_method, steps_of
from codemods.facts.run_sites import RunSite
from codemods.facts.sharing import is_global_variable
from codemods.facts.vocabulary import CLOSING

_RESETTING = re.compile(r"(^|_)reset(_|$)", re.I)
_OF_THE_RUN = re.compile(r"loop|runner|executor|pool|thread|future|task|signal|asyncio", re.I)
"""What a wrapper closes that has nothing to do with the objects that coroutines use."""


@dataclass(frozen=True)
class Use:
    """One run gets at an object that was there before it."""

    site: RunSite
    binding: Binding
    name: str
    """How the object is spelled where it is used."""
    node: ast.expr
    path: tuple[str, ...]
    """The functions on the way from the run to the use."""
    leaves_open: bool = True
    """Whether the object may have something open when the run is over."""


def uses_of(module: Module, site: RunSite) -> list[Use]:
    """The loop-bound objects that a run uses and that were there before it, each once."""
    found: dict[ast.Call, Use] = {}
    steps = list(steps_of(module, site))
    for nodes, path, lasting in [(_given(site), (), is_method(module, site.function)), *_bodies(steps)]:
        for node in nodes:
            binding = lasting_object(module, node, lasting=lasting)
            if binding is not None and binding.made is not None:
                assert isinstance(node, ast.expr)
                found.setdefault(binding.made, Use(site, binding, ast.unparse(node), node, path))
    done = list(doings(module, site, steps))
    kept = [use for use in found.values() if not any(assigns(m, what, use, where) for m, what, where in done)]
    tidy = tidies_up(site)
    return [replace(use, leaves_open=not (tidy or any(closes(m, what, use) for m, what, _ in done))) for use in kept]


def _given(site: RunSite) -> list[ast.AST]:
    return [] if isinstance(site.coroutine, FUNCTIONS) else list(ast.walk(site.coroutine))


def _bodies(steps: list[Step]) -> Iterator[tuple[list[ast.AST], tuple[str, ...], bool]]:
    for step in steps:
        yield list(body_nodes(step.function)), step.path, step.lasting


# -- what it finds there -----------------------------------------------------------------------


def lasting_object(module: Module, node: ast.AST, *, lasting: bool) -> Binding | None:
    """The loop-bound object that lives longer than a run, if ``node`` uses one."""
    match node:
        case ast.Name(ctx=ast.Load()) if is_global_variable(module, node) and class_of(module, node) is None:
            binding = binding_of(module, node)
        case ast.Attribute(value=ast.Name(id=owner), attr=attr, ctx=ast.Load()):
            cls = class_of(module, node.value)
            if cls is None:
                return None
            of_class = [*_class_level(module, cls, attr)]
            values = of_class if of_class else attribute_values(cls, attr)
            if not values or (not of_class and not (owner == "self" and lasting)):
                return None
            binding = max((binding_of(module, value) for value in values), key=lambda b: b.bond)
        case ast.Call() if (function := callee(module, node)) is not None and is_cached(module, function):
            binding = binding_of(module, node)
        case _:
            return None
    if binding.bond is not Bond.BOUND or is_peek(module, node) or not opens(module, node, binding):
        return None
    return binding


def _class_level(module: Module, cls: ast.ClassDef, attr: str) -> Iterator[ast.expr]:
    """What the body of a class, or its class methods, assign to an attribute of the class."""
    for target, value in assignments_in(cls):
        match target:
            case ast.Name(id=name) if name == attr and module.scope(target) is cls:
                yield value
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if name == attr:
                if owner in ("cls", cls.name):
                    yield value


def is_peek(module: Module, node: ast.AST) -> bool:
    """Whether the object is only looked at: ``if client is None``, ``if not client``."""
    above = module.parent(node)
    return isinstance(above, ast.Compare | ast.UnaryOp) or (
        isinstance(above, ast.If | ast.While) and above.test is node
    )


def opens(module: Module, node: ast.AST, binding: Binding) -> bool:
    """Whether a use of the object is one that belongs to a loop: of some, only one attribute is."""
    resource = module.catalog.by_name.get(binding.kind)
    if resource is None or not resource.uses:
        return True
    above = module.parent(node)
    return isinstance(above, ast.Attribute) and above.attr == resource.uses


# -- what does not last after all --------------------------------------------------------------


def doings(module: Module, site: RunSite, steps: list[Step]) -> Iterator[tuple[Module, ast.AST, FunctionNode]]:
    """What happens in a run, in the functions around it, and in the wrapper that it goes through."""
    plain = [found for node in body_nodes(site.function) if (found := _plain_callee(module, node)) is not None]
    for function in dict.fromkeys([*(step.function for step in steps), site.function, *plain]):
        for node in body_nodes(function):
            yield module, node, function
    for node, function in _in_wrapper(site):
        assert site.wrapper is not None
        yield site.wrapper.module, node, function


def _in_wrapper(site: RunSite) -> Iterator[tuple[ast.AST, FunctionNode]]:
    """What stands in the wrapper of a run, and in the functions of its file that it calls."""
    if site.wrapper is None:
        return
    home, outermost = site.wrapper.module, site.wrapper.outermost
    inside = list(ast.walk(outermost))
    yield from ((node, outermost) for node in inside)
    called = [callee(home, node) for node in inside if isinstance(node, ast.Call)]
    for function in dict.fromkeys(found for found in called if found is not None):
        yield from ((node, function) for node in body_nodes(function))


def tidies_up(site: RunSite) -> bool:
    """Whether the wrapper of a run closes more than the loop: it is there to leave nothing behind."""
    calls = [node.func for node, _ in _in_wrapper(site) if isinstance(node, ast.Call)]
    methods = [func for func in calls if isinstance(func, ast.Attribute) and CLOSING.search(func.attr)]
    return any(not _OF_THE_RUN.search(ast.unparse(method.value)) for method in methods)


def _plain_callee(module: Module, node: ast.AST) -> FunctionNode | None:
    found = callee(module, node) if isinstance(node, ast.Call) else None
    return found if isinstance(found, ast.FunctionDef) else None


def closes(module: Module, node: ast.AST, use: Use) -> bool:
    """Whether ``node`` closes the object, enters it, or calls something elsewhere that is named so."""
    match node:
        case ast.Call(func=ast.Attribute(value=receiver, attr=attr)) if CLOSING.search(attr):
            return binding_of(module, receiver).made is use.binding.made or _is_module(module, receiver)
        case ast.Call(func=ast.Name(id=name)) if CLOSING.search(name) or _RESETTING.search(name):
            return callee(module, node) is None
        case ast.AsyncWith(items=items):
            entered = [item.context_expr for item in items if not isinstance(item.context_expr, ast.Call)]
            return any(binding_of(module, value).made is use.binding.made for value in entered)
    return False


def _is_module(module: Module, receiver: ast.expr) -> bool:
    return module.qualname(receiver) is not None


def assigns(module: Module, node: ast.AST, use: Use, function: FunctionNode) -> bool:
    """Whether ``node`` gives the variable a new value in every run, or one for each loop."""
    if not isinstance(node, ast.Assign | ast.AnnAssign) or isinstance(use.node, ast.Call):
        return False
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    variable = use.node.attr if isinstance(use.node, ast.Attribute) else ast.unparse(use.node)
    kept = [t for t in targets if variable == (t.attr if isinstance(t, ast.Attribute) else getattr(t, "id", ""))]
    if not kept or function.name == "__init__":
        return False
    if isinstance(kept[0], ast.Name) and not module.is_declared(variable, module.scope(node)):
        return False
    tests = [n.test for n in body_nodes(function) if isinstance(n, ast.If | ast.While)]
    mentioning = [test for test in tests if variable in {tail(n) for n in ast.walk(test) if isinstance(n, ast.expr)}]
    return not mentioning or any("loop" in ast.unparse(test) for test in tests)
