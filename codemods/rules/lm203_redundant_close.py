"""LM203 redundant-close: a resource is closed inside the ``async with`` that closes it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from codemods.catalog.resources import Resource
from codemods.facts.callees import assigned_values
from codemods.facts.exits import leads_out
from codemods.facts.flow import TRIES
from codemods.facts.module import Module
from codemods.model import Finding, Operation, Rewrite, Safety, Severity
from codemods.rewriting.operations import RemoveFinally, RemoveStatement
from codemods.rules.base import Rule

_SESSION = "sqlalchemy.ext.asyncio.AsyncSession"
_SESSION_MAKERS = ("sqlalchemy.ext.asyncio.async_sessionmaker", "sqlalchemy.orm.sessionmaker")


class RedundantClose(Rule):
    """A session, client or connection is closed again inside its own `async with`.

    What it finds
        `await session.close()` as the last thing that happens in `async with ClientSession() as
        session:`, at the end of the block, in a `finally` there, or in front of a `return`. The
        kinds of objects are those of LM201, and the sessions of a SQLAlchemy `async_sessionmaker`
        that is made in the same file. A close with something to do behind it, one on a condition,
        and one with arguments, such as the code of a websocket, has a purpose and is no finding.

    Why it breaks
        Leaving the block closes the object in any case, after an exception too. Most libraries
        ignore the second close: a hint. Where it raises, as in curl_cffi, the block ends with a
        `TypeError`: an error. A close that is not awaited does nothing but warn.

    What it changes
        The close goes, with the `finally` or the `if not session.closed:` that held nothing else.
        A `try` that is left without any clause gives way to its body.

    When it refuses
        Only `raise` would be left in an exception handler, nothing at all under an `if`, or several
        statements share the line.

    Safety
        Safe: what closes the object now runs right behind the close.
    """

    code = "LM203"
    name = "redundant-close"

    def find(self, module: Module) -> Iterator[Finding]:
        """Every close that is followed by the end of the block that closes the object."""
        closes = [close for close in _closes(module) if set(close.block.body) - {close.unit}]
        ignored = {close.unit for close in closes}
        for close in closes:
            if not leads_out(module, close.unit, close.block, close.name, ignored) or close.is_wait:
                continue
            refusal = _obstacle(module, close, ignored)
            rewrite = Rewrite("Leave the closing to the `async with`", Safety.SAFE, _operations(module, close, closes))
            yield self.finding(
                module,
                close.statement,
                *_message(close),
                rewrite=None if refusal else rewrite,
                refusal=refusal,
            )


@dataclass(frozen=True)
class _Close:
    """A call that closes the object of the ``async with`` around it."""

    name: str
    resource: Resource
    block: ast.AsyncWith
    statement: ast.Expr
    unit: ast.stmt
    """The statement, or the ``if`` or ``try`` around it that does nothing else."""
    is_wait: bool
    """Whether it only waits for the end of a close."""


def _closes(module: Module) -> Iterator[_Close]:
    for call in module.calls_ending(*module.catalog.block_closers, "wait_closed"):
        statement = module.statement(call)
        if call.args or call.keywords or not isinstance(call.func, ast.Attribute):
            continue
        if not isinstance(statement, ast.Expr) or call not in (
            statement.value,
            getattr(statement.value, "value", None),
        ):
            continue
        name, _, path = module.code(call.func).partition(".")
        block = _own_block(module, call, name)
        if block is None:
            continue
        with_, resource = block
        if path in resource.block_closers or (path == "wait_closed" and resource.then):
            unit = _unit(module, statement, name)
            yield _Close(name, resource, with_, statement, unit, is_wait=path == "wait_closed")


def _own_block(module: Module, call: ast.Call, name: str) -> tuple[ast.AsyncWith, Resource] | None:
    """The ``async with`` of the same function that has the object of that name, if nothing rebinds it there."""
    for above in module.ancestors(call):
        if not isinstance(above, ast.AsyncWith):
            continue
        for item in above.items:
            held = item.optional_vars or item.context_expr
            if not isinstance(held, ast.Name) or held.id != name:
                continue
            stores = [n for n in module.names(name) if n is not held and not isinstance(n.ctx, ast.Load)]
            rebound = any(above in module.ancestors(store) for store in stores)
            resource = _resource(module, item.context_expr)
            if resource is None or rebound or module.function(call) is not module.function(above):
                return None
            return above, resource
    return None


def _resource(module: Module, value: ast.expr) -> Resource | None:
    """What an expression makes, or what the one assignment to a name made."""
    if isinstance(value, ast.Name):
        values = assigned_values(module, value)
        return _resource(module, values[0]) if len(values) == 1 and not isinstance(values[0], ast.Name) else None
    if isinstance(value, ast.Await):
        value = value.value
    if not isinstance(value, ast.Call):
        return None
    if isinstance(value.func, ast.Name) and _makes_sessions(module, value.func):
        return module.catalog.by_name.get(_SESSION)
    return module.catalog.by_name.get(module.qualname(value.func) or "")


def _makes_sessions(module: Module, maker: ast.Name) -> bool:
    values = assigned_values(module, maker)
    return len(values) == 1 and isinstance(values[0], ast.Call) and module.qualname(values[0].func) in _SESSION_MAKERS


def _unit(module: Module, statement: ast.stmt, name: str) -> ast.stmt:
    """The outermost statement that does nothing but close the object."""
    owner = module.parent(statement)
    match owner:
        case ast.If(test=test, body=[_], orelse=[]) if _asks_about(test, name):
            return _unit(module, owner, name)
        case ast.Try(body=[_], handlers=handlers, orelse=[], finalbody=[]) if statement in owner.body:
            if all(isinstance(inner, ast.Pass) for handler in handlers for inner in handler.body):
                return _unit(module, owner, name)
        case ast.With(items=[ast.withitem(context_expr=ast.Call(func=function))], body=[_]):
            if module.qualname(function) == "contextlib.suppress":
                return _unit(module, owner, name)
    return statement


def _asks_about(test: ast.expr, name: str) -> bool:
    """Whether a test looks at nothing but the object: ``not session.closed``."""
    nodes = list(ast.walk(test))
    waits = any(isinstance(node, ast.Await | ast.NamedExpr) for node in nodes)
    return not waits and {node.id for node in nodes if isinstance(node, ast.Name)} == {name}


def _message(close: _Close) -> tuple[str, Severity]:
    if close.resource.closes_once:
        return f"leaving the `async with` closes `{close.name}` a second time, which raises", Severity.ERROR
    if not isinstance(close.statement.value, ast.Await) and not close.resource.sync_close:
        message = f"this coroutine is never awaited, and leaving the `async with` closes `{close.name}`"
        return message, Severity.WARNING
    return f"`{close.name}` is closed twice: leaving the `async with` does it as well", Severity.INFO


def _obstacle(module: Module, close: _Close, ignored: set[ast.stmt]) -> str:
    if not module.stands_alone(close.unit):
        return "several statements stand on one line: put each on a line of its own first"
    place = module.block(close.unit)
    rest = [statement for statement in place.statements if statement not in ignored]
    if isinstance(place.owner, ast.ExceptHandler):
        again = len(rest) == 1 and isinstance(rest[0], ast.Raise) and rest[0].exc is None
        return "nothing but `raise` would be left of the handler: drop the handler with it" if again else ""
    if not rest and place.field != "finalbody":
        return "nothing else stands in the block around it: drop that with it"
    return ""


def _operations(module: Module, close: _Close, closes: list[_Close]) -> tuple[Operation, ...]:
    """What takes the close out, and the waiting for it that follows."""
    place = module.block(close.unit)
    waits = {other.unit for other in closes if other.is_wait and other.name == close.name}
    units = [close.unit, *(s for s in place.statements[place.index + 1 :] if s in waits)]
    if isinstance(place.owner, TRIES) and place.field == "finalbody" and len(units) == len(place.statements):
        return (RemoveFinally(module.span(place.owner)),)
    return tuple(RemoveStatement(module.span(unit)) for unit in units)
