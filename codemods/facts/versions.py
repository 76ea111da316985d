"""Which code runs on some versions of Python only: what a test of ``sys.version_info`` says."""

from __future__ import annotations

import ast

from codemods.facts.module import Module

_BEFORE, _FROM = (ast.Lt, ast.LtE), (ast.Gt, ast.GtE)
_NEVER = (99,)


def runs_only_before(module: Module, node: ast.AST, version: tuple[int, int]) -> bool:
    """Whether ``node`` stands in a branch that no Python from ``version`` on takes."""
    child = node
    for above in module.ancestors(node):
        if isinstance(above, ast.If | ast.IfExp) and child is not above.test:
            body = above.body if isinstance(above, ast.If) else [above.body]
            joined, kinds = (ast.And, _BEFORE) if child in body else (ast.Or, _FROM)
            if min(_bound(module, part, kinds) for part in _parts(above.test, joined)) <= version:
                return True
        child = above
    return False


def _parts(test: ast.expr, joined: type[ast.boolop]) -> list[ast.expr]:
    """The parts of a test that all hold (``and``) in its body, or that all fail (``or``) behind its ``else``."""
    return test.values if isinstance(test, ast.BoolOp) and isinstance(test.op, joined) else [test]


def _bound(module: Module, test: ast.expr, kinds: tuple[type[ast.cmpop], ...]) -> tuple[int, ...]:
    """``(3, 7)`` of ``sys.version_info < (3, 7)``, where the comparison is one of ``kinds``; else above all."""
    match test:
        case ast.Compare(left=left, ops=[op], comparators=[ast.Tuple(elts=[*parts])]):
            numbers = tuple(part.value for part in parts if isinstance(part, ast.Constant))
            if (
                isinstance(op, kinds)
                and module.qualname(left) == "sys.version_info"
                and len(numbers) == len(parts)
                and all(isinstance(number, int) for number in numbers)
            ):
                return numbers  # type: ignore[return-value]
    return _NEVER
