"""Imports that nothing needs any more once a rewrite has taken something away."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Sequence

from codemods.facts.module import Module
from codemods.model import Operation
from codemods.rewriting.operations import ChangeFromImport, RemoveStatement

_WITHOUT_EFFECT = sys.stdlib_module_names | {"pytest", "pytest_asyncio"}
"""Modules that nobody imports for what happens at import."""


def drop_unused(module: Module, gone: Sequence[ast.AST], written: Sequence[Operation] = ()) -> Iterator[Operation]:
    """Operations for the top-level imports that only the nodes ``gone`` (and what is in them) use.

    An import with a comment stays, and so does a name that occurs in a string, which may be an
    annotation or ``__all__``, or in the code that the operations ``written`` bring.
    """
    here = [operation for operation in written if operation.path == module.path]
    code = " ".join(getattr(operation, "code", "") for operation in here)
    anchors = [getattr(operation, "at", None) for operation in here]
    for statement in module.imports.statements:
        is_anchor = module.span(statement) in anchors
        if is_anchor or statement not in module.tree.body or not _may_go(module, statement):
            continue
        unused = [
            alias
            for alias in statement.names
            if is_only_in(module, alias.asname or alias.name, gone)
            and not re.search(rf"(?<![.\w]){re.escape(alias.asname or alias.name)}\b", code)
        ]
        if len(unused) == len(statement.names):
            yield RemoveStatement(module.span(statement), path=module.path)
        elif isinstance(statement, ast.ImportFrom):
            for alias in unused:
                if alias.asname is None:
                    yield ChangeFromImport(module.span(statement), remove=alias.name, path=module.path)


def top_level_name(module: Module, qualname: str) -> str | None:
    """How ``qualname`` is spelled anywhere in the module, by an import that always runs; None when there is none."""
    local = module.imports.local_name(qualname)
    if local is None:
        return None
    first = local.partition(".")[0]
    top = (statement for statement in module.imports.statements if statement in module.tree.body)
    bound = {alias.asname or alias.name.partition(".")[0] for statement in top for alias in statement.names}
    return local if first in bound else None


def _may_go(module: Module, statement: ast.Import | ast.ImportFrom) -> bool:
    from_module = statement.module if isinstance(statement, ast.ImportFrom) else None
    if isinstance(statement, ast.ImportFrom) and (statement.level or from_module == "__future__"):
        return False
    tops = {(from_module or alias.name).partition(".")[0] for alias in statement.names}
    lines = module.source.lines[statement.lineno - 1 : statement.end_lineno]
    return tops <= _WITHOUT_EFFECT and module.stands_alone(statement) and not any("#" in line for line in lines)


def is_only_in(module: Module, name: str, gone: Sequence[ast.AST]) -> bool:
    """Whether a name is used, and nowhere but in ``gone``."""
    used = module.names(name)
    if not used or "." in name or module.declarations(name):
        return False
    if not all(any(node is g or g in module.ancestors(node) for g in gone) for node in used):
        return False
    word = re.compile(rf"\b{re.escape(name)}\b")
    for node in ast.walk(module.tree):
        is_named = isinstance(node, ast.Constant) and isinstance(node.value, str) and word.search(node.value)
        if is_named and not any(g in module.ancestors(node) for g in gone):
            return False
    return True
