"""Small questions about syntax nodes that need nothing but the node."""

from __future__ import annotations

import ast
from collections.abc import Iterator

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def walk_scope(node: ast.AST) -> Iterator[ast.AST]:
    """``node`` and what is inside it, in source order, without the bodies of nested functions.

    The nested function, class or lambda node itself is yielded.
    """
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (*FUNCTIONS, ast.Lambda, ast.ClassDef)):
            yield child
        else:
            yield from walk_scope(child)


def tail(expression: ast.expr) -> str:
    """The last word of a name: ``create_task`` for ``loop.create_task``; empty for anything else."""
    if isinstance(expression, ast.Attribute):
        return expression.attr
    return expression.id if isinstance(expression, ast.Name) else ""


def start(node: ast.AST) -> tuple[int, int]:
    """Where a statement or an expression starts, for sorting."""
    return (node.lineno, node.col_offset)  # type: ignore[attr-defined]


def is_self_attribute(node: ast.AST | None) -> bool:
    """Whether ``node`` is spelled ``self.something``."""
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
