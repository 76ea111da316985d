"""How another function of asyncio is written where one is called now, and the import that this takes."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from codemods.facts.module import Module
from codemods.rewriting.operations import ChangeFromImport


def spelling(
    module: Module, wanted: str, function: ast.expr, replaced: Collection[ast.AST]
) -> tuple[str, ChangeFromImport | None]:
    """How ``asyncio.<wanted>`` is written in the place of ``function``, and the import that this takes.

    ``function`` is what is called now, ``asyncio.run`` or ``run``; ``replaced`` are the calls
    of it that go away. Empty when nothing that is imported there gives it.
    """
    if isinstance(function, ast.Attribute):
        return f"{module.code(function.value)}.{wanted}", None
    assert isinstance(function, ast.Name)
    scope = module.scope(function)
    around = [scope, *module.ancestors(scope)]
    visible = [
        statement
        for statement in module.imports.statements
        if module.scope(statement) in around and has_run(module, statement, function)
    ]
    for statement in visible:
        if isinstance(statement, ast.ImportFrom) and statement.module == "asyncio":
            for alias in statement.names:
                if alias.name == wanted:
                    return alias.asname or alias.name, None
    imported = (module.qualname(function) or "").rpartition(".")[2]
    for statement in visible:
        if isinstance(statement, ast.ImportFrom) and statement.module == "asyncio" and not statement.level:
            aliases = [alias for alias in statement.names if alias.name == imported]
            if [alias.asname or alias.name for alias in aliases] != [function.id]:
                continue
            if wanted in module.all_identifiers() or not module.stands_alone(statement):
                continue
            used = [n for n in module.names(function.id) if module.parent(n) not in replaced]
            exported = {n.value for n in _exports(module) if isinstance(n, ast.Constant)}
            keep = bool(used) or function.id in exported
            change = ChangeFromImport(at=module.span(statement), add=wanted, remove="" if keep else imported)
            return wanted, change
    for statement in visible:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                if alias.name == "asyncio":
                    return f"{alias.asname or alias.name}.{wanted}", None
    return "", None


def has_run(module: Module, statement: ast.stmt, node: ast.AST) -> bool:
    """Whether an import has surely run before ``node`` does: it stands in no ``if`` but those around that."""
    around = set(module.ancestors(node))
    return all(above in around for above in module.ancestors(statement) if isinstance(above, ast.If))


def _exports(module: Module) -> Iterator[ast.AST]:
    for name in module.names("__all__"):
        yield from ast.walk(module.statement(name))
