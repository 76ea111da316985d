"""Which coroutines let no error out."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from codemods.facts import vocabulary as words
from codemods.facts.callees import callee
from codemods.facts.flow import TRIES
from codemods.facts.module import FunctionNode, Module
from codemods.facts.nodes import FUNCTIONS, tail, walk_scope


def handles_errors(module: Module, made: ast.expr) -> bool:
    """Whether ``made`` calls a function of this file that handles its errors itself: ``try ... except Exception``."""
    function = callee(module, made)
    return function is not None and _handles_all(function)


def _handles_all(function: FunctionNode) -> bool:
    """Whether whatever a function awaits or raises stands in a ``try`` that lets no error through."""
    covered: set[ast.AST] = set()
    for attempt in (node for node in _body(function) if isinstance(node, TRIES)):
        if any(_swallows(handler) for handler in attempt.handlers):
            covered.update(node for statement in attempt.body for node in walk_scope(statement))
            covered.update(
                node
                for handler in attempt.handlers
                for statement in handler.body
                for node in walk_scope(statement)
                if isinstance(node, ast.Await)
            )
    loose = [node for node in _body(function) if node not in covered]
    risky = any(isinstance(node, ast.Await | ast.AsyncFor | ast.Raise) for node in loose)
    return bool(covered) and not risky and all(_only_locks(n) for n in loose if isinstance(n, ast.AsyncWith))


def _only_locks(statement: ast.AsyncWith) -> bool:
    expressions = [item.context_expr for item in statement.items]
    return all(isinstance(e, ast.Name | ast.Attribute) and words.LOCKS.search(tail(e)) for e in expressions)


def _swallows(handler: ast.ExceptHandler) -> bool:
    """Whether a handler catches every Exception and raises nothing itself."""
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    if not any(kind is None or tail(kind) in ("Exception", "BaseException") for kind in caught):
        return False
    inside = [node for statement in handler.body for node in walk_scope(statement)]
    return not any(isinstance(node, ast.Raise) for node in inside if not isinstance(node, FUNCTIONS))


def _body(function: FunctionNode) -> Iterator[ast.AST]:
    plain = (statement for statement in function.body if not isinstance(statement, (*FUNCTIONS, ast.ClassDef)))
    return (node for statement in plain for node in walk_scope(statement))
