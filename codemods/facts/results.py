"""What a method call on a resource, or on what needs it, gives."""

from __future__ import annotations

import ast

from codemods.catalog.resources import Resource
from codemods.facts import vocabulary as words
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
