"""From the operations of a rewrite to edits of text."""

from __future__ import annotations

import ast
import difflib
import re
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache

import libcst as cst

from codemods.model import Edit, Operation, Rewrite, Span
from codemods.rewriting.hands import Hands
from codemods.rewriting.locate import Locator, MisplacedError
from codemods.rewriting.operations import (
    AddKeyword,
    RemoveDefinition,
    RemoveFinally,
    RemoveKeyword,
    RemoveStatement,
    Unwrap,
)
from codemods.source import Source, split_lines

Read = Callable[[str], Source | None]
_REMOVING = (RemoveStatement, RemoveFinally, RemoveDefinition, Unwrap)
_GUARD = "pass"  # stands above a parsed piece, so that its comments belong to its first statement


def lower(rewrite: Rewrite, path: str, read: Read) -> tuple[Edit, ...]:
    """The edits that carry out ``rewrite``, for the file at ``path`` and any other it names.

    ``read`` gives the text that the spans of the operations speak of. Raises MisplacedError
    when an operation finds nothing to work on, and when libcst cannot reproduce the text.
    """
    edits: list[Edit] = []
    by_path: dict[str, list[Operation]] = {}
    for operation in rewrite.operations:
        by_path.setdefault(operation.path or path, []).append(operation)
    for target, operations in by_path.items():
        source = read(target)
        if source is None:
            raise MisplacedError(f"{target} cannot be read")
        python = [op for op in operations if type(op).__module__ == "codemods.rewriting.operations"]
        for operation in operations:
            if operation not in python:
                from codemods.project.config_edit import (
                    lower as lower_config,
                )  # tomlkit and configupdater, only where a config changes

                edits.extend(lower_config(operation, source))
        if python:
            edits.extend(lower_python(source, python))
    return tuple(edits)


def lower_python(source: Source, operations: list[Operation]) -> tuple[Edit, ...]:
    """The edits of one Python file. Each touched run of top-level statements is parsed alone."""
    pieces = _pieces(source, operations)
    edits: list[Edit] = []
    for first_line, last_line, inside in pieces:
        start, end = source.line_starts[first_line - 1], source.line_starts[last_line]
        before = source.text[start:end]
        after = _transform(source, before, first_line, inside)
        edits.extend(line_edits(source.path, before, after, start))
    return tuple(edits)


def _transform(source: Source, text: str, first_line: int, operations: list[Operation]) -> str:
    guard = f"{_GUARD}{source.newline}"
    tree, locator = _parsed(guard + text, source.newline, _indent(source), first_line - 1)
    hands = Hands(operations, locator)
    changed = tree.visit(hands)
    hands.finish()
    code = changed.code.removeprefix(guard)
    return code.lstrip("\r\n") if first_line == 1 and not text.startswith(("\r", "\n")) else code


@lru_cache(maxsize=1)
def _parsed(text: str, newline: str, indent: str, first_line: int) -> tuple[cst.Module, Locator]:
    """The tree of a piece; the next rewrite is often about the same one. Raises MisplacedError."""
    try:
        tree = cst.parse_module(text, config=cst.PartialParserConfig(default_newline=newline))
    except cst.ParserSyntaxError as error:
        raise MisplacedError("libcst does not read this syntax") from error
    indented = tree.with_changes(default_indent=indent)
    if indented.code == text:  # a piece without any block does not know how its file indents
        tree = indented
    if tree.code != text:
        raise MisplacedError("libcst does not reproduce this text (a form feed?)")
    return tree, Locator(tree, first_line)


def given_up(source: Source, operation: Operation) -> list[str]:
    """The code that ``operation`` says it takes away or replaces: its strings may go."""
    if isinstance(operation, RemoveDefinition):
        return [textwrap.dedent(_text_at(source, replace(operation.at, column=1)))]
    if not isinstance(operation, AddKeyword | RemoveKeyword):
        return []
    call = ast.parse(_text_at(source, operation.at), mode="eval").body
    keywords = call.keywords if isinstance(call, ast.Call) else []
    return [ast.unparse(keyword.value) for keyword in keywords if keyword.arg == operation.name]


def _text_at(source: Source, span: Span) -> str:
    start = source.offset(span.line, span.column)
    return source.text[start : source.offset(span.end_line, span.end_column)]


def _pieces(source: Source, operations: list[Operation]) -> list[tuple[int, int, list[Operation]]]:
    """Runs of whole top-level statements (first line, last line) with the operations inside each."""
    ranges = _ranges(source)
    pieces: list[tuple[int, int, list[Operation]]] = []
    for low, high, operation in sorted(((*_lines(op), op) for op in operations), key=lambda item: item[:2]):
        touched = [r for r in ranges if r[0] <= high and low <= r[1]]
        if not touched:
            raise MisplacedError(f"no statement at line {low}")
        first, last = touched[0][0], touched[-1][1]
        if isinstance(operation, _REMOVING):  # what stands between it and its neighbour moves
            place = ranges.index(touched[-1])
            if place + 1 < len(ranges):
                last = ranges[place + 1][1]
            elif place:
                first = min(first, ranges[place - 1][0])
        if pieces and first <= pieces[-1][1]:
            previous = pieces.pop()
            pieces.append((previous[0], max(last, previous[1]), [*previous[2], operation]))
        else:
            pieces.append((first, last, [operation]))
    return pieces


@lru_cache(maxsize=1)  # all rewrites of a file ask for them
def _ranges(source: Source) -> list[tuple[int, int]]:
    """First and last line of each top-level statement, or of those that share a line.

    The blank lines and comments above the statement belong to it, and so do indented comments below it.
    """
    ranges: list[tuple[int, int]] = []
    above = 0
    for statement in ast.parse(source.data).body:
        first = min([statement.lineno, *(d.lineno for d in getattr(statement, "decorator_list", ()))])
        last = _with_comments(source, statement.end_lineno or statement.lineno)
        if ranges and first <= above:
            ranges[-1] = (ranges[-1][0], max(last, above))
        else:
            ranges.append((above + 1, last))
        above = max(above, last)
    return ranges


def _with_comments(source: Source, last: int) -> int:
    """The last line of a statement that ends at ``last``, with the indented comments that follow."""
    for number, line in enumerate(source.lines[last:], last + 1):
        if line.strip() and not (line[0].isspace() and line.lstrip().startswith("#")):
            break
        last = number if line.strip() else last
    return last


def _lines(operation: Operation) -> tuple[int, int]:
    """First and last line that an operation speaks of."""
    spans = [value for name in operation.__slots__ for value in [getattr(operation, name)] if isinstance(value, Span)]
    return min(s.line for s in spans), max(s.end_line for s in spans)


def _indent(source: Source) -> str:
    """One step of indentation as this file writes it; four spaces when it has none."""
    match = re.search(r":[ \t]*(?:#[^\n]*)?\r?\n([ \t]+)\S", source.text)
    if match is None:
        return "    "
    blanks = match.group(1)
    return "\t" if blanks.startswith("\t") else blanks[:4] if len(blanks) % 4 == 0 else blanks


def line_edits(path: str, before: str, after: str, offset: int) -> Iterable[Edit]:
    """Line-aligned edits that turn ``before``, which stands at ``offset``, into ``after``."""
    old, new = split_lines(before), split_lines(after)
    starts = [offset]
    for line in old:
        starts.append(starts[-1] + len(line))
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for tag, i1, i2, j1, j2 in matcher.get_opcodes():
        if tag != "equal":
            yield Edit(path, starts[i1], starts[i2], "".join(new[j1:j2]))
