"""Where a module starts a fresh event loop for one coroutine, and in which function that is.

Wrappers (``def run(coro): return asyncio.run(coro)``) and decorators that run what they decorate
count at their uses.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from codemods.facts.callees import assigned_values, callee
from codemods.facts.module import FunctionNode, Module
from codemods.facts.nodes import FUNCTIONS

_RUNS = ("asyncio.run", "uvloop.run")
_NEW_LOOPS = ("asyncio.new_event_loop", "uvloop.new_event_loop")
_RUNNER = "asyncio.Runner"
_SYNC = ("asgiref.sync.async_to_sync",)


@dataclass(frozen=True)
class RunSite:
    """One place where a coroutine gets a loop of its own, which ends with it."""

    node: ast.Call | FunctionNode
    """The call, or the coroutine function whose decorator runs it."""
    coroutine: ast.expr | FunctionNode
    """What is run: a coroutine, or the function that makes it."""
    function: FunctionNode
    """The outermost function (or method) that does it."""
    wrapper: FunctionNode | None = None
    """The function of this file through which it goes."""
    by_asgiref: bool = False
    """Whether ``async_to_sync`` does it: on a loop of its own only where no loop is around."""


def run_sites(module: Module) -> list[RunSite]:
    """Every run of a fresh loop inside a function, in source order. At the top level it happens once."""
    found: list[RunSite] = []
    for call, coroutine in _direct(module):
        function = _outermost(module, call)
        if function is None:
            continue
        inner = module.function(call)
        parameter = _parameter_of(module, coroutine)
        if parameter is not None:
            found += _through(module, *parameter)
        elif isinstance(inner, FUNCTIONS):
            found.append(RunSite(call, coroutine, function, by_asgiref=_is_sync_bridge(module, call)))
    unique = {site.node: site for site in found}
    return sorted(unique.values(), key=lambda site: site.node.lineno)


def _direct(module: Module) -> Iterator[tuple[ast.Call, ast.expr]]:
    """(call, coroutine) wherever a fresh loop is started."""
    for call in module.calls(*_RUNS):
        if call.args:
            yield call, call.args[0]
    for call in module.calls_ending("run_until_complete", "run"):
        if call.args and isinstance(call.func, ast.Attribute) and _is_fresh(module, call.func):
            yield call, call.args[0]
    for bridge in module.calls(*_SYNC):
        around = module.parent(bridge)
        if isinstance(around, ast.Call) and around.func is bridge and bridge.args:
            yield around, bridge.args[0]


def _is_fresh(module: Module, method: ast.Attribute) -> bool:
    """Whether a method belongs to a loop, or a Runner, that this function makes itself."""
    receiver = method.value
    values = assigned_values(module, receiver) if isinstance(receiver, ast.Name) else [receiver]
    if method.attr == "run_until_complete":
        local = not isinstance(receiver, ast.Name) or module.binds(receiver.id, module.scope(receiver))
        made = [isinstance(v, ast.Call) and module.qualname(v.func) in _NEW_LOOPS for v in values]
        return local and bool(made) and all(made)
    if not isinstance(receiver, ast.Name):
        return False
    for above in module.ancestors(method):
        if isinstance(above, ast.With):
            for item in above.items:
                is_it = isinstance(item.optional_vars, ast.Name) and item.optional_vars.id == receiver.id
                if is_it and isinstance(item.context_expr, ast.Call):
                    return module.qualname(item.context_expr.func) == _RUNNER
    return False


def _is_sync_bridge(module: Module, call: ast.Call) -> bool:
    return isinstance(call.func, ast.Call) and module.qualname(call.func.func) in _SYNC


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


def _through(module: Module, wrapper: FunctionNode, parameter: str) -> Iterator[RunSite]:
    """The calls of a wrapper with a coroutine, and the coroutine functions that it decorates."""
    arguments = [a.arg for a in [*wrapper.args.posonlyargs, *wrapper.args.args]]
    place = arguments.index(parameter) if parameter in arguments else -1
    for call in module.calls_ending(wrapper.name):
        if callee(module, call) is not wrapper:
            continue
        bound = isinstance(call.func, ast.Attribute) and not _is_static(wrapper)
        index = place - 1 if bound else place
        given = [k.value for k in call.keywords if k.arg == parameter]
        given += call.args[index : index + 1] if index >= 0 else []
        function = _outermost(module, call)
        if given and function is not None and function is not wrapper:
            yield RunSite(call, given[0], function, wrapper)
    for function in module.functions:
        for decorator in function.decorator_list:
            name = decorator.func if isinstance(decorator, ast.Call) else decorator
            if not isinstance(function, ast.AsyncFunctionDef) or not isinstance(name, ast.Name):
                continue
            if module.definition(name.id, name) in (wrapper, _outermost(module, wrapper)):
                yield RunSite(function, function, function, wrapper)


def _is_static(function: FunctionNode) -> bool:
    return any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in function.decorator_list)
