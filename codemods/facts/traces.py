"""What can become of a resource, as data."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from enum import Enum


class State(Enum):
    """How a value depends on the resource."""

    SELF = "the resource itself"
    PART = "an attribute or an item of it, whose own are parts of it again"
    LIVE = "something that needs it open"
    PENDING = "a coroutine that needs it until it is awaited, and gives plain data"
    PENDING_LIVE = "a coroutine that gives something that needs it open"
    PLAIN = "nothing that needs it"


@dataclass(frozen=True)
class Escape:
    """One place where the resource, or what needs it, leaves the reach of its function."""

    kind: str
    """returned, yielded, stored, kept, alias, captured, task; with ``result-`` in front for what needs it."""
    node: ast.AST
    into: str = ""
    """What takes it: the code of the target, the name of the function."""


@dataclass
class Held:
    """What one assignment puts into a name: the resource, or what needs it."""

    name: str
    state: State
    binding: ast.stmt
    is_task: bool = False
    origin: Held | None = None
    """Where it was taken from."""
    awaited: bool = False


@dataclass
class Trace:
    """Everything that happens to one resource after its creation."""

    reads: list[ast.Name] = field(default_factory=list)
    """Reads of the object and of what needs it, without those in calls that close it."""
    closes: list[ast.Call] = field(default_factory=list)
    waits: list[ast.Call] = field(default_factory=list)
    """Calls of ``wait_closed``."""
    starts: list[ast.Call] = field(default_factory=list)
    peeks: list[ast.Name] = field(default_factory=list)
    """Reads of the object that only ask whether it is open."""
    strangers: list[ast.Call] = field(default_factory=list)
    """Awaited calls of functions that are not in this file and get the object."""
    escapes: list[Escape] = field(default_factory=list)
    managed: bool = False
    """Whether something else is known to close it: an ``async with``, an exit stack, a callee."""
    attributes: set[str] = field(default_factory=set)
    """The first attributes that are taken from it."""
    mixed: str = ""
