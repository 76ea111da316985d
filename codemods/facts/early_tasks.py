"""Tasks and futures that are made before their loop runs, and what is a coroutine and no future."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from codemods.facts.callees import assigned_values, body_nodes, callee
from codemods.facts.loop_site import Site
from codemods.facts.module import FunctionNode, Module
from codemods.facts.nodes import start, tail, walk_scope

_FUTURES = {
    *("asyncio.gather", "asyncio.ensure_future", "asyncio.shield", "asyncio.wrap_future", "asyncio.create_task"),
    "asyncio.run_coroutine_threadsafe",
}
_ON_CURRENT = _FUTURES | {"asyncio.Future", "asyncio.Task", "asyncio.as_completed"}
"""What belongs to the loop that is current when it is made."""
_COROUTINES = {
    *("sleep", "wait", "wait_for", "to_thread", "open_connection", "open_unix_connection"),
    *("start_server", "start_unix_server", "create_subprocess_exec", "create_subprocess_shell"),
}


def needs_coroutine(module: Module, coroutine: ast.expr) -> bool:
    """Whether what is run is a future, or is made of futures, which have to be made inside of a coroutine."""
    calls = [node for node in ast.walk(coroutine) if isinstance(node, ast.Call)]
    return any(module.qualname(call.func) in _FUTURES for call in calls)


def is_coroutine(module: Module, coroutine: ast.expr) -> bool:
    """Whether it is sure that what is run is a coroutine: ``asyncio.run`` takes nothing else."""
    if isinstance(coroutine, ast.Name):
        values = assigned_values(module, coroutine)
        return bool(values) and all(isinstance(v, ast.Call) and is_coroutine(module, v) for v in values)
    if not isinstance(coroutine, ast.Call):
        return False
    function = callee(module, coroutine)
    if isinstance(function, ast.AsyncFunctionDef):
        return not function.decorator_list and not _is_generator(function)
    name = module.qualname(coroutine.func) or ""
    return name.startswith("asyncio.") and tail(coroutine.func) in _COROUTINES


def starts_unseen(module: Module, site: Site) -> bool:
    """Whether plain code makes futures on the current loop, other than what is run and the starts of the site."""
    known = [*(run.coroutine for run in site.runs), *site.starts, *site.drain]
    inside = {node for one in known for node in ast.walk(one)}
    makers = {*module.calls(*_ON_CURRENT), *_on_loops_of_objects(module)} - inside
    if any(module.scope(call) in (site.scope, module.tree) for call in makers):
        return True
    last = max(start(call) for call in [*(run.call for run in site.runs), *site.forever])
    body = [] if isinstance(site.scope, ast.Lambda) else site.scope.body
    before = (n for statement in body for n in walk_scope(statement) if isinstance(n, ast.Call) and start(n) < last)
    return any(node in makers for call in before for node in _done_by(module, call))


def _on_loops_of_objects(module: Module) -> Iterator[ast.Call]:
    """``client.loop.create_task(...)``: on the loop that an object took when it was made."""
    for call in module.calls_ending("create_task", "call_later", "call_soon"):
        loop = call.func.value if isinstance(call.func, ast.Attribute) else None
        if isinstance(loop, ast.Attribute) and loop.attr == "loop":
            yield call


def _done_by(module: Module, call: ast.Call) -> Iterator[ast.AST]:
    """What the plain functions of this file do that a call comes to: a coroutine function only makes a coroutine."""
    seen: set[ast.FunctionDef] = set()
    todo: list[ast.AST] = [call]
    while todo:
        node = todo.pop()
        function = callee(module, node) if isinstance(node, ast.Call) else None
        if isinstance(function, ast.FunctionDef) and function not in seen and not _is_generator(function):
            seen.add(function)
            nodes = list(body_nodes(function))
            todo += nodes
            yield from nodes


def _is_generator(function: FunctionNode) -> bool:
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for node in body_nodes(function))
