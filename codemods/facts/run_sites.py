"""Where a module starts a fresh event loop for one coroutine, and in which function that is.

Wrappers (``def run(coro): return asyncio.run(coro)``) and decorators that run what they decorate
count at their uses.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from codemods.facts.callees import body_nodes, callee
from codemods.facts.fresh_runs import BRIDGES, fresh_runs, within
from codemods.facts.module import FunctionNode, Module
from codemods.facts.nodes import FUNCTIONS


class Wrapper(NamedTuple):
    """A function that runs what it is given, or a decorator that runs what it decorates."""

    module: Module
    function: FunctionNode
    parameter: str
    """The parameter that is the coroutine, or the function that makes it."""
    by_asgiref: bool = False

    @property
    def outermost(self) -> FunctionNode:
        """The function by whose name it is used: of a decorator with arguments, the one that takes these."""
        return _outermost(self.module, self.function) or self.function


@dataclass(frozen=True)
class RunSite:
    """One place where a coroutine gets a loop of its own, which ends with it."""

    node: ast.Call | FunctionNode
    """The call, or the coroutine function whose decorator runs it."""
    coroutine: ast.expr | FunctionNode
    """What is run: a coroutine, or the function that makes it."""
    function: FunctionNode
    """The outermost function (or method) that does it."""
    wrapper: Wrapper | None = None
    """The function through which it goes."""
    by_asgiref: bool = False
    """Whether ``async_to_sync`` does it: on a loop of its own only where no loop is around."""


def run_sites(module: Module) -> list[RunSite]:
    """Every run of a fresh loop inside a function, in source order. At the top level it happens once."""
    found: list[RunSite] = []
    for call, coroutine, by_asgiref in fresh_runs(module):
        function = _outermost(module, call)
        if function is None or not isinstance(module.function(call), FUNCTIONS):
            continue
        if _parameter_of(module, coroutine) is None:
            found.append(RunSite(call, coroutine, function, by_asgiref=by_asgiref))
    for wrapper in wrappers(module):
        calls = [c for c in module.calls_ending(wrapper.function.name) if callee(module, c) is wrapper.function]
        found += sites_through(module, wrapper, calls, partial(_defines, module))
    for function in module.functions:
        for name in function.decorator_list if isinstance(function, ast.AsyncFunctionDef) else ():
            if module.qualname(name) in BRIDGES:
                by_asgiref = module.qualname(name) == BRIDGES[0]
                found.append(RunSite(function, function, function, by_asgiref=by_asgiref))
    return in_order(found)


def in_order(sites: Iterable[RunSite]) -> list[RunSite]:
    """Each site once, in source order."""
    return sorted({site.node: site for site in sites}.values(), key=lambda site: site.node.lineno)


def wrappers(module: Module) -> list[Wrapper]:
    """The functions of a module that run what they are given on a fresh loop."""
    found: dict[FunctionNode, Wrapper] = {}
    for call, coroutine, by_asgiref in fresh_runs(module):
        if _outermost(module, call) is None:
            continue
        for parameter in [_parameter_of(module, coroutine), *_awaited_parameters(module, coroutine)]:
            if parameter is not None:
                found.setdefault(parameter[0], Wrapper(module, *parameter, by_asgiref))
    return list(found.values())


def sites_through(
    module: Module,
    wrapper: Wrapper,
    calls: Iterable[ast.Call],
    meaning: Callable[[ast.expr], FunctionNode | ast.ClassDef | None],
) -> Iterator[RunSite]:
    """The ``calls`` of a wrapper with a coroutine, and the coroutine functions of ``module`` that it decorates.

    ``meaning`` says which definition a decorator is.
    """
    arguments = wrapper.function.args
    names = [a.arg for a in [*arguments.posonlyargs, *arguments.args]]
    place = names.index(wrapper.parameter) if wrapper.parameter in names else -1
    is_method = isinstance(wrapper.module.scope(wrapper.function), ast.ClassDef)
    for call in calls:
        bound = is_method and isinstance(call.func, ast.Attribute) and not _is_static(wrapper.function)
        index = place - 1 if bound else place
        given = [k.value for k in call.keywords if k.arg == wrapper.parameter]
        given += call.args[index : index + 1] if index >= 0 else []
        function = _outermost(module, call)
        if given and function is not None and function is not wrapper.function:
            yield RunSite(call, given[0], function, wrapper, wrapper.by_asgiref)
    for function in module.functions:
        for decorator in function.decorator_list if isinstance(function, ast.AsyncFunctionDef) else ():
            name = decorator.func if isinstance(decorator, ast.Call) else decorator
            if meaning(name) in (wrapper.function, wrapper.outermost):
                yield RunSite(function, function, function, wrapper, wrapper.by_asgiref)


def _defines(module: Module, name: ast.expr) -> FunctionNode | ast.ClassDef | None:
    return module.definition(name.id, name) if isinstance(name, ast.Name) else None


def _outermost(module: Module, node: ast.AST) -> FunctionNode | None:
    """The outermost plain function around a node; None at the top level and inside of a coroutine."""
    around = [above for above in module.ancestors(node) if isinstance(above, FUNCTIONS)]
    if not around or any(isinstance(above, ast.AsyncFunctionDef) for above in around):
        return None
    return around[-1]


def _parameter_of(module: Module, coroutine: ast.expr) -> tuple[FunctionNode, str] | None:
    """The function around ``coroutine`` that gets it, or the function that makes it, as a parameter."""
    name = coroutine.func if isinstance(coroutine, ast.Call) else coroutine
    if not isinstance(name, ast.Name):
        return None
    for above in module.ancestors(name):
        if isinstance(above, FUNCTIONS):
            arguments = above.args
            names = [a.arg for a in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]]
            if name.id in names:
                return above, name.id
            if module.binds(name.id, above):
                return None
    return None


def _awaited_parameters(module: Module, coroutine: ast.expr) -> Iterator[tuple[FunctionNode, str] | None]:
    """The parameters of the functions around that a nested coroutine function awaits, where that is what runs."""
    inner = callee(module, coroutine)
    if isinstance(inner, ast.AsyncFunctionDef) and isinstance(module.scope(inner), FUNCTIONS):
        for node in body_nodes(inner):
            if isinstance(node, ast.Await):
                parameter = _parameter_of(module, within(module, node.value))
                yield None if parameter is not None and parameter[0] is inner else parameter


def _is_static(function: FunctionNode) -> bool:
    return any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in function.decorator_list)
