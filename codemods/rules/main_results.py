"""What a main coroutine must give back: the names bound in it that are read behind it."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Collection
from dataclasses import dataclass

from codemods.facts import flow
from codemods.facts.comprehensions import is_own
from codemods.facts.module import Module, ScopeNode
from codemods.facts.runs import Group

_MOST_RESULTS = 3
_SCOPE_READERS = ("globals", "locals", "vars", "dir", "eval", "exec")


@dataclass(frozen=True)
class Range:
    """The statements of one block that a rewrite takes together."""

    statements: list[ast.stmt]
    """The whole block."""
    start: int
    end: int

    @property
    def inside(self) -> list[ast.stmt]:
        """The statements of the range."""
        return self.statements[self.start : self.end]


def results(module: Module, group: Group, where: Range, private: Collection[str] = ()) -> list[str] | None:
    """The names bound by the statements that are needed behind them; None when a local will not do.

    At the top of a file that may be imported all are needed but those in ``private``.
    """
    bound: list[str] = []
    for statement in where.inside:
        for name in targets(statement):
            if name not in bound:
                bound.append(name)
    if bound and any(_reads_scope(call) for call in module.calls_ending(*_SCOPE_READERS)):
        return None
    own = set(where.inside)
    needed: list[str] = []
    top = isinstance(group.scope, ast.Module)
    for name in bound:
        if module.is_declared(name, group.scope) or (top and module.declarations(name)):
            return None
        loads = [
            n
            for n in module.names(name)
            if not isinstance(n.ctx, ast.Store) and _reads_from(module, n, group.scope) and not is_own(module, n)
        ]
        outside = [n for n in loads if not own & set(module.ancestors(n))]
        if any(module.scope(n) is not group.scope for n in loads):
            return None  # a function reads it: as a local of the coroutine it would be out of sight
        if _read_before_bound(module, name, where):
            return None
        if outside or (top and name not in private and not under_main_guard(module, where.inside[0])):
            needed.append(name)
    if any(_matters_halfway(module, group, statement, needed) for statement in where.inside[:-1]):
        return None
    return needed if len(needed) <= _MOST_RESULTS else None


def _reads_scope(call: ast.Call) -> bool:
    """Whether a call gets at variables without naming them: ``globals()``, ``eval(code)``."""
    if not isinstance(call.func, ast.Name):
        return False
    return call.func.id in ("eval", "exec") or not (call.args or call.keywords)


def _reads_from(module: Module, name: ast.Name, scope: ScopeNode) -> bool:
    """Whether ``name`` may mean a variable of ``scope``: it stands inside, and no scope between binds it."""
    here = module.scope(name)
    if scope not in module.ancestors(name):
        return False
    while here is not scope:
        if module.binds(name.id, here) and not module.is_declared(name.id, here):
            return isinstance(here, ast.ClassDef)
        here = module.scope(here)
    return True


def _matters_halfway(module: Module, group: Group, statement: ast.stmt, needed: list[str]) -> bool:
    """Whether what ``statement`` binds can be seen although a later run raises, or is known by its annotation."""
    if not set(targets(statement)) & set(needed):
        return False
    if isinstance(statement, ast.AnnAssign) and isinstance(group.scope, ast.Module):
        return True
    above = module.ancestors(statement)
    inner = list(itertools.takewhile(lambda node: node is not group.scope, above))
    return any(isinstance(node, (*flow.TRIES, ast.With)) for node in inner)


def _read_before_bound(module: Module, name: str, where: Range) -> bool:
    for statement in where.inside:
        value = getattr(statement, "value", None) or getattr(statement, "test", None)
        if value is not None and any(isinstance(n, ast.Name) and n.id == name for n in ast.walk(value)):
            return True
        if name in targets(statement):
            return False
    return False


def targets(statement: ast.stmt) -> list[str]:
    """The names that an assignment binds, or a ``for`` or an ``if`` with all that it holds, from left to right."""
    if isinstance(statement, ast.For | ast.If):
        inner = [name for one in [*statement.body, *statement.orelse] for name in targets(one)]
        own = (
            [n.id for n in ast.walk(statement.target) if isinstance(n, ast.Name)]
            if isinstance(statement, ast.For)
            else []
        )
        return list(dict.fromkeys([*own, *inner]))
    left = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return [n.id for target in left if target is not None for n in ast.walk(target) if isinstance(n, ast.Name)]


def under_main_guard(module: Module, node: ast.AST) -> bool:
    """Whether ``node`` runs only when the file is the program."""
    return main_guard(module, node) is not None


def main_guard(module: Module, node: ast.AST) -> ast.If | None:
    """The ``if __name__ == "__main__":`` around ``node``."""
    for above in [node, *module.ancestors(node)]:
        if isinstance(above, ast.If) and isinstance(above.test, ast.Compare):
            names = [above.test.left, *above.test.comparators]
            if any(isinstance(n, ast.Name) and n.id == "__name__" for n in names):
                return above
    return None
