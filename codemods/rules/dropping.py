"""Take statements out together with what would be left empty around them."""

from __future__ import annotations

import ast
from collections.abc import Iterable

from codemods.facts.flow import TRIES
from codemods.facts.module import Module
from codemods.facts.nodes import start
from codemods.model import Operation
from codemods.rewriting.operations import RemoveFinally, RemoveStatement

_ASKING = ("is_running", "is_closed")


def drop(module: Module, statement: ast.stmt) -> Operation:
    """The operation that takes ``statement`` out; see ``drop_all``."""
    (operation,) = drop_all(module, [statement])
    return operation


def drop_all(module: Module, statements: Iterable[ast.stmt]) -> list[Operation]:
    """The operations that take ``statements`` out.

    An emptied ``finally`` goes with them, and so does an emptied ``try`` with its handlers, and an
    ``if`` that only asked how the loop is.
    """
    named = set(statements)
    gone = {statement for statement in named if named.isdisjoint(module.ancestors(statement))}
    clauses: set[ast.stmt] = set()
    grown = True
    while grown:
        grown = False
        for statement in sorted(gone, key=start):
            block = module.block(statement)
            owner = block.owner
            if not (gone.issuperset(block.statements) and isinstance(owner, ast.stmt) and module.stands_alone(owner)):
                continue
            if isinstance(owner, TRIES) and block.field == "finalbody":
                clauses.add(owner)
            elif isinstance(owner, ast.If) and not owner.orelse and _only_asks(owner.test):
                gone.add(owner)
            elif isinstance(owner, TRIES) and block.field == "body" and not (owner.orelse or owner.finalbody):
                gone.add(owner)  # what does nothing raises nothing
            else:
                continue
            gone.difference_update(block.statements)
            grown = True
    return [
        *(RemoveFinally(module.span(clause)) for clause in sorted(clauses, key=start)),
        *(RemoveStatement(module.span(statement)) for statement in sorted(gone, key=start)),
    ]


def _only_asks(test: ast.expr) -> bool:
    """Whether evaluating a test does nothing: names, and questions about the state of a loop."""
    for node in ast.walk(test):
        if isinstance(node, ast.Call):
            if node.args or not (isinstance(node.func, ast.Attribute) and node.func.attr in _ASKING):
                return False
        elif isinstance(node, ast.NamedExpr | ast.Await | ast.Subscript | ast.JoinedStr):
            return False
        elif isinstance(node, ast.Constant) and node.value is not None:
            return False  # it is about something else than a loop
    return True
