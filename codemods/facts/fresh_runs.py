"""The calls that start a fresh event loop for one coroutine and close it behind it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from codemods.facts.callees import assigned_values
from codemods.facts.module import Module

_RUNS = ("asyncio.run", "uvloop.run")
_NEW_LOOPS = ("asyncio.new_event_loop", "uvloop.new_event_loop")
_RUNNER = "asyncio.Runner"
_ASGIREF = "asgiref.sync.async_to_sync"
BRIDGES = (_ASGIREF, "asyncer.runnify")
"""What makes a plain function of a coroutine function: each call of it runs a loop."""
_AROUND = ("asyncio.wait_for", "asyncio.shield", "asyncio.gather", "asyncio.ensure_future")


class FreshRun(NamedTuple):
    """One such call."""

    call: ast.Call
    coroutine: ast.expr
    """What is run: a coroutine, or, for a bridge, the function that makes it."""
    by_asgiref: bool = False
    """Whether ``async_to_sync`` does it: on a loop of its own only where no loop is around."""


def fresh_runs(module: Module) -> Iterator[FreshRun]:
    """Every call that starts a fresh loop: ``asyncio.run``, a loop or Runner made in place, a bridge."""
    for call in module.calls(*_RUNS):
        if call.args:
            yield FreshRun(call, within(module, call.args[0]))
    for call in module.calls_ending("run_until_complete", "run"):
        if call.args and isinstance(call.func, ast.Attribute) and _is_fresh(module, call.func):
            yield FreshRun(call, within(module, call.args[0]))
    for bridge in module.calls(*BRIDGES):
        if bridge.args:
            for call in _calls_of(module, bridge):
                yield FreshRun(call, bridge.args[0], module.qualname(bridge.func) == _ASGIREF)


def within(module: Module, coroutine: ast.expr) -> ast.expr:
    """What is run at last: the coroutine that ``wait_for`` and the like are given."""
    while isinstance(coroutine, ast.Call) and coroutine.args and module.qualname(coroutine.func) in _AROUND:
        coroutine = coroutine.args[0]
    return coroutine


def _calls_of(module: Module, bridge: ast.Call) -> list[ast.Call]:
    """The calls of what a bridge gives: at once, or under the name that it is kept by."""
    around = module.parent(bridge)
    if isinstance(around, ast.Call) and around.func is bridge:
        return [around]
    if isinstance(around, ast.Assign) and isinstance(around.targets[0], ast.Name):
        calls = module.calls_ending(around.targets[0].id)
        return [c for c in calls if isinstance(c.func, ast.Name) and assigned_values(module, c.func) == [bridge]]
    return []


def _is_local(module: Module, name: ast.Name) -> bool:
    scope = module.scope(name)
    return module.binds(name.id, scope) and not module.is_declared(name.id, scope)


def _is_fresh(module: Module, method: ast.Attribute) -> bool:
    """Whether a method belongs to a loop, or a Runner, that this function makes itself."""
    receiver = method.value
    values = assigned_values(module, receiver) if isinstance(receiver, ast.Name) else [receiver]
    if method.attr == "run_until_complete":
        local = not isinstance(receiver, ast.Name) or _is_local(module, receiver)
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
