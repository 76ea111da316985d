"""Which reads of a local name can see the value that one assignment gave it?"""

from __future__ import annotations

import ast
from typing import NamedTuple

from codemods.facts.flow import LOOPS
from codemods.facts.module import Module, ScopeNode


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
    here = _start(binding)
    block = module.block(binding)
    stores: list[ast.stmt] = []
    loads: list[ast.Name] = []
    for node in module.uses(name, scope):
        if isinstance(node.ctx, ast.Load):
            loads.append(node)
        elif not isinstance(node.ctx, ast.Del) and module.scope(node) is scope:
            statement = module.statement(node)
            if statement is not binding and not _is_reset(statement):
                stores.append(statement)
    own: list[ast.Name] = []
    mixed = ""
    for load in loads:
        position = _start(load)
        chain = _statements_around(module, load, scope)
        if module.statement(load) is binding:
            continue
        if position < here:
            if _common_loop(module, load, binding, scope) and not _killed(module, stores, chain, (0, 0), position):
                own.append(load)
                mixed = mixed or "it lives on into the next round of a loop"
            continue
        if _killed(module, stores, chain, here, position):
            continue
        in_block = any(statement in chain for statement in block.statements[block.index :])
        if not in_block and _excluded(module, binding, load, scope):
            continue
        own.append(load)
        if any(here < _start(store) < position for store in stores):
            mixed = mixed or "it is assigned again on the way"
    return Reads(own, mixed)


def _killed(
    module: Module, stores: list[ast.stmt], chain: list[ast.stmt], after: tuple[int, int], before: tuple[int, int]
) -> bool:
    """Whether a store between two positions stands in a block around the read, above it."""
    for store in stores:
        if after < _start(store) < before:
            block = module.block(store)
            if any(statement in chain for statement in block.statements[block.index + 1 :]):
                return True
            if isinstance(store, ast.With | ast.AsyncWith | ast.For | ast.AsyncFor) and store in chain:
                return True
    return False


def _excluded(module: Module, binding: ast.stmt, load: ast.Name, scope: ScopeNode) -> bool:
    """Whether the read stands in another branch of an ``if`` or ``match`` than the assignment."""
    around = {id(node): child for child, node in _pairs(module, binding, scope)}
    for child, node in _pairs(module, load, scope):
        other = around.get(id(node))
        if other is not None and isinstance(node, ast.If | ast.Match):
            return _branch(node, child) != _branch(node, other)
        if other is not None:
            return False
    return False


def _branch(node: ast.If | ast.Match, child: ast.AST) -> object:
    if isinstance(node, ast.If):
        return "body" if child in node.body else "orelse" if child in node.orelse else "test"
    return child


def _pairs(module: Module, node: ast.AST, scope: ScopeNode) -> list[tuple[ast.AST, ast.AST]]:
    """(child, parent) from ``node`` up to ``scope``."""
    pairs: list[tuple[ast.AST, ast.AST]] = []
    child = node
    for above in module.ancestors(node):
        pairs.append((child, above))
        if above is scope:
            break
        child = above
    return pairs


def _statements_around(module: Module, node: ast.AST, scope: ScopeNode) -> list[ast.stmt]:
    return [child for child, _ in _pairs(module, node, scope) if isinstance(child, ast.stmt)]


def _common_loop(module: Module, one: ast.AST, other: ast.AST, scope: ScopeNode) -> bool:
    loops = [node for _, node in _pairs(module, one, scope) if isinstance(node, LOOPS)]
    around = [node for _, node in _pairs(module, other, scope)]
    return any(loop in around for loop in loops)


def _is_reset(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Assign | ast.AnnAssign) and (
        statement.value is None or (isinstance(statement.value, ast.Constant) and statement.value.value is None)
    )


def _start(node: ast.stmt | ast.expr) -> tuple[int, int]:
    return (node.lineno, node.col_offset)
