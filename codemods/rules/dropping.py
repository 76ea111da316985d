"""Take a statement out together with what would be left empty around it."""

from __future__ import annotations

import ast

from codemods.facts.flow import TRIES
from codemods.facts.module import Module
from codemods.model import Operation
from codemods.rewriting.operations import RemoveFinally, RemoveStatement

_ASKING = ("is_running", "is_closed")


def drop(module: Module, statement: ast.stmt) -> Operation:
    """The operation that takes ``statement`` out.

    An emptied ``finally`` goes with it, and so does an ``if`` that only asked how the loop is.
    """
    block = module.block(statement)
    owner = block.owner
    if len(block.statements) == 1 and isinstance(owner, ast.stmt) and module.stands_alone(owner):
        if isinstance(owner, TRIES) and block.field == "finalbody":
            return RemoveFinally(module.span(owner))
        if isinstance(owner, ast.If) and not owner.orelse and _only_asks(owner.test):
            return drop(module, owner)
    return RemoveStatement(module.span(statement))


def _only_asks(test: ast.expr) -> bool:
    """Whether evaluating a test does nothing: names, and questions about the state of a loop."""
    for node in ast.walk(test):
        if isinstance(node, ast.Call):
            if node.args or not (isinstance(node.func, ast.Attribute) and node.func.attr in _ASKING):
                return False
        elif isinstance(node, ast.NamedExpr | ast.Await | ast.Subscript):
            return False
    return True
