"""What a method call on a resource, or on what needs it, gives."""

from __future__ import annotations

import ast

from codemods.catalog.resources import Resource
from codemods.facts import vocabulary as words
from codemods.facts.module import Module, ScopeNode
from codemods.facts.traces import State

AWAITED = {
    State.SELF: State.PLAIN,
    State.PART: State.PART,
    State.LIVE: State.LIVE,
    State.PENDING: State.PLAIN,
    State.PENDING_LIVE: State.LIVE,
    State.PLAIN: State.PLAIN,
}
"""What ``await`` makes of each state."""


def result_of(resource: Resource, call: ast.Call, path: str, state: State, awaited: bool) -> State:
    """The state of ``x.path(...)`` for an ``x`` in ``state``.

    The catalog says which methods of a resource give something that lives off it; elsewhere
    the name of the method decides, and ``stream=True``.
    """
    method = path.rpartition(".")[2]
    if not method:
        return State.LIVE
    if method in words.STATE_ATTRIBUTES:
        return State.PLAIN
    listed = state in (State.SELF, State.PART) and method in resource.live
    if listed or _streams(call) or words.LIVE_METHOD.search(method):
        return State.PENDING_LIVE if awaited or listed else State.LIVE
    return State.PENDING


def _streams(call: ast.Call) -> bool:
    return any(
        k.arg == "stream" and not (isinstance(k.value, ast.Constant) and not k.value.value) for k in call.keywords
    )


def lives_on(module: Module, value: ast.expr, scope: ScopeNode) -> bool:
    """Whether ``value`` gets a name that gives coroutines, or whose methods do: no plain data is like that."""
    top: ast.AST = value
    while isinstance(above := module.parent(top), ast.Attribute | ast.Subscript | ast.Tuple | ast.List | ast.Starred):
        if isinstance(above, ast.Subscript) and above.value is not top:
            return False
        top = above
    match above:
        case ast.Assign(targets=targets):
            pass
        case ast.AnnAssign(target=target) | ast.For(target=target) | ast.NamedExpr(target=target):
            targets = [target]
        case _:
            return False
    names = {n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)}
    return any(_is_awaited_on(module, load) for name in names for load in module.uses(name, scope))


def _is_awaited_on(module: Module, load: ast.Name) -> bool:
    """``await x()``, ``await x.method()``, ``async with x.method()``, ``async for _ in x[0].items()``."""
    top: ast.AST = load
    is_called = False
    while True:
        above = module.parent(top)
        if isinstance(above, ast.Call) and above.func is top:
            is_called = True
        elif not isinstance(above, ast.Attribute | ast.Subscript) or above.value is not top:
            break
        top = above
    if isinstance(above, ast.withitem):
        above = module.parent(above)
    return is_called and isinstance(above, ast.Await | ast.AsyncFor | ast.AsyncWith)
