"""Changes to a list of statements: take out, insert, wrap, move into a coroutine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import libcst as cst

from codemods.rewriting.locate import Locator, MisplacedError, Statement
from codemods.rewriting.operations import (
    AddFinally,
    EnterAsyncWith,
    ExtractCoroutine,
    InsertAfter,
    InsertBefore,
    NameValue,
    RemoveDefinition,
    RemoveFinally,
    RemoveStatement,
    ReplaceStatement,
    Unwrap,
    WrapInTry,
    WrapInWith,
)
from codemods.rewriting.pragmas import is_pragma

_Removing = RemoveStatement | RemoveDefinition | RemoveFinally | Unwrap
_Finally = AddFinally | WrapInTry
_Placing = NameValue | ReplaceStatement | InsertBefore | InsertAfter
BlockOperation = _Removing | _Placing | WrapInWith | EnterAsyncWith | _Finally | ExtractCoroutine
_Body = TypeVar("_Body", cst.Module, cst.IndentedBlock)
_TEMPLATE = cst.PartialParserConfig(default_newline="\n", default_indent="    ")
_BLANK = cst.EmptyLine(indent=False)


class BlockEditor:
    """The statements of one block, each known by the node that it was before any change."""

    def __init__(
        self,
        originals: Sequence[Statement],
        updated: Sequence[Statement],
        footer: Sequence[cst.EmptyLine],
        *,
        top: bool,
    ) -> None:
        self._keys: list[Statement | None] = list(originals)
        self.statements: list[Statement] = list(updated)
        self.footer = list(footer)
        self._top = top

    def apply(self, operation: BlockOperation, locate: Locator, pulled: Mapping[Statement, Statement | None]) -> None:
        """Carry out one operation; ``pulled`` are statements of outer blocks that it may take along.

        Raises MisplacedError when its statements are not in this block.
        """
        match operation:
            case RemoveStatement(at=at):
                self._remove(self._index(locate.statement(at)), operation)
            case RemoveFinally(at=at, header=header):
                self._remove_finally(self._index(locate.statement(at)), header)
            case Unwrap(at=at, header=header):
                index = self._index(locate.statement(at))
                old = self.statements[index]
                if not isinstance(old, cst.With):
                    raise MisplacedError("a with was expected")
                if header:
                    wrapper = statements(f"{header}\n    pass\n")[0]
                    self._put(index, index + 1, [_with_leading(wrapper.with_changes(body=old.body), _leading(old))])
                else:
                    self._unwrap(index, old)
            case AddFinally(at=at, cleanup=cleanup):
                index = self._index(locate.statement(at))
                old = self.statements[index]
                if not isinstance(old, cst.Try | cst.TryStar) or old.finalbody is not None:
                    raise MisplacedError("a try without a finally was expected")
                self.statements[index] = old.with_changes(finalbody=_ending_with(cleanup).finalbody)
            case RemoveDefinition(at=at):
                self._remove(self._index(locate.statement(at)), RemoveStatement(at, own_comments_go=True))
            case ReplaceStatement(at=at, code=code):
                index = self._index(locate.statement(at))
                new = _with_leading(statements(code)[0], _leading(self.statements[index]))
                self._put(index, index + 1, [new])
            case NameValue(at=at, name=name):
                index = self._index(locate.statement(at))
                self.statements[index] = _naming(self.statements[index], name)
            case InsertBefore(at=at, code=code, above=True):
                index = self._index(locate.statement(at))
                blanks, comments = _split_leading(self.statements[index])
                self.statements[index] = _with_leading(self.statements[index], comments)
                first, *others = statements(code)
                self._put(index, index, [_with_leading(first, blanks), *others])
            case InsertBefore(at=at, code=code):
                for statement in statements(code):
                    self.insert_before(locate.statement(at), statement)
            case InsertAfter(at=at, code=code):
                index = self._index(locate.statement(at))
                self._put(index + 1, index + 1, statements(code))
            case WrapInWith(first=first, last=last, header=header):
                start, end = self._range(locate.statement(first), locate.statement(last))
                wrapper = statements(f"{header}\n    pass\n")[0]
                self._nest(start, end, wrapper)
            case WrapInTry(first=first, last=last, cleanup=cleanup):
                start, end = self._range(locate.statement(first), locate.statement(last))
                self._nest(start, end, _ending_with(cleanup))
            case EnterAsyncWith():
                self._enter(operation, locate)
            case ExtractCoroutine():
                self._extract(
                    operation, locate, [(pulled[locate.statement(at)], name) for at, name in operation.pulled]
                )

    def _index(self, original: Statement) -> int:
        for index, key in enumerate(self._keys):
            if key is original:
                return index
        raise MisplacedError("the statements of one operation stand in different blocks")

    def _range(self, first: Statement, last: Statement) -> tuple[int, int]:
        return self._index(first), self._index(last) + 1

    def _put(self, start: int, end: int, new: Sequence[Statement]) -> None:
        """Put ``new`` in the place of ``start:end``; the last one answers for the range."""
        keys: list[Statement | None] = [None] * len(new)
        if new and end > start:
            keys[0] = self._keys[start]
        self.statements[start:end] = new
        self._keys[start:end] = keys

    def _remove(self, index: int, operation: RemoveStatement) -> None:
        removed = self.statements[index]
        kept = _comment_lines(removed) if operation.keep_comments else []
        if operation.own_comments_go:
            kept = _comments_further_above(removed)
        if index + 1 < len(self.statements):
            after = self.statements[index + 1]
            above, (below, rest) = _split_leading(removed)[0], _split_leading(after)
            while kept and below and kept[-1].comment is None:
                kept.pop()  # two gaps become one
            if kept:
                gap = [*above, *kept, *below]
            elif index or self._top:
                gap = max(above, below, key=len)
            else:
                gap = []
            self.statements[index + 1] = _with_leading(after, [*gap, *rest])
        else:
            self.footer[:0] = kept
        if len(self.statements) == 1 and not self._top:
            self._put(index, index + 1, statements("pass"))
        else:
            self._put(index, index + 1, [])

    def _comment_behind(self, index: int, lines: Sequence[cst.EmptyLine]) -> None:
        """Put lines of comment between the statement at ``index`` and what follows it."""
        if index + 1 < len(self.statements):
            after = self.statements[index + 1]
            self.statements[index + 1] = _with_leading(after, [*lines, *_leading(after)])
        else:
            self.footer[:0] = lines

    def _remove_finally(self, index: int, header: str) -> None:
        """Take the ``finally`` off a ``try``, and the ``try`` where nothing else is left of it."""
        old = self.statements[index]
        if not isinstance(old, cst.Try | cst.TryStar) or old.finalbody is None:
            raise MisplacedError("a try with a finally was expected")
        self._comment_behind(index, _all_comments(old.finalbody))
        if old.handlers:
            self._put(index, index + 1, [old.with_changes(finalbody=None)])
            if header:
                self._nest(index, index + 1, statements(f"{header}\n    pass\n")[0])
        elif header:
            wrapper = statements(f"{header}\n    pass\n")[0]
            self._put(index, index + 1, [_with_leading(wrapper.with_changes(body=old.body), _leading(old))])
        else:
            self._unwrap(index, old)

    def _unwrap(self, index: int, old: cst.Try | cst.TryStar | cst.With) -> None:
        """Put the body of a ``try`` or a ``with`` in its place."""
        body = old.body
        if not isinstance(body, cst.IndentedBlock):
            raise MisplacedError("the body stands on the line of its header")
        self._comment_behind(index, body.footer)
        inside = list(body.body)
        header = [cst.EmptyLine(comment=body.header.comment)] if body.header.comment else []
        inside[0] = _with_leading(inside[0], [*_leading(old), *header, *_split_leading(inside[0])[1]])
        self._put(index, index + 1, inside)

    def _nest(self, start: int, end: int, wrapper: Statement) -> None:
        """Put ``start:end`` into the body of ``wrapper``; blank lines stay outside, comments go in."""
        body = self.statements[start:end]
        blanks, rest = _split_leading(body[0])
        body[0] = _with_leading(body[0], rest)
        block = cst.IndentedBlock(body=body).visit(_Blank())
        self._put(start, end, [_with_leading(wrapper.with_changes(body=block), blanks)])

    def _enter(self, operation: EnterAsyncWith, locate: Locator) -> None:
        start, end = self._range(locate.statement(operation.binding), locate.statement(operation.last))
        binding = self.statements[start]
        item, trailing = with_item(binding, keep_await=operation.keep_await)
        body = self.statements[start + 1 : end]
        if not body:
            raise MisplacedError("nothing to put into the async with")
        body[0] = _with_leading(body[0], _split_leading(body[0])[1])
        wrapper = cst.With(
            items=[item],
            asynchronous=cst.Asynchronous(),
            body=cst.IndentedBlock(body=body, header=trailing),
            leading_lines=_leading(binding),
        )
        self._put(start, end, [wrapper])

    def _extract(
        self, operation: ExtractCoroutine, locate: Locator, pulled: Sequence[tuple[Statement | None, str]]
    ) -> None:
        start, end = self._range(locate.statement(operation.first), locate.statement(operation.last))
        while end < len(self._keys) and self._keys[end] is None:  # put there by InsertAfter
            end += 1
        above = [_naming(one, name) if name else one for one, name in pulled if one is not None]
        if len(above) < len(pulled):
            raise MisplacedError("a statement to be moved in stands behind the block")
        body = [*above, *self.statements[start:end]]
        if operation.return_last:
            body[-1] = _returning(body[-1])
        elif operation.returns:
            body.append(statements(f"return {operation.returns}")[0])
        blanks, rest = _split_leading(body[0])
        body[0] = _with_leading(body[0], rest)
        arrow = f" -> {operation.annotation}" if operation.annotation else ""
        definition = statements(f"async def {operation.name}(){arrow}:\n    pass\n")[0].with_changes(
            body=cst.IndentedBlock(body=body).visit(_Blank())
        )
        call = statements(operation.call)[0]
        if operation.before is not None:
            self._put(start, end, [_with_leading(call, blanks)])
            raise _Hoist(definition)
        gap = [_BLANK] * (2 if self._top else 1)
        before = gap if start or self._top else []
        self._put(start, end, [_with_leading(definition, before), _with_leading(call, gap)])

    def insert_before(self, original: Statement, new: Statement) -> None:
        """Put ``new`` in front of a statement, below its blank lines and comments."""
        index = self._index(original)
        follower = self.statements[index]
        self.statements[index] = _with_leading(follower, [])
        self._put(index, index, [_with_leading(new, _leading(follower))])

    def hoist(self, definition: Statement, before: Statement) -> None:
        """Put a definition that comes out of an inner block in front of the statement ``before``."""
        index = self._index(before)
        follower = self.statements[index]
        gap = [_BLANK] * (2 if self._top else 1)
        self.statements[index] = _with_leading(follower, [*gap, *_split_leading(follower)[1]])
        self.statements.insert(index, _with_leading(definition, gap if index or self._top else []))
        self._keys.insert(index, None)


class _Hoist(Exception):
    """Carries a definition out of the block that it came from, up to the top level."""

    def __init__(self, definition: Statement) -> None:
        super().__init__()
        self.definition = definition


Hoist = _Hoist


def statements(code: str) -> list[Statement]:
    """Parse a template: newlines and indents take the style of the tree they are put into."""
    parsed = cst.parse_module(code, config=_TEMPLATE)
    found: list[Statement] = list(parsed.body)
    if found and parsed.header:  # blank lines at the start belong to what they stand above
        found[0] = _with_leading(found[0], [*parsed.header, *_leading(found[0])])
    return found


def _ending_with(cleanup: str) -> cst.Try:
    """A ``try`` around nothing, with ``cleanup`` as its ``finally``."""
    indented = "".join(f"    {line}\n" for line in cleanup.splitlines())
    wrapper = statements(f"try:\n    pass\nfinally:\n{indented}")[0]
    assert isinstance(wrapper, cst.Try)
    return wrapper


def join_items(outer: cst.With, inner: cst.With) -> cst.With:
    """``async with a: async with b: body`` -> ``async with a, b: body``."""
    items = [
        *outer.items[:-1],
        outer.items[-1].with_changes(comma=cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))),
    ]
    return outer.with_changes(items=[*items, *inner.items], body=inner.body.with_changes(header=outer.body.header))  # type: ignore[attr-defined]


def with_item(binding: Statement, *, keep_await: bool) -> tuple[cst.WithItem, cst.TrailingWhitespace]:
    """The ``X() as x`` of an assignment ``x = X()``, and the comment behind it."""
    if not isinstance(binding, cst.SimpleStatementLine) or len(binding.body) != 1:
        raise MisplacedError("an assignment on a line of its own was expected")
    assignment = binding.body[0]
    match assignment:
        case cst.Assign(targets=[cst.AssignTarget(target=cst.Name() as name)], value=value):
            pass
        case cst.AnnAssign(target=cst.Name() as name, value=cst.BaseExpression() as value):
            pass
        case _:
            raise MisplacedError("an assignment to one name was expected")
    if not keep_await and isinstance(value, cst.Await):
        value = value.expression
    return cst.WithItem(item=value, asname=cst.AsName(name=name)), binding.trailing_whitespace


def _naming(statement: Statement, name: str) -> Statement:
    if isinstance(statement, cst.SimpleStatementLine) and isinstance(expression := statement.body[0], cst.Expr):
        assignment = cst.Assign(targets=[cst.AssignTarget(cst.Name(name))], value=expression.value)
        return statement.with_changes(body=[assignment, *statement.body[1:]])
    raise MisplacedError("an expression on a line of its own was expected")


def _returning(statement: Statement) -> Statement:
    if isinstance(statement, cst.SimpleStatementLine):
        match statement.body[0]:
            case cst.Assign(value=value) | cst.AnnAssign(value=cst.BaseExpression() as value):
                return statement.with_changes(body=[cst.Return(value=value), *statement.body[1:]])
    raise MisplacedError("an assignment was expected as the last statement")


def _leading(statement: Statement) -> Sequence[cst.EmptyLine]:
    lines: Sequence[cst.EmptyLine] = getattr(statement, "leading_lines", ())
    return lines


def _with_leading(statement: Statement, lines: Sequence[cst.EmptyLine]) -> Statement:
    return statement.with_changes(leading_lines=list(lines))


def _split_leading(statement: Statement) -> tuple[list[cst.EmptyLine], list[cst.EmptyLine]]:
    """The blank lines in front of a statement, and the rest from its first comment on."""
    lines = list(_leading(statement))
    first = next((i for i, line in enumerate(lines) if line.comment is not None), len(lines))
    return lines[:first], lines[first:]


def _comment_lines(statement: Statement) -> list[cst.EmptyLine]:
    """All comments of a statement that goes away, each on a line of its own; not what it tells a checker."""
    inside = _all_comments(_with_leading(statement, []))
    said = [line for line in inside if line.comment is None or not is_pragma(line.comment.value)]
    return _split_leading(statement)[1] + said


def _comments_further_above(statement: Statement) -> list[cst.EmptyLine]:
    """The comments in front of a statement, but for those that no blank line parts from it."""
    lines = _split_leading(statement)[1]
    last_gap = max((i for i, line in enumerate(lines) if line.comment is None), default=-1)
    return lines[: last_gap + 1]


def _all_comments(node: cst.CSTNode) -> list[cst.EmptyLine]:
    """Every comment inside a node, each on a line of its own."""
    collector = _Comments()
    node.visit(collector)
    return [cst.EmptyLine(comment=comment) for comment in collector.found]


class _Blank(cst.CSTTransformer):
    """Leaves empty lines empty when what is around them moves to the right."""

    def leave_EmptyLine(self, original_node: cst.EmptyLine, updated_node: cst.EmptyLine) -> cst.EmptyLine:
        if updated_node.comment is not None:
            return updated_node
        return updated_node.with_changes(indent=False, whitespace=cst.SimpleWhitespace(""))


class _Comments(cst.CSTVisitor):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[cst.Comment] = []

    def visit_Comment(self, node: cst.Comment) -> None:
        self.found.append(node)
