"""What of an async fixture can meet another loop?"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from enum import IntEnum

from codemods.facts.module import FunctionNode
from codemods.facts.nodes import FUNCTIONS, walk_scope
from codemods.project.pytest_syntax import Fixture

_IN_PROCESS = re.compile(r"ASGITransport|LifespanManager|\bAsyncClient\([^)]*\bapp=")
"""Clients that call an application in the same process: no socket, but the application may own some."""
_DATABASE = re.compile(r"engine|session", re.IGNORECASE)
_ENGINE = "sqlalchemy.ext.asyncio.create_async_engine"
_THREADED = ("aiosqlite.connect", "aiofiles.open")


class Crossing(IntEnum):
    """How sure it is that something bound to the fixture's loop leaves the fixture."""

    NOTHING = 0
    """No value, a constant, or an object that no loop owns."""
    IN_PROCESS = 1
    """A client of an application in the same process: it depends on the application."""
    SOMETHING = 2
    """A value that was made with the help of the loop."""
    BOUND = 3
    """A connection, a session or a pool of the catalog."""


def crossing(fixture: Fixture) -> Crossing:
    """What an async fixture hands on, judged by what it yields and what it opens."""
    nodes = list(_own_nodes(fixture.node))
    if not _stores_outside(nodes) and not _hands_on(fixture.node, nodes):
        return Crossing.NOTHING
    opened = _opened(fixture, nodes)
    if _is_loopless_database(fixture, opened):
        return Crossing.NOTHING
    if _IN_PROCESS.search(_code(fixture, nodes)):
        return Crossing.IN_PROCESS
    if opened - set(_THREADED):
        return Crossing.BOUND
    waits = any(isinstance(n, ast.Await | ast.AsyncWith | ast.AsyncFor) for n in nodes)
    return Crossing.SOMETHING if waits and not opened else Crossing.NOTHING


def _is_loopless_database(fixture: Fixture, opened: set[str]) -> bool:
    """Whether it is about SQLAlchemy with a driver that works in threads, or without a pool.

    An engine with ``NullPool`` opens a connection on whatever loop asks for one.
    """
    text = fixture.module.text
    if opened:
        of_sqlalchemy = all(name.startswith("sqlalchemy.") for name in opened)
        return of_sqlalchemy and ("aiosqlite" in text or ("NullPool" in text and opened == {_ENGINE}))
    return "aiosqlite" in text and _DATABASE.search(fixture.module.code(fixture.node)) is not None


def _code(fixture: Fixture, nodes: list[ast.AST]) -> str:
    """The text of a fixture and of the functions of its module that it calls."""
    module = fixture.module
    called = [
        module.definition(n.func.id, n) for n in nodes if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
    ]
    return "\n".join(module.code(node) for node in [fixture.node, *called] if node is not None)


def _opened(fixture: Fixture, nodes: list[ast.AST]) -> set[str]:
    """The resources of the catalog that the body makes: the one that comes out, else all."""
    known = fixture.module.catalog.by_name
    out = {n.value.id for n in nodes if isinstance(n, ast.Yield | ast.Return) and isinstance(n.value, ast.Name)}
    handed: set[str] = set()
    made: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Call) and (name := fixture.module.qualname(node.func)) in known:
            made.add(name or "")
            statement = fixture.module.statement(node)
            if isinstance(statement, ast.Assign) and any(
                isinstance(t, ast.Name) and t.id in out for t in statement.targets
            ):
                handed.add(name or "")
    return handed or made


def _hands_on(function: FunctionNode, nodes: list[ast.AST]) -> bool:
    """Whether a value other than a constant comes out."""
    if function.returns is not None and _is_plain_type(function.returns):
        return False
    values = [n.value for n in nodes if isinstance(n, ast.Yield | ast.Return) and n.value is not None]
    return any(not _is_plain(value) for value in values)


_PLAIN = frozenset({"None", "str", "int", "bool", "float", "bytes"})
_WRAPPERS = frozenset({"AsyncGenerator", "AsyncIterator", "AsyncIterable"})


def _is_plain_type(annotation: ast.expr) -> bool:
    """Whether an annotation names a value that no loop owns: ``str``, ``AsyncIterator[None]``."""
    if isinstance(annotation, ast.Constant):
        return annotation.value is None or annotation.value in _PLAIN
    if isinstance(annotation, ast.Subscript):
        wrapper = annotation.value.attr if isinstance(annotation.value, ast.Attribute) else annotation.value
        if (wrapper.id if isinstance(wrapper, ast.Name) else wrapper) not in _WRAPPERS:
            return False
        inner = annotation.slice
        return _is_plain_type(inner.elts[0] if isinstance(inner, ast.Tuple) and inner.elts else inner)
    return isinstance(annotation, ast.Name) and annotation.id in _PLAIN


def _is_plain(value: ast.expr) -> bool:
    if isinstance(value, ast.Tuple | ast.List | ast.Set):
        return all(_is_plain(element) for element in value.elts)
    if isinstance(value, ast.Dict):
        return all(_is_plain(element) for element in value.values)
    return isinstance(value, ast.Constant | ast.JoinedStr | ast.Compare)


def _stores_outside(nodes: list[ast.AST]) -> bool:
    """Whether the body binds a global, or an attribute of something it was given or imports."""
    local = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    for node in nodes:
        if isinstance(node, ast.Global | ast.Nonlocal):
            return True
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            base: ast.expr = node
            while isinstance(base, ast.Attribute):
                base = base.value
            if not (isinstance(base, ast.Name) and base.id in local):
                return True
    return False


def _own_nodes(function: FunctionNode) -> Iterator[ast.AST]:
    for statement in function.body:
        if not isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
            yield from walk_scope(statement)
