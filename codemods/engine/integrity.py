"""What must hold between a file and its rewritten self, whatever the rule was."""

from __future__ import annotations

import ast
import io
import tokenize
import warnings
from collections import Counter
from collections.abc import Collection

from codemods.rewriting.pragmas import is_pragma
from codemods.source import Source


def damage(before: Source, after: Source, replaced: Collection[str] = ()) -> str:
    """What a rewrite broke, in words; empty when nothing is broken.

    A Python file must compile if it did before and keep its string constants, but for those in
    the expressions ``replaced`` that the rewrite says it replaces. The encoding, the BOM and the
    newlines are kept by ``Source.with_text``.
    """
    if not before.is_python:
        return ""
    if not _compile_error(before) and (reason := _compile_error(after)):
        return f"the result does not compile: {reason}"
    lost = _strings(ast.parse(before.data)) - _strings(ast.parse(after.data))
    if lost - sum((_strings(ast.parse(code)) for code in replaced), Counter()):
        return "a string would change"
    return ""


def loses_comment(before: Source, after: Source) -> bool:
    """Whether a comment of ``before`` is no longer in ``after``; what spoke to a checker about a line goes with it."""
    lost = _comments(before) - _comments(after) if before.is_python else Counter[str]()
    return not all(map(is_pragma, lost))


def _compile_error(source: Source) -> str:
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT if source.is_notebook else 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            # Not only ast.parse: that one takes an ``await`` outside of a coroutine.
            compile(source.data, source.path, "exec", flags, dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            return f"{type(error).__name__}: {error}"
    return ""


def _strings(tree: ast.Module) -> Counter[str | bytes]:
    return Counter(n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str | bytes))


def _comments(source: Source) -> Counter[str]:
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source.text).readline))
    except (tokenize.TokenError, IndentationError, SyntaxError):
        return Counter()
    return Counter(token.string for token in tokens if token.type == tokenize.COMMENT)
