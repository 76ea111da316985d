"""Names and attributes by the scope that binds them, found once for a whole module."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property, lru_cache

from codemods.facts.module import FunctionNode, Module, ScopeNode

BINDERS = (ast.Assign, ast.AnnAssign)
"""The statements that give a name or an attribute a value, on their own."""


class Variables:
    """Whose variable is it? Every question costs time in proportion to the uses of one name."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self._uses: dict[str, dict[ScopeNode, list[ast.Name]]] = {}
        self._binders: dict[ast.Name, ScopeNode] = {}

    def uses(self, name: str) -> dict[ScopeNode, list[ast.Name]]:
        """The Name nodes spelled ``name``, in source order, by the scope that binds them.

        What no function binds (globals, builtins, names declared ``global``) stands under the module.
        """
        known = self._uses.get(name)
        if known is None:
            nodes = self._module.names(name)
            binders = self._binding_scopes(name, nodes)
            known = self._uses[name] = {}
            for node in nodes:
                scope = self._binders[node] = self._resolve(node, name, binders)
                known.setdefault(scope, []).append(node)
        return known

    def binder(self, node: ast.Name) -> ScopeNode:
        """The scope whose variable ``node`` is; the module for globals and builtins."""
        self.uses(node.id)
        return self._binders[node]

    def _binding_scopes(self, name: str, nodes: Sequence[ast.Name]) -> set[ScopeNode]:
        scopes = {self._module.scope(node) for node in nodes if not isinstance(node.ctx, ast.Load)}
        scopes.update(self._module.binding_scope(argument) for argument in self._module.arguments(name))
        return {scope for scope in scopes if not self._module.is_declared(name, scope)}

    def _resolve(self, node: ast.Name, name: str, binders: set[ScopeNode]) -> ScopeNode:
        first = scope = self._module.scope(node)
        while not isinstance(scope, ast.Module):
            hidden = isinstance(scope, ast.ClassDef) and scope is not first
            if scope in binders and not hidden:
                return scope
            scope = self._module.scope(scope)
        return scope

    @cached_property
    def _stores(self) -> dict[tuple[ast.AST | None, str], list[ast.Attribute]]:
        found: dict[tuple[ast.AST | None, str], list[ast.Attribute]] = defaultdict(list)
        for node in self._module.self_attributes():
            if not isinstance(node.ctx, ast.Load):
                found[self._module.enclosing_class(node), node.attr].append(node)
        return found

    def stores(self, cls: ast.AST | None, attr: str) -> list[ast.Attribute]:
        """Where ``cls`` assigns or deletes ``self.attr``."""
        return self._stores.get((cls, attr), [])

    def attribute_values(self, node: ast.Attribute) -> list[ast.expr]:
        """What the class around ``node`` assigns to the attribute of ``self`` that ``node`` is."""
        parents = [self._module.parent(n) for n in self.stores(self._module.enclosing_class(node), node.attr)]
        return [parent.value for parent in parents if isinstance(parent, BINDERS) and parent.value is not None]


def bound_otherwise(module: Module, name: str, scope: ScopeNode) -> bool:
    """Whether ``scope`` also binds ``name`` by an ``except ... as``, an import, a definition or a ``case``."""
    return name in _bound_otherwise(module, scope)


@lru_cache(maxsize=16)  # asked for many names of the same few functions
def _bound_otherwise(module: Module, scope: ScopeNode) -> frozenset[str | None]:
    found: set[str | None] = set()
    for node in ast.walk(scope):
        names: list[str | None] = []
        match node:
            case ast.ExceptHandler(name=bound) | ast.MatchAs(name=bound) | ast.MatchStar(name=bound):
                names = [bound]
            case ast.MatchMapping(rest=bound):
                names = [bound]
            case ast.FunctionDef(name=bound) | ast.AsyncFunctionDef(name=bound) | ast.ClassDef(name=bound):
                names = [bound]
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names = [alias.asname or alias.name.partition(".")[0] for alias in aliases]
        if names and node is not scope and module.scope(node) is scope:
            found.update(names)
    return frozenset(found)


def own_names(function: FunctionNode) -> set[str]:
    """Every identifier that occurs in a function, whatever it binds or means."""
    names: set[str] = set()
    for node in ast.walk(function):
        match node:
            case ast.Name(id=name) | ast.arg(arg=name):
                names.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                names.add(name)
            case ast.MatchMapping(rest=str(name)):
                names.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names.update(alias.asname or alias.name.partition(".")[0] for alias in aliases)
            case ast.Global(names=listed) | ast.Nonlocal(names=listed):
                names.update(listed)
    return names
