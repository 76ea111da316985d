"""The coroutines with which a program begins and ends."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator

from codemods.facts.module import FunctionNode, Module, ScopeNode
from codemods.facts.nodes import is_self_attribute, tail

_WRAPPERS = {"asyncio.wait_for", "asyncio.create_task", "asyncio.ensure_future", "asyncio.shield"}
_Index = dict[tuple[ScopeNode, str], FunctionNode | None]


def entry_coroutines(module: Module) -> dict[ast.AsyncFunctionDef, str]:
    """The coroutine functions behind which the loop ends, each with what runs it (``asyncio.run``).

    Run by ``asyncio.run``, or by the only ``Runner.run`` or ``run_until_complete`` of a scope in
    a file without ``run_forever``, or awaited as the last statement of such a coroutine; and
    called nowhere else in the file.
    """
    index = _function_index(module)
    pending = [(made, runner) for made, runner in _run(module) if _called(module, made, index)]
    runs = Counter(_called(module, made, index) for made, _ in pending)
    entries: dict[ast.AsyncFunctionDef, str] = {}
    calls: dict[str, Counter[ast.AsyncFunctionDef | None]] = {}
    while pending:
        made, runner = pending.pop()
        function = _called(module, made, index)
        if function is None or function in entries:
            continue
        name = function.name
        if name not in calls:
            calls[name] = Counter(_called(module, call, index) for call in module.calls_ending(name))
        if calls[name][function] > runs[function]:
            continue
        entries[function] = runner
        last = function.body[-1]
        if isinstance(last, ast.Return | ast.Expr) and isinstance(last.value, ast.Await):
            inner = _unwrapped(module, last.value.value)
            runs[_called(module, inner, index)] += 1
            pending.append((inner, runner))
    return entries


def _run(module: Module) -> Iterator[tuple[ast.expr, str]]:
    """The coroutines that are run in this file, and by what."""
    for call in module.calls("asyncio.run", "uvloop.run"):
        if call.args:
            yield _unwrapped(module, call.args[0]), module.code(call.func)
    methods = [c for c in module.calls_ending("run_until_complete") if isinstance(c.func, ast.Attribute) and c.args]
    if any(module.qualname(call.func) == "asyncio.Runner" for call in module.calls_ending("Runner")):
        methods += [c for c in module.calls_ending("run") if module.qualname(c.func) is None and c.args]
    if module.calls_ending("run_forever"):
        return  # what one coroutine starts goes on behind it
    per_scope = Counter(module.scope(call) for call in methods)
    for call in methods:
        if per_scope[module.scope(call)] == 1:
            yield _unwrapped(module, call.args[0]), tail(call.func)


def _unwrapped(module: Module, node: ast.expr) -> ast.expr:
    while isinstance(node, ast.Call) and module.qualname(node.func) in _WRAPPERS and node.args:
        node = node.args[0]
    return node


def _function_index(module: Module) -> _Index:
    """Every function by the scope and name that bind it; None where several share a name."""
    index: _Index = {}
    for function in module.functions:
        key = (module.scope(function), function.name)
        index[key] = None if key in index else function
    return index


def _called(module: Module, node: ast.expr, index: _Index) -> ast.AsyncFunctionDef | None:
    """The coroutine function of this file that the call ``main()`` or ``self.main()`` calls."""
    if not isinstance(node, ast.Call):
        return None
    found: FunctionNode | None = None
    if isinstance(node.func, ast.Attribute) and is_self_attribute(node.func):
        cls = module.enclosing_class(node)
        found = index.get((cls, node.func.attr)) if cls else None
    elif isinstance(node.func, ast.Name):
        scope: ScopeNode = module.scope(node)
        while (scope, node.func.id) not in index and not isinstance(scope, ast.Module):
            scope = module.scope(scope)
        found = index.get((scope, node.func.id))
    return found if isinstance(found, ast.AsyncFunctionDef) else None


def only_from_top(module: Module, scope: ScopeNode) -> bool:
    """Whether code runs with the program itself, where no loop runs: at the top, or called from there alone.

    A function that this file never calls may be called from anywhere; so may one of a file that
    lets loops run inside of one another.
    """
    if "nest_asyncio" in {name.partition(".")[0] for name in module.imports.names.values()}:
        return False
    return _is_from_top(module, scope, set())


def _is_from_top(module: Module, scope: ScopeNode, seen: set[ScopeNode]) -> bool:
    if isinstance(scope, ast.Module):
        return True
    if not isinstance(scope, ast.FunctionDef) or scope in seen or module.scope(scope) is not module.tree:
        return False
    mentions = module.names(scope.name)
    if not mentions or scope.decorator_list or module.attributes(scope.name):
        return False
    for name in mentions:
        call = module.parent(name)
        if not isinstance(call, ast.Call) or call.func is not name:
            return False
        if not _is_from_top(module, module.scope(call), {*seen, scope}):
            return False
    return True
