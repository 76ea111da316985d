"""One parsed module with the questions that every rule asks of it."""

from __future__ import annotations

import ast
import re
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from codemods.catalog.resources import Catalog, Resource, load
from codemods.facts.imports import Imports
from codemods.facts.nodes import FUNCTIONS, start, tail
from codemods.model import Span
from codemods.source import Source

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
ScopeNode = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_SCOPES = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)

_NOT_NODES = frozenset(
    [
        "ctx",
        "op",
        "ops",
        "id",
        "attr",
        "kind",
        "type_comment",
        "level",
        "module",
        "conversion",
        "simple",
        "is_async",
        "asname",
        "arg",
        "rest",
        "kwd_attrs",
        "tag",
    ]
)


@dataclass(frozen=True, slots=True)
class Block:
    """Where a statement stands: ``statements[index]``, the list ``field`` of ``owner``."""

    owner: ast.AST
    field: str
    statements: list[ast.stmt]
    index: int


_NOTED = frozenset(
    {
        *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.arg),
        *(ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal),
        *(ast.ExceptHandler, ast.MatchAs, ast.MatchStar, ast.MatchMapping),
    }
)


class Module:
    """A parsed file: its tree, who is inside whom, what every name means.

    Raises what ``ast.parse`` raises (SyntaxError, ValueError, RecursionError, MemoryError)
    and UndecodableError.
    """

    def __init__(self, source: Source, target: tuple[int, int] = (3, 11), resources: tuple[Resource, ...] = ()) -> None:
        self.source = source
        self.target = target
        """The oldest Python that the code has to run on."""
        self._resources = resources
        self.path = source.path
        self.text = source.text
        self.tree = ast.parse(source.data, filename=source.path)
        self.imports = Imports()
        self.functions: list[FunctionNode] = []
        self.classes: list[ast.ClassDef] = []
        self._parents: dict[ast.AST, ast.AST] = {}
        self._names: dict[str, list[ast.Name]] = {}
        self._in_order: dict[str, list[ast.Name]] = {}
        """The part of ``_names`` that somebody asked for, in source order."""
        self._stores: dict[str, list[ast.Name]] = {}
        """The part of ``_names`` that binds or deletes."""
        self._arguments: dict[str, list[ast.arg]] = {}
        self._calls: dict[str, list[ast.Call]] = {}
        self._attributes: dict[str, list[ast.Attribute]] = {}
        self._declared: dict[str, list[ast.Global | ast.Nonlocal]] = {}
        self._scopes: dict[ast.AST, ScopeNode] = {}
        """Those that somebody asked for: some rules ask of the same names again and again."""
        self._captured: set[str | None] = set()
        """What ``except ... as name`` and patterns bind."""
        self._survey()

    def _survey(self) -> None:
        """Visit every node once and note what the questions below need."""
        parents, names, stores = self._parents, self._names, self._stores
        calls, attributes = self._calls, self._attributes
        stack: list[ast.AST] = [self.tree]
        while stack:
            node = stack.pop()
            kind = node.__class__
            if kind is ast.Name:
                names.setdefault(node.id, []).append(node)  # type: ignore[attr-defined, arg-type]
                if node.ctx.__class__ is not ast.Load:  # type: ignore[attr-defined]
                    stores.setdefault(node.id, []).append(node)  # type: ignore[attr-defined, arg-type]
                continue
            if kind is ast.Constant:
                continue
            if kind is ast.Attribute:
                attributes.setdefault(node.attr, []).append(node)  # type: ignore[attr-defined, arg-type]
            elif kind is ast.Call:
                last = tail(node.func)  # type: ignore[attr-defined]
                if last:
                    calls.setdefault(last, []).append(node)  # type: ignore[arg-type]
            elif kind in _NOTED and self._note(node):
                continue
            fields = _FIELDS.get(kind)
            for field in _children_fields(kind) if fields is None else fields:
                value = getattr(node, field, None)
                if value.__class__ is list:
                    for child in reversed(value):
                        if isinstance(child, ast.AST):
                            parents[child] = node
                            stack.append(child)
                elif isinstance(value, ast.AST):  # and not a name or a constant, as fields of new syntax may be
                    parents[value] = node
                    stack.append(value)
        self.functions.sort(key=start)
        self.classes.sort(key=start)
        self._definitions: dict[str, list[FunctionNode | ast.ClassDef]] = {}
        for definition in (*self.functions, *self.classes):
            self._definitions.setdefault(definition.name, []).append(definition)

    def _note(self, node: ast.AST) -> bool:
        """Note a definition, an import or the like; whether that is all there is to see in it."""
        if isinstance(node, FUNCTIONS):
            self.functions.append(node)
        elif isinstance(node, ast.ClassDef):
            self.classes.append(node)
        elif isinstance(node, ast.arg):
            self._arguments.setdefault(node.arg, []).append(node)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            self.imports.add(node)
            return True
        elif isinstance(node, ast.Global | ast.Nonlocal):
            for name in node.names:
                self._declared.setdefault(name, []).append(node)
            return True
        elif isinstance(node, ast.ExceptHandler | ast.MatchAs | ast.MatchStar):
            self._captured.add(node.name)
        elif isinstance(node, ast.MatchMapping):
            self._captured.add(node.rest)
        return False

    def changed(self, source: Source) -> Module:
        """The same file with other text. Raises what ``Module`` raises."""
        return Module(source, self.target, self._resources)

    @property
    def catalog(self) -> Catalog:
        """What has to be closed: the resources of this package and those of the user."""
        return load(self._resources)

    # -- the tree ---------------------------------------------------------------------------

    def parent(self, node: ast.AST) -> ast.AST | None:
        """The node around ``node``; None for the module."""
        return self._parents.get(node)

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes around ``node``, from the inside out, the module last."""
        above = self._parents.get(node)
        while above is not None:
            yield above
            above = self._parents.get(above)

    def statement(self, node: ast.AST) -> ast.stmt:
        """The innermost statement that is or holds ``node``."""
        here: ast.AST | None = node
        while here is not None and not isinstance(here, ast.stmt):
            here = self._parents.get(here)
        if here is None:
            raise ValueError(f"{node!r} is not inside a statement")
        return here

    def block(self, statement: ast.stmt) -> Block:
        """The list of statements that ``statement`` stands in, and its place there."""
        owner = self._parents[statement]
        for field in ("body", "orelse", "finalbody"):
            statements = getattr(owner, field, None)
            if isinstance(statements, list) and statement in statements:
                return Block(owner, field, statements, statements.index(statement))
        raise ValueError(f"{statement!r} is in no block of {owner!r}")

    def scope(self, node: ast.AST) -> ScopeNode:
        """The function, lambda, class or module whose names ``node`` sees first.

        Decorators, defaults, annotations and base classes belong to the scope around the
        definition. Comprehensions count as part of the scope that they stand in.
        """
        found = self._scopes.get(node)
        if found is None:
            found = self._scopes[node] = self._find_scope(node)
        return found

    def _find_scope(self, node: ast.AST) -> ScopeNode:
        child = node
        for above in self.ancestors(node):
            if isinstance(above, _SCOPES) and not _is_outside_of(above, child):
                return above
            child = above
        return self.tree

    def function(self, node: ast.AST) -> FunctionNode | ast.Lambda | None:
        """The innermost function or lambda whose body holds ``node``; None outside of any."""
        scope = self.scope(node)
        while isinstance(scope, ast.ClassDef):
            scope = self.scope(scope)
        return None if isinstance(scope, ast.Module) else scope

    def in_coroutine(self, node: ast.AST) -> bool:
        """Whether ``node`` runs as part of an ``async def`` body (not of a ``def`` inside it)."""
        return isinstance(self.function(node), ast.AsyncFunctionDef)

    def enclosing_class(self, node: ast.AST) -> ast.ClassDef | None:
        """The class whose method ``node`` is in (or the class body it stands in)."""
        for above in self.ancestors(node):
            if isinstance(above, ast.ClassDef):
                return above
        return None

    def qualified_scope(self, node: ast.AST) -> str:
        """``Class.method`` for what is inside it, ``<module>`` at the top level."""
        parts: list[str] = []
        scope = self.scope(node)
        while not isinstance(scope, ast.Module):
            parts.append("<lambda>" if isinstance(scope, ast.Lambda) else scope.name)
            scope = self.scope(scope)
        return ".".join(reversed(parts)) or "<module>"

    # -- names ------------------------------------------------------------------------------

    def qualname(self, expression: ast.AST) -> str | None:
        """The imported dotted name that an expression spells: ``aio.run`` -> ``asyncio.run``.

        None for anything that does not start at an import, and for a name that a function
        around it rebinds.
        """
        attributes: list[str] = []
        while isinstance(expression, ast.Attribute):
            attributes.append(expression.attr)
            expression = expression.value
        if not isinstance(expression, ast.Name):
            return None
        imported = self.imports.names.get(expression.id)
        if imported is None or self._is_rebound(expression):
            return None
        return ".".join([imported, *reversed(attributes)])

    def _is_rebound(self, name: ast.Name) -> bool:
        """Whether a function around ``name`` has a variable or parameter of the same name."""
        binders: list[ast.AST] = [*self._stores.get(name.id, ()), *self._arguments.get(name.id, ())]
        if not binders:
            return False
        around = {
            scope
            for scope in self.ancestors(name)
            if isinstance(scope, ast.Lambda | ast.FunctionDef | ast.AsyncFunctionDef)
        }
        return any(self.binding_scope(binder) in around for binder in binders)

    def binding_scope(self, node: ast.AST) -> ScopeNode:
        """The scope in which a Name or a parameter binds its name (a parameter: its function)."""
        if isinstance(node, ast.arg):
            for above in self.ancestors(node):
                if isinstance(above, ast.Lambda | ast.FunctionDef | ast.AsyncFunctionDef):
                    return above
        return self.scope(node)

    def calls(self, *qualnames: str) -> list[ast.Call]:
        """Every call of one of these imported functions, in source order."""
        wanted = set(qualnames)
        tails = {qualname.rpartition(".")[2] for qualname in wanted}
        tails.update(local for local, imported in self.imports.names.items() if imported in wanted)
        found = [call for tail in tails for call in self._calls.get(tail, ()) if self.qualname(call.func) in wanted]
        return sorted(found, key=start)

    def calls_ending(self, *names: str) -> list[ast.Call]:
        """Every call whose function is spelled ``name(...)`` or ``anything.name(...)``, in order."""
        return sorted((call for name in names for call in self._calls.get(name, ())), key=start)

    def names(self, name: str) -> Sequence[ast.Name]:
        """Every Name node spelled so, loads, stores and deletes alike, in source order."""
        if name not in self._in_order:
            self._in_order[name] = sorted(self._names.get(name, ()), key=start)
        return self._in_order[name]

    def arguments(self, name: str) -> list[ast.arg]:
        """Every parameter of that name, of functions and lambdas alike."""
        return self._arguments.get(name, [])

    def attributes(self, attr: str) -> list[ast.Attribute]:
        """Every ``anything.attr``, in source order."""
        return sorted(self._attributes.get(attr, ()), key=start)

    def self_attributes(self) -> Iterator[ast.Attribute]:
        """Every ``self.anything``."""
        for nodes in self._attributes.values():
            for node in nodes:
                if isinstance(node.value, ast.Name) and node.value.id == "self":
                    yield node

    def uses(self, name: str, scope: ScopeNode) -> list[ast.Name]:
        """The Name nodes spelled ``name`` inside ``scope``, nested functions included, in order."""
        names = self.names(name)
        if not isinstance(scope, ast.Module):  # a name may occur in every function of a long file
            first = min(start(node) for node in (scope, *getattr(scope, "decorator_list", ())))
            last = scope.end_lineno or sys.maxsize, sys.maxsize
            names = names[bisect_left(names, first, key=start) : bisect_right(names, last, key=start)]
        return [node for node in names if scope in self.ancestors(node)]

    def binds(self, name: str, scope: ScopeNode) -> bool:
        """Whether ``scope`` itself binds ``name``: an assignment, a parameter, a definition, an import."""
        binders: list[ast.AST] = [*self._stores.get(name, ()), *self._arguments.get(name, ())]
        if any(self.binding_scope(binder) is scope for binder in binders):
            return True
        if any(self.scope(definition) is scope for definition in self._definitions.get(name, ())):
            return True
        return name in self.imports.names and any(
            self.scope(statement) is scope
            and any((alias.asname or alias.name.partition(".")[0]) == name for alias in statement.names)
            for statement in self.imports.statements
        )

    def is_bound(self, name: str, at: ast.AST) -> bool:
        """Whether a scope around ``at`` binds ``name``: if not, it means the builtin."""
        scope = self.scope(at)
        while not isinstance(scope, ast.Module):
            if self.binds(name, scope):
                return True
            scope = self.scope(scope)
        return self.binds(name, scope)

    def all_identifiers(self) -> set[str]:
        """Every identifier that occurs anywhere as a name, definition, parameter or import."""
        return {
            *self._names,
            *self._arguments,
            *self.imports.names,
            *self._definitions,
            *self._declared,
            *(name for name in self._captured if name),
        }

    def is_declared(self, name: str, scope: ScopeNode) -> bool:
        """Whether ``scope`` itself says ``global name`` or ``nonlocal name``."""
        return any(self.scope(node) is scope for node in self._declared.get(name, ()))

    def declarations(self, name: str) -> list[ast.Global | ast.Nonlocal]:
        """Every ``global`` or ``nonlocal`` statement that names ``name``."""
        return self._declared.get(name, [])

    def definition(self, name: str, at: ast.AST) -> FunctionNode | ast.ClassDef | None:
        """The function or class of this file that ``name`` means at ``at``, if it is one alone.

        None when the name has several definitions in that scope or is also assigned to.
        """
        scope: ScopeNode | None = self.scope(at)
        while scope is not None:
            if not (isinstance(scope, ast.ClassDef) and scope is not self.scope(at)):
                found = [d for d in self._definitions.get(name, ()) if self.scope(d) is scope]
                stores = [n for n in self._stores.get(name, ()) if self.scope(n) is scope]
                arguments = [a for a in self._arguments.get(name, ()) if self.binding_scope(a) is scope]
                if found or stores or arguments:
                    return found[0] if len(found) == 1 and not stores and not arguments else None
            scope = None if isinstance(scope, ast.Module) else self.scope(scope)
        return None

    def method(self, cls: ast.ClassDef, name: str) -> FunctionNode | None:
        """The method ``name`` that ``cls`` itself defines."""
        for statement in cls.body:
            if isinstance(statement, FUNCTIONS) and statement.name == name:
                return statement
        return None

    # -- places -----------------------------------------------------------------------------

    @cached_property
    def _ascii(self) -> bool:
        return self.text.isascii()

    def column(self, line: int, offset: int) -> int:
        """A column from 1 in characters, out of ``ast``'s offset in UTF-8 bytes."""
        if self._ascii:
            return offset + 1
        return len(self.source.lines[line - 1].encode("utf-8")[:offset].decode("utf-8", "replace")) + 1

    def span(self, node: ast.stmt | ast.expr | ast.arg | ast.keyword | ast.ExceptHandler) -> Span:
        """Where ``node`` stands, its decorators included."""
        first: ast.AST = node
        decorators = getattr(node, "decorator_list", None)
        line, offset = node.lineno, node.col_offset
        if decorators:
            first = decorators[0]
            line = first.lineno  # type: ignore[attr-defined]
        end_line, end_offset = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
        return Span(line, self.column(line, offset), end_line, self.column(end_line, end_offset))

    def segment(self, span: Span) -> str:
        """The source text at ``span``."""
        start = self.source.offset(span.line, span.column)
        return self.text[start : self.source.offset(span.end_line, span.end_column)]

    def code(self, node: ast.stmt | ast.expr) -> str:
        """The source text of ``node``."""
        return self.segment(self.span(node))

    def anchor(self, span: Span) -> str:
        """The source text at ``span`` with blanks collapsed, at most 120 characters."""
        return re.sub(r"\s+", " ", self.segment(span))[:120]

    def is_elif(self, statement: ast.stmt) -> bool:
        """Whether a statement is an ``elif``: it stands in the ``orelse`` of another ``if``, but cannot leave it."""
        if not isinstance(statement, ast.If) or not isinstance(self.parent(statement), ast.If):
            return False
        return self.text.startswith("elif", self.source.offset(statement.lineno, self.span(statement).column))

    def stands_alone(self, statement: ast.stmt) -> bool:
        """Whether no other statement and no ``if x:`` header shares the statement's lines; never for an ``elif``."""
        if self.is_elif(statement):
            return False
        span = self.span(statement)
        before = self.source.lines[span.line - 1][: span.column - 1]
        after = self.source.lines[span.end_line - 1][span.end_column - 1 :].strip()
        return not before.strip() and (not after or after.startswith("#"))


_FIELDS: dict[type[ast.AST], tuple[str, ...]] = {}


def _children_fields(kind: type[ast.AST]) -> tuple[str, ...]:
    fields = _FIELDS.get(kind)
    if fields is None:
        fields = _FIELDS[kind] = tuple(f for f in kind._fields if f not in _NOT_NODES)
    return fields


def _is_outside_of(scope: ScopeNode, child: ast.AST) -> bool:
    """Whether ``child``, a direct child of ``scope``, is evaluated in the scope around it."""
    if isinstance(scope, ast.Module):
        return False
    if isinstance(scope, ast.Lambda):
        return child is not scope.body
    return child not in scope.body
