"""Which objects belong to one event loop, and which work on any.

Which of them raise when a second loop uses them was measured: clients and streams with an open
connection do, queues and events once somebody waited on them do, objects that work in threads
(aiosqlite, psycopg) do not, and plain data is plain data.
"""

from __future__ import annotations

import ast
import re
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

from codemods.facts.callees import assigned_values, body_nodes, callee, instance_class
from codemods.facts.module import Module
from codemods.facts.nodes import is_self_attribute

WAITED_ON = {f"asyncio.{name}" for name in ("Queue", "PriorityQueue", "LifoQueue", "Event", "Condition", "Barrier")}
"""Bound to the loop on which somebody first waited for them."""
_LATENT = {f"asyncio.{name}" for name in ("Lock", "Semaphore", "BoundedSemaphore")}
_LOOP_FREE = {"aiosqlite", "psycopg", "slack_sdk", "concurrent"}
_LOOP_FREE_URL = re.compile(r"^(sqlite|postgresql\+psycopg)\b")
SESSION_MAKERS = ("sqlalchemy.ext.asyncio.async_sessionmaker", "sqlalchemy.orm.sessionmaker")
ENGINE = "sqlalchemy.ext.asyncio.create_async_engine"
_NO_POOL = "NullPool"
_WITHIN = re.compile(r"(ASGI|WSGI|Mock)Transport|:memory:|max_keepalive_connections=0")
_POOLS = ("poolclass", "pool_class")


class Bond(IntEnum):
    """How surely an object belongs to one loop."""

    FREE = 0
    """Plain data, or an object that works on any loop."""
    UNKNOWN = 1
    """An object of an unknown kind, or one that only raises under contention."""
    BOUND = 2
    """It raises when another loop uses it."""


class Binding(NamedTuple):
    """What is known of the tie between an object and a loop."""

    bond: Bond
    kind: str = ""
    """What the object is, for people: ``httpx.AsyncClient``; empty when unknown."""
    made: ast.Call | None = None
    """The call that makes it, or makes the part of it that is bound."""
    sure: bool = True
    """False for an engine whose URL, and with it the driver, is not in this file."""


_FREE, _UNKNOWN = Binding(Bond.FREE), Binding(Bond.UNKNOWN)


def may_bind(module: Module) -> bool:
    """Whether the file makes anything that can be bound to a loop."""
    return bool(module.calls(*module.catalog.by_name, *WAITED_ON))


def strongest(bindings: list[Binding], default: Binding = _UNKNOWN) -> Binding:
    """The first of those with the strongest bond."""
    return max(bindings, key=lambda binding: (binding.bond, bool(binding.kind)), default=default)


def binding_of(module: Module, node: ast.expr, depth: int = 3) -> Binding:
    """How the value of an expression is bound to a loop, and what it is."""
    if isinstance(node, ast.Await):
        node = node.value
    if isinstance(node, ast.Call) and (kind := _constructor(module, node)):
        if is_loop_free(module, node, kind):
            return Binding(Bond.FREE, kind, node)
        raises = kind not in _LATENT and (kind not in WAITED_ON or _somebody_waits(module))
        sure = kind != ENGINE or any("://" in text for text in _url_texts(module, node))
        return Binding(Bond.BOUND if raises else Bond.UNKNOWN, kind, node, sure)
    if isinstance(node, ast.Constant | ast.JoinedStr | ast.Compare | ast.BinOp) or depth == 0:
        return _FREE
    cls = instance_class(module, node)
    if cls is not None:
        return _of_class(module, cls, depth)
    if isinstance(node, ast.Call):
        return _of_call(module, node, depth)
    if isinstance(node, ast.Name):
        return strongest([binding_of(module, value, depth - 1) for value in values_of(module, node)])
    if isinstance(node, ast.Attribute) and is_self_attribute(node):
        owner = module.enclosing_class(node)
        values = attribute_values(owner, node.attr) if owner is not None else []
        return strongest([binding_of(module, value, depth - 1) for value in values])
    if isinstance(node, ast.Attribute):
        binding = binding_of(module, node.value, depth - 1)
        return binding if binding.bond is Bond.BOUND else _UNKNOWN
    if isinstance(node, ast.BoolOp):
        return strongest([binding_of(module, value, depth - 1) for value in node.values])
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return strongest([binding_of(module, element, depth - 1) for element in node.elts], _FREE)
    if isinstance(node, ast.Dict):
        return _FREE
    return _UNKNOWN


def _of_call(module: Module, call: ast.Call, depth: int) -> Binding:
    """What a session maker, or a function of this file, gives."""
    if module.qualname(call.func) in SESSION_MAKERS:
        engines = [*call.args[:1], *(k.value for k in call.keywords if k.arg == "bind")]
        return strongest([binding_of(module, engine, depth) for engine in engines])
    function = callee(module, call)
    if function is None:
        return _UNKNOWN
    returned = [node.value for node in body_nodes(function) if isinstance(node, ast.Return) and node.value is not None]
    found = strongest([binding_of(module, value, depth - 1) for value in returned])
    return found if found.bond is Bond.BOUND else _UNKNOWN


def values_of(module: Module, name: ast.Name) -> list[ast.expr]:
    """What a name may hold, but None: assignments in its scope, and those under ``global`` elsewhere."""
    values = assigned_values(module, name)
    if module.declarations(name.id):
        stores = [n for n in module.names(name.id) if isinstance(n.ctx, ast.Store)]
        holders = [module.parent(n) for n in stores if module.is_declared(name.id, module.scope(n))]
        values = values + [
            h.value for h in holders if isinstance(h, ast.Assign | ast.AnnAssign) and h.value is not None
        ]
    return [value for value in values if not (isinstance(value, ast.Constant) and value.value is None)]


def _of_class(module: Module, cls: ast.ClassDef, depth: int) -> Binding:
    """A class of this file is bound when it keeps something bound, unknown when it keeps what it awaited."""
    worst = _FREE
    for node in ast.walk(cls):
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if not any(is_self_attribute(t) for target in targets for t in ast.walk(target)):
            continue
        binding = binding_of(module, node.value, depth - 1)
        if binding.bond is Bond.UNKNOWN and not binding.kind and not isinstance(node.value, ast.Await):
            continue
        if binding.bond > worst.bond:
            worst = binding
    return worst


def attribute_values(cls: ast.ClassDef, attr: str) -> list[ast.expr]:
    """What a class of this file assigns to an attribute of that name."""
    return [value for target, value in assignments_in(cls) if isinstance(target, ast.Attribute) and target.attr == attr]


@lru_cache(maxsize=256)
def assignments_in(cls: ast.ClassDef) -> list[tuple[ast.expr, ast.expr]]:
    """Each target and value of the assignments in a class: asked for as often as an attribute is named."""
    found: list[tuple[ast.expr, ast.expr]] = []
    for node in ast.walk(cls):
        if isinstance(node, ast.Assign):
            found += [(target, node.value) for target in node.targets]
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            found.append((node.target, node.value))
    return found


def _constructor(module: Module, call: ast.Call) -> str:
    """The qualified name of the loop-bound kind that a call makes; empty for anything else."""
    name = module.qualname(call.func) or ""
    if name in WAITED_ON or name in _LATENT:
        return name
    if not name or name.startswith(("asyncio.new", "asyncio.TaskGroup", "concurrent.")):
        return ""
    return name if name in module.catalog.by_name else ""


def _somebody_waits(module: Module) -> bool:
    """Whether anything here waits for a queue or an event: before that, they belong to no loop."""
    waits = any(not call.args for call in module.calls_ending("get", "wait", "join"))
    return waits or any(module.qualname(call.func) is None for call in module.calls_ending("wait_for"))


def is_loop_free(module: Module, call: ast.Call, kind: str) -> bool:
    """Whether what a call of the constructor ``kind`` makes works on any loop: by its library, driver, or pool."""
    if kind.partition(".")[0] in _LOOP_FREE:
        return True
    if any(k.arg in _POOLS and ast.unparse(k.value).rpartition(".")[2] == _NO_POOL for k in call.keywords):
        return True  # it keeps no connection from one run to the next
    if _is_unconnected(module, call):
        return True
    return any(_LOOP_FREE_URL.match(text) for text in _url_texts(module, call))


def _is_unconnected(module: Module, call: ast.Call) -> bool:
    """Whether a client opens no connection that would outlive a request: it talks to the program itself."""
    for keyword in call.keywords:
        values = values_of(module, keyword.value) if isinstance(keyword.value, ast.Name) else [keyword.value]
        if keyword.arg == "app" or any(_WITHIN.search(ast.unparse(value)) for value in values):
            return True
    return any(isinstance(argument, ast.Constant) and argument.value == ":memory:" for argument in call.args)


def _url_texts(module: Module, call: ast.Call) -> list[str]:
    """The strings in what a call gets first, or as ``url``: parts of an f-string, the default of an option."""
    urls = [*call.args[:1], *(k.value for k in call.keywords if k.arg == "url")]
    values = [v for url in urls for v in (values_of(module, url) if isinstance(url, ast.Name) else [url])]
    return [n.value for v in values for n in ast.walk(v) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
