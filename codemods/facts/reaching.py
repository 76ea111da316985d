"""Which reads of a local name can see the value that one assignment gave it?"""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import NamedTuple

from codemods.facts.flow import LOOPS
from codemods.facts.module import Module, ScopeNode
from codemods.facts.nodes import start


class Reads(NamedTuple):
    """The reads of a name that belong to one assignment."""

    names: list[ast.Name]
    """In source order; those inside nested functions too."""
    mixed: str
    """Why some of them may see another value as well; empty when none does."""


def reads_of(module: Module, name: str, binding: ast.stmt, scope: ScopeNode) -> Reads:
    """The reads of ``name`` in ``scope`` that see what ``binding``, an assignment there, put into it.

    Another assignment ends the matter where it stands in a block around the read; where it
    may or may not have run, the reads after it are mixed. ``x = None`` never counts.
    """
    here = start(binding)
    block = module.block(binding)
    behind = set(block.statements[block.index :])
    around = {node: child for child, node in _pairs(module, binding, scope)}
    loops = {node for node in around if isinstance(node, LOOPS)}
    history = _history(module, name, scope)
    own: list[ast.Name] = []
    mixed = ""
    for load in history.loads:
        if load.statement is binding:
            continue
        if load.start < here:
            if module.function(load.name) is not module.function(binding):
                own.append(load.name)  # the nested function may be called behind the assignment
                continue
            repeated = loops and any(node in loops for _, node in load.pairs)
            if repeated and not load.is_killed(binding, (0, 0)):
                own.append(load.name)
                mixed = mixed or "it lives on into the next round of a loop"
            continue
        if load.is_killed(binding, here):
            continue
        in_block = any(child in behind for child, _ in load.pairs)
        if not in_block and _excluded(around, load.pairs):
            continue
        own.append(load.name)
        if any(here < start(store) < load.start for store in history.stores if store is not binding):
            mixed = mixed or "it is assigned again on the way"
    return Reads(own, mixed)


_Pairs = list[tuple[ast.AST, ast.AST]]


class _Load(NamedTuple):
    """One read of a name, and what can be said of it whatever the assignment in question."""

    name: ast.Name
    start: tuple[int, int]
    statement: ast.stmt
    pairs: _Pairs
    killers: list[ast.stmt]
    """The assignments that stand in a block around the read, above it."""

    def is_killed(self, binding: ast.stmt, after: tuple[int, int]) -> bool:
        """Whether an assignment other than ``binding`` stands between ``after`` and the read."""
        return any(after < start(store) < self.start for store in self.killers if store is not binding)


class _History(NamedTuple):
    stores: list[ast.stmt]
    loads: list[_Load]


@lru_cache(maxsize=16)
def _history(module: Module, name: str, scope: ScopeNode) -> _History:
    """All that happens to a name in a scope; the next questions are mostly about the same few names."""
    stores: list[ast.stmt] = []
    names: list[ast.Name] = []
    for node in module.uses(name, scope):
        if isinstance(node.ctx, ast.Load):
            names.append(node)
        elif not isinstance(node.ctx, ast.Del) and module.scope(node) is scope:
            statement = module.statement(node)
            if not _is_reset(statement):
                stores.append(statement)
    blocks = [(store, module.block(store)) for store in stores]
    below = [(store, set(block.statements[block.index + 1 :])) for store, block in blocks]
    loads: list[_Load] = []
    for node in names:
        pairs = _pairs(module, node, scope)
        chain = {child for child, _ in pairs}
        killers = [
            store
            for store, behind in below
            if not behind.isdisjoint(chain) or (isinstance(store, _BINDING_BLOCKS) and store in chain)
        ]
        loads.append(_Load(node, start(node), module.statement(node), pairs, killers))
    return _History(stores, loads)


_BINDING_BLOCKS = (ast.With, ast.AsyncWith, ast.For, ast.AsyncFor)


def _excluded(around: dict[ast.AST, ast.AST], pairs: _Pairs) -> bool:
    """Whether a read stands in another branch of an ``if`` or ``match`` than the assignment."""
    for child, node in pairs:
        other = around.get(node)
        if other is not None:
            return isinstance(node, ast.If | ast.Match) and _branch(node, child) != _branch(node, other)
    return False


def _branch(node: ast.If | ast.Match, child: ast.AST) -> object:
    if isinstance(node, ast.If):
        return "body" if child in node.body else "orelse" if child in node.orelse else "test"
    return child


def _pairs(module: Module, node: ast.AST, scope: ScopeNode) -> _Pairs:
    """(child, parent) from ``node`` up to ``scope``."""
    pairs: _Pairs = []
    child = node
    for above in module.ancestors(node):
        pairs.append((child, above))
        if above is scope:
            break
        child = above
    return pairs


def _is_reset(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Assign | ast.AnnAssign) and (
        statement.value is None or (isinstance(statement.value, ast.Constant) and statement.value.value is None)
    )
