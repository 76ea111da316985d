"""Fixtures, tests and asyncio marks as one module writes them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from codemods.facts.module import FunctionNode, Module
from codemods.facts.nodes import FUNCTIONS

ASYNCIO_MARK = "pytest.mark.asyncio"
ASYNCIO_FIXTURE = "pytest_asyncio.fixture"
_FIXTURES = ("pytest.fixture", ASYNCIO_FIXTURE)
_OTHER_RUNNERS = ("pytest.mark.anyio", "pytest.mark.trio")
UNREADABLE = "?"
"""Stands for a scope that is not written as a literal or a constant of the module."""


@dataclass(frozen=True, eq=False)
class Mark:
    """An asyncio mark: where it stands and the loop scope that it asks for."""

    module: Module
    node: ast.expr
    """``pytest.mark.asyncio`` or the call of it."""
    loop_scope: str | None
    """None when the mark does not say, ``UNREADABLE`` when it is computed."""
    old_keyword: bool
    """Whether it says ``scope=``, the spelling of 0.23."""

    @property
    def call(self) -> ast.Call | None:
        """The call, None for a bare mark."""
        return self.node if isinstance(self.node, ast.Call) else None


@dataclass(frozen=True, eq=False)
class Fixture:
    """A fixture, sync or async, at the place of its definition."""

    module: Module
    node: FunctionNode
    owner: ast.ClassDef | None
    decorator: ast.expr
    name: str
    scope: str
    loop_scope: str | None
    is_asyncio: bool
    """Whether ``pytest_asyncio.fixture`` made it."""
    autouse: bool
    requests: tuple[str, ...]

    @property
    def is_async(self) -> bool:
        """Whether it is an ``async def``."""
        return isinstance(self.node, ast.AsyncFunctionDef)


@dataclass(frozen=True, eq=False)
class Test:
    """A test function or method, as collected for one class (``owner``)."""

    module: Module
    node: FunctionNode
    owner: ast.ClassDef | None
    mark: Mark | None
    """The closest asyncio mark: it wins over those of the class and of the module."""
    other_runner: bool
    """Whether anyio or trio runs it."""
    requests: tuple[str, ...]

    @property
    def is_async(self) -> bool:
        """Whether it is an ``async def``."""
        return isinstance(self.node, ast.AsyncFunctionDef)


class Syntax:
    """What one module says in pytest's words."""

    def __init__(self, module: Module) -> None:
        self.module = module
        self._marks: dict[ast.expr, Mark] = {}

    @cached_property
    def fixtures(self) -> list[Fixture]:
        """The fixtures at the top level and in classes, in source order."""
        return [fixture for node in self.module.functions if (fixture := self._fixture(node))]

    @cached_property
    def plugins(self) -> list[str]:
        """The modules that ``pytest_plugins`` names."""
        return [name for value in self._assigned(self.module.tree, "pytest_plugins") for name in _strings(value)]

    @cached_property
    def changes_collection(self) -> FunctionNode | None:
        """The hook that may add marks to tests, where its body speaks of asyncio."""
        for node in self.module.functions:
            if node.name == "pytest_collection_modifyitems" and "asyncio" in self.module.code(node):
                return node
        return None

    def test(self, node: FunctionNode, owner: ast.ClassDef | None, bases: list[ast.ClassDef]) -> Test:
        """The test ``node`` in the class ``owner``, whose bases in this module are ``bases``."""
        groups = [list(node.decorator_list)]
        if owner is not None:
            around = [owner, *bases, *(a for a in self.module.ancestors(owner) if isinstance(a, ast.ClassDef))]
            groups += [[*c.decorator_list, *self._pytestmark(c)] for c in around]
        groups.append(self._pytestmark(self.module.tree))
        expressions = [self._resolve(e) for group in groups for e in group]
        mark = next((found for e in expressions if (found := self.mark(e))), None)
        other = any(self._named(e) in _OTHER_RUNNERS for e in expressions)
        given, asked = self._given_and_asked(expressions)
        requests = [name for name in _parameters(node, owner is not None) if name not in given]
        return Test(self.module, node, owner, mark, other, (*requests, *asked, *self._dynamic(node)))

    def mark(self, expression: ast.expr) -> Mark | None:
        """The asyncio mark that an expression is; the same object for the same place."""
        if self._named(expression) != ASYNCIO_MARK:
            return None
        if expression not in self._marks:
            keywords = expression.keywords if isinstance(expression, ast.Call) else []
            said = {k.arg: k.value for k in keywords}
            value = said.get("loop_scope", said.get("scope"))
            scope = None if value is None else self._text(value)
            self._marks[expression] = Mark(self.module, expression, scope, "scope" in said)
        return self._marks[expression]

    def _fixture(self, node: FunctionNode) -> Fixture | None:
        owner = self.module.scope(node)
        if isinstance(owner, (*FUNCTIONS, ast.Lambda)):
            return None
        for decorator in node.decorator_list:
            kind = self._named(decorator)
            if kind not in _FIXTURES:
                continue
            keywords = decorator.keywords if isinstance(decorator, ast.Call) else []
            said = {k.arg: k.value for k in keywords}
            autouse, name = said.get("autouse"), said.get("name")
            in_class = isinstance(owner, ast.ClassDef)
            return Fixture(
                module=self.module,
                node=node,
                owner=owner if isinstance(owner, ast.ClassDef) else None,
                decorator=decorator,
                name=(self._text(name) if name is not None else node.name),
                scope=self._text(said["scope"]) if "scope" in said else "function",
                loop_scope=self._text(said["loop_scope"]) if "loop_scope" in said else None,
                is_asyncio=kind == ASYNCIO_FIXTURE,
                autouse=isinstance(autouse, ast.Constant) and autouse.value is True,
                requests=(*_parameters(node, in_class), *self._dynamic(node)),
            )
        return None

    def _dynamic(self, node: FunctionNode) -> list[str]:
        """The names that the body asks for with ``request.getfixturevalue("name")``."""
        calls = self.module.calls_ending("getfixturevalue")
        return [name for c in calls if node in self.module.ancestors(c) for a in c.args[:1] for name in _strings(a)]

    def _named(self, expression: ast.expr) -> str | None:
        """The imported name of a decorator, called or not."""
        return self.module.qualname(expression.func if isinstance(expression, ast.Call) else expression)

    def _pytestmark(self, owner: ast.Module | ast.ClassDef) -> list[ast.expr]:
        return [mark for value in self._assigned(owner, "pytestmark") for mark in _elements(value)]

    def _assigned(self, owner: ast.Module | ast.ClassDef, name: str) -> Iterator[ast.expr]:
        for statement in owner.body:
            if isinstance(statement, ast.Assign):
                targets: list[ast.expr] = statement.targets
            elif isinstance(statement, ast.AnnAssign):
                targets = [statement.target]
            else:
                continue
            if statement.value is not None and any(isinstance(t, ast.Name) and t.id == name for t in targets):
                yield statement.value

    def _resolve(self, expression: ast.expr) -> ast.expr:
        """What a variable of the module stands for: ``on_session = pytest.mark.asyncio(...)``."""
        if isinstance(expression, ast.Name) and expression.id not in self.module.imports.names:
            values = list(self._assigned(self.module.tree, expression.id))
            if len(values) == 1:
                return values[0]
        return expression

    def _text(self, value: ast.expr) -> str:
        resolved = self._resolve(value)
        if isinstance(resolved, ast.Constant) and isinstance(resolved.value, str):
            return resolved.value
        if isinstance(resolved, ast.Constant) and resolved.value is None:
            return "function"
        return UNREADABLE

    def _given_and_asked(self, marks: list[ast.expr]) -> tuple[set[str], list[str]]:
        """The names that ``parametrize`` gives, and those that ``usefixtures`` asks for."""
        given: set[str] = set()
        asked: list[str] = []
        for call in marks:
            if not isinstance(call, ast.Call):
                continue
            kind = self._named(call)
            if kind == "pytest.mark.usefixtures":
                asked += [name for argument in call.args for name in _strings(argument)]
            elif kind == "pytest.mark.parametrize" and not any(k.arg == "indirect" for k in call.keywords):
                names = [*call.args[:1], *(k.value for k in call.keywords if k.arg == "argnames")]
                given.update(n.strip() for value in names for text in _strings(value) for n in text.split(","))
        return given, asked


def _parameters(node: FunctionNode, is_method: bool) -> list[str]:
    """The names that pytest fills: parameters without a default, ``self`` left out."""
    positional = [*node.args.posonlyargs, *node.args.args]
    required = positional[: len(positional) - len(node.args.defaults)]
    static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in node.decorator_list)
    names = [argument.arg for argument in (required[1:] if is_method and not static else required)]
    for argument, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
        if default is None:
            names.append(argument.arg)
    return names


def _elements(value: ast.expr) -> list[ast.expr]:
    return list(value.elts) if isinstance(value, ast.List | ast.Tuple) else [value]


def _strings(value: ast.expr) -> list[str]:
    return [e.value for e in _elements(value) if isinstance(e, ast.Constant) and isinstance(e.value, str)]
