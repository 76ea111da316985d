"""From its creation to its last use: the life of every resource of a file."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache

from codemods.facts.closes import Closes, classify
from codemods.facts.flow import falls_through
from codemods.facts.module import Block, FunctionNode, Module
from codemods.facts.nodes import tail
from codemods.facts.resources import Creation, creations
from codemods.facts.traces import Escape, Trace
from codemods.facts.uses import Tracer
from codemods.facts.variables import bound_otherwise


class End(Enum):
    """How the life of a resource ends."""

    CLOSED = "whatever happens, or by somebody else"
    HAPPY = "only where nothing goes wrong"
    NEVER = "never"


@dataclass
class Lifetime:
    """One resource, from its creation to its end."""

    creation: Creation
    end: End
    trace: Trace
    block: Block
    """Where the binding stands, or the statement that uses the resource on the spot.

    A ``with`` or ``try`` that ends with the binding may count as the binding (see ``_home``).
    """
    closes: Closes = field(default_factory=Closes)
    last: int = -1
    """Index in the block of the last statement that needs the resource."""
    outside: ast.Name | None = None
    """A use that is not in the block of the binding."""
    overtaken: ast.stmt | None = None
    """What stands behind the close, and will run before it, because another life goes on longer."""


@lru_cache(maxsize=1)  # LM201 and LM202 ask one after the other
def lifetimes(module: Module) -> list[Lifetime]:
    """Every resource that the functions of ``module`` make and keep under a local name or none."""
    tracer = Tracer(module, module.catalog)
    found = [_lifetime(module, tracer, creation) for creation in creations(module, module.catalog)]
    for life in found:
        _widen(life, found)
    return found


def _lifetime(module: Module, tracer: Tracer, creation: Creation) -> Lifetime:
    binding = creation.binding
    if binding is None:
        trace = tracer.trace_value(creation.resource, creation.value, creation.function)
        block = module.block(module.statement(creation.call))
        last, outside = _extent(module, trace.reads, block)
        end = End.CLOSED if trace.closes or trace.managed else End.NEVER
        return Lifetime(creation, end, trace, block, last=last, outside=outside)
    block = _home(module, module.block(binding))
    trace = tracer.trace(creation.resource, creation.name, binding, creation.function, creation.companions)
    if bound_otherwise(module, creation.name, creation.function):
        trace.mixed = trace.mixed or "it is bound again by something else than an assignment"
    closes = classify(module, trace, creation, block.statements)
    life = Lifetime(creation, _end(module, creation, trace, closes, block), trace, block, closes)
    if life.end is End.HAPPY and _only_lends(module, creation, trace):
        trace.escapes.clear()
    needed = trace.reads if life.end is End.HAPPY else [*trace.reads, *trace.peeks]
    life.last, life.outside = _extent(module, needed, block)
    if life.end is End.HAPPY and closes.straight:
        life.last = block.statements.index(closes.straight[0]) - 1
    if module.is_declared(creation.name, creation.function):
        trace.escapes.append(Escape("stored", binding, f"the global `{creation.name}`"))
    return life


def _home(module: Module, block: Block) -> Block:
    """The block to live in: the one around a ``with`` or ``try`` that ends with the creation.

    ``async with timeout(2): x = await connect()`` and, where every handler leaves,
    ``try: x = await connect()`` are followed by what uses the object.
    """
    owner = block.owner
    if block.field != "body" or block.index != len(block.statements) - 1:
        return block
    if isinstance(owner, ast.Try):
        passes = owner.orelse or owner.finalbody or any(falls_through(module, h.body) for h in owner.handlers)
        return block if passes else _home(module, module.block(owner))
    if isinstance(owner, ast.With | ast.AsyncWith):
        calls = [item.context_expr for item in owner.items if isinstance(item.context_expr, ast.Call)]
        suppresses = any(tail(call.func) in ("suppress", "raises", "assertRaises") for call in calls)
        return block if suppresses else _home(module, module.block(owner))
    return block


def _end(module: Module, creation: Creation, trace: Trace, closes: Closes, block: Block) -> End:
    if trace.managed or closes.in_finally:
        return End.CLOSED
    resource = creation.resource
    if (resource.start and not trace.starts) or (resource.uses and resource.uses not in trace.attributes):
        return End.CLOSED  # never opened
    if resource.ends:
        return End.CLOSED if trace.closes else End.NEVER
    happy = closes.straight or closes.leaving or closes.odd
    leaves = any(escape.kind in ("returned", "yielded", "stored", "kept") for escape in trace.escapes)
    if closes.handled and (happy or leaves):
        return End.CLOSED
    if not happy:
        return End.NEVER
    yielding = any(_yield_before(module, creation, statement) for statement in [*closes.straight, *closes.odd])
    if yielding and not _only_lends(module, creation, trace):
        return End.CLOSED  # a fixture, say, which is always gone on with
    if closes.straight:
        between = block.statements[block.index + 1 : block.statements.index(closes.straight[0])]
        if all(_is_plain(statement) for statement in between):
            return End.CLOSED
    return End.HAPPY


def _is_plain(statement: ast.stmt) -> bool:
    """Whether a statement only names what is there, so that it does not fail: ``loop = client.loop``."""
    if not isinstance(statement, ast.Assign | ast.AnnAssign | ast.Pass):
        return False
    stores = [node for node in ast.walk(statement) if isinstance(getattr(node, "ctx", None), ast.Store)]
    named = all(isinstance(store, ast.Name | ast.Tuple) for store in stores)
    inside = [node for node in ast.walk(statement) if isinstance(node, ast.expr)]
    return named and all(isinstance(node, ast.Name | ast.Attribute | ast.Constant | ast.Tuple) for node in inside)


def _yield_before(module: Module, creation: Creation, statement: ast.stmt) -> bool:
    """Whether a ``yield`` of the function stands between the creation and ``statement``."""
    return any(
        isinstance(node, ast.Yield)
        and creation.call.lineno < node.lineno < statement.lineno
        and module.function(node) is creation.function
        for node in ast.walk(creation.function)
    )


def _only_lends(module: Module, creation: Creation, trace: Trace) -> bool:
    """Whether the function is a context manager, and nobody but the block under it gets the resource.

    ``asynccontextmanager`` raises at the ``yield`` what the block raises: what stands behind it is skipped.
    """
    lent = all(escape.kind in ("yielded", "result-yielded") for escape in trace.escapes)
    return lent and is_context_manager(module, creation.function)


def is_context_manager(module: Module, function: FunctionNode) -> bool:
    """Whether a generator is made a context manager, which is always gone on with, or raised in, at its ``yield``."""
    return any(module.qualname(name) == "contextlib.asynccontextmanager" for name in function.decorator_list)


def _extent(module: Module, reads: list[ast.Name], block: Block) -> tuple[int, ast.Name | None]:
    """The index of the last statement of the block that needs the resource, and a use elsewhere."""
    places = {id(statement): index for index, statement in enumerate(block.statements)}
    last = block.index
    for read in reads:
        inside = [places[id(above)] for above in module.ancestors(read) if id(above) in places]
        if not inside:
            return last, read
        last = max(last, inside[0])
    return last, None


def _widen(life: Lifetime, others: list[Lifetime]) -> None:
    """Let a life end no earlier than those that begin while it lasts: they will be nested."""
    grown = True
    while grown:
        grown = False
        for other in others:
            if other.block.statements is not life.block.statements or other.end is End.CLOSED:
                continue
            if life.block.index < other.block.index <= life.last:
                end = max([other.last, *(life.block.statements.index(s) for s in other.closes.straight)])
                if end > life.last:
                    life.last, grown = end, True
    if life.closes.straight:
        first = life.block.statements.index(life.closes.straight[0])
        peers = [other for other in others if other.block.statements is life.block.statements]
        harmless = [s for other in peers if not other.creation.resource.ambient for s in other.closes.straight]
        late = [s for s in life.block.statements[first : life.last + 1] if s not in [*harmless, *life.closes.straight]]
        life.overtaken = late[0] if late else None
