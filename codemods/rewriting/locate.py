"""Find the libcst node that stands at a position of the source."""

from __future__ import annotations

from collections.abc import Mapping

import libcst as cst
from libcst.metadata import CodeRange, MetadataWrapper, PositionProvider

from codemods.model import Span


class MisplacedError(LookupError):
    """No node stands where an operation says: the rule and the tree disagree."""


Statement = cst.BaseStatement
_Place = tuple[int, int, int, int]


class Locator:
    """The nodes of one parsed piece of source, by position.

    ``first_line`` is the line of the file at which the piece starts.
    """

    def __init__(self, tree: cst.Module, first_line: int) -> None:
        wrapper = MetadataWrapper(tree, unsafe_skip_copy=True)
        positions: Mapping[cst.CSTNode, CodeRange] = wrapper.resolve(PositionProvider)
        shift = first_line - 1
        self.statements: dict[tuple[int, int], Statement] = {}
        self.expressions: dict[_Place, cst.BaseExpression] = {}
        for node, where in positions.items():
            start = where.start
            if isinstance(node, cst.BaseExpression):
                place = (start.line + shift, start.column + 1, where.end.line + shift, where.end.column + 1)
                self.expressions[place] = node
            elif isinstance(node, cst.BaseStatement):
                decorators = getattr(node, "decorators", ())
                if decorators:
                    start = positions[decorators[0]].start
                self.statements[start.line + shift, start.column + 1] = node

    def statement(self, span: Span) -> Statement:
        """The statement that starts where ``span`` starts. Raises MisplacedError."""
        try:
            return self.statements[span.line, span.column]
        except KeyError:
            raise MisplacedError(f"no statement starts at line {span.line}, column {span.column}") from None

    def expression(self, span: Span) -> cst.BaseExpression:
        """The expression at exactly ``span``. Raises MisplacedError."""
        try:
            return self.expressions[span.line, span.column, span.end_line, span.end_column]
        except KeyError:
            raise MisplacedError(f"no expression stands at line {span.line}, column {span.column}") from None
