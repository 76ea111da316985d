"""``nest_asyncio``, which lets a loop run inside of another, and what needs it in a notebook."""

from __future__ import annotations

import ast
import re
from itertools import takewhile

from codemods.facts.kernel import is_certain
from codemods.facts.module import Module
from codemods.model import Operation
from codemods.rewriting.operations import RemoveStatement

_APPLY = "nest_asyncio.apply"
_FORK = "nest_asyncio2.apply"
"""Maintained, and right on Python 3.14."""
_RUNS_INSIDE = re.compile(r"_sync$|^run_polling$|^run_app$")
"""Methods that run a loop although they look like plain calls."""
_ABOUT_IT = re.compile(r"nest|loop|async|jupyter|notebook|ipython|colab", re.IGNORECASE)
_NEED_IT = frozenset(
    {
        "crewai",
        "deepeval",
        "dspy",
        "flask",
        "gradio",
        "ib_async",
        "ib_insync",
        "llama_index",
        "llama_parse",
        "pydantic_ai",
        "ragas",
        "requests_html",
        "telegram",
        "telethon",
        "twint",
        "uvicorn",
    }
)
"""Packages with plain calls that run a loop, whose documentation has ``nest_asyncio`` for notebooks."""


def patches(module: Module) -> list[ast.Call]:
    """The calls that patch asyncio so that ``asyncio.run`` works in a cell."""
    return [call for call in module.calls(_APPLY, _FORK) if is_certain(module, call.func)]


def archived(module: Module) -> list[ast.Call]:
    """Those patches that nobody maintains."""
    return [call for call in patches(module) if module.qualname(call.func) == _APPLY]


def library_in_need(module: Module) -> str:
    """A package or method of this notebook that is known to run loops inside of plain calls; else empty."""
    names = {name.partition(".")[0] for name in module.imports.names.values()} & _NEED_IT
    names.update(
        node.attr
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and _RUNS_INSIDE.search(node.attr)
    )
    return min(names, default="")


def removal(module: Module) -> list[Operation]:
    """What takes ``nest_asyncio`` out of a notebook; empty where that is more than deleting whole lines."""
    statements: list[ast.stmt] = [module.statement(call) for call in archived(module)]
    imports = [s for s in module.imports.statements if _imports_patch(s)]
    uses = [name for s in imports for alias in s.names for name in module.names(alias.asname or alias.name)]
    statements = list(dict.fromkeys([*statements, *imports, *map(module.statement, uses)]))
    if not all(_can_go(module, statement) for statement in statements):
        return []
    return [
        RemoveStatement(at=module.span(statement), own_comments_go=_are_about_it(_above(module, statement)))
        for statement in statements
    ]


def _above(module: Module, statement: ast.stmt) -> list[str]:
    """The comments right above a statement, the nearest first."""
    lines = (module.source.lines[number].strip() for number in range(statement.lineno - 2, -1, -1))
    return list(takewhile(lambda line: line.startswith("#"), lines))


def _are_about_it(comments: list[str]) -> bool:
    """Whether the comments above a statement of ``nest_asyncio`` speak of it and not of what else follows."""
    return not comments or any(map(_ABOUT_IT.search, comments))


def _imports_patch(statement: ast.Import | ast.ImportFrom) -> bool:
    if isinstance(statement, ast.ImportFrom):
        return statement.module == "nest_asyncio"
    return any(alias.name == "nest_asyncio" for alias in statement.names)


def _can_go(module: Module, statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Import | ast.ImportFrom):
        whole = len(statement.names) == 1
    else:
        whole = isinstance(statement, ast.Expr) and statement.value in archived(module)
    return whole and module.parent(statement) is module.tree and module.stands_alone(statement)
