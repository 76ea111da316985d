"""Fixtures, tests and asyncio marks as one module writes them."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

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
    """Where it is written."""
    home: Module
    """Where pytest collects it: another module when it is inherited from a class of ``module``."""
    node: FunctionNode
    owner: ast.ClassDef | None
    mark: Mark | None
    """The closest asyncio mark: it wins over those of the class and of the module."""
    other_runner: bool
    """Whether anyio or trio runs it."""
    requests: tuple[str, ...]
    may_hide: bool
    """Whether a decorator may give it a mark that is not to be seen."""

    @property
    def is_async(self) -> bool:
        """Whether it is an ``async def``."""
        return isinstance(self.node, ast.AsyncFunctionDef)


class Said(NamedTuple):
    """What one mark says of a test, as far as fixtures and loops go."""

    asyncio: Mark | None
    """The mark itself, if it is one of pytest-asyncio."""
    is_other_runner: bool
    given: frozenset[str]
    """The names that ``parametrize`` gives."""
    asked: tuple[str, ...]
    """The names that ``usefixtures`` asks for."""
    may_hide: bool
    """Whether it may stand for another mark, which is not to be seen."""


class Syntax:
    """What one module says in pytest's words.

    ``elsewhere`` says what an imported variable holds, and in whose words: a mark or a decorator
    can be made in another file.
    """

    def __init__(self, module: Module, elsewhere: Elsewhere | None = None) -> None:
        self.module = module
        self._elsewhere = elsewhere
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

    def marks_of(self, owner: FunctionNode | ast.ClassDef | ast.Module) -> list[Said]:
        """The marks of a function, a class or the module, in the order in which pytest asks them."""
        expressions = [] if isinstance(owner, FUNCTIONS) else self._pytestmark(owner)
        expressions += [] if isinstance(owner, ast.Module) else reversed(owner.decorator_list)
        return [origin.syntax._said(origin.expression) for origin in map(self._origin, expressions)]

    def _said(self, expression: ast.expr) -> Said:
        kind = self._named(expression)
        given: set[str] = set()
        asked: list[str] = []
        if isinstance(expression, ast.Call) and kind == "pytest.mark.usefixtures":
            asked = [name for argument in expression.args for name in _strings(argument)]
        elif isinstance(expression, ast.Call) and kind == "pytest.mark.parametrize":
            said = {k.arg: k.value for k in expression.keywords}
            names = [*expression.args[:1], *([said["argnames"]] if "argnames" in said else [])]
            given = {n.strip() for value in names for text in _strings(value) for n in text.split(",")}
            given -= self._indirect(said.get("indirect"), given)
        return Said(
            self.mark(expression), kind in _OTHER_RUNNERS, frozenset(given), tuple(asked), self._may_hide(expression)
        )

    def _may_hide(self, expression: ast.expr) -> bool:
        """Whether a decorator is a function of the project, or of a library, that may give a test a mark."""
        if isinstance(expression, ast.Name) and expression.id in ("staticmethod", "classmethod"):
            return False
        package = (self._named(expression) or "").partition(".")[0]
        return package not in ("pytest", "pytest_asyncio") and package not in sys.stdlib_module_names

    def _indirect(self, value: ast.expr | None, given: set[str]) -> set[str]:
        """The names of a ``parametrize`` whose values go through the fixture of that name."""
        if value is None or (isinstance(value, ast.Constant) and not value.value):
            return set()
        return set(_strings(value)) if isinstance(value, ast.List | ast.Tuple) else given

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
                requests=(*parameters(node, in_class), *self.dynamic(node)),
            )
        return None

    def dynamic(self, node: FunctionNode) -> list[str]:
        """The names that the body asks for with ``request.getfixturevalue("name")``."""
        calls = self.module.calls_ending("getfixturevalue")
        return [name for c in calls if node in self.module.ancestors(c) for a in c.args[:1] for name in _strings(a)]

    def _named(self, expression: ast.expr) -> str | None:
        """The imported name of a decorator, called or not, also by a variable of the project."""
        origin = self._origin(expression.func if isinstance(expression, ast.Call) else expression)
        return origin.syntax.module.qualname(origin.expression)

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

    def _origin(self, expression: ast.expr) -> Origin:
        """What an expression stands for, a variable of another module included."""
        resolved = self._resolve(expression)
        if (
            resolved is not expression
            or self._elsewhere is None
            or not isinstance(expression, ast.Name | ast.Attribute)
        ):
            return Origin(self, resolved)
        name = self.module.qualname(expression) or "pytest"
        is_of_pytest = name.partition(".")[0] in ("pytest", "pytest_asyncio")
        return (None if is_of_pytest else self._elsewhere(self.module, expression)) or Origin(self, expression)

    def _text(self, value: ast.expr) -> str:
        resolved = self._resolve(value)
        if isinstance(resolved, ast.Constant) and isinstance(resolved.value, str):
            return resolved.value
        if isinstance(resolved, ast.Constant) and resolved.value is None:
            return "function"
        return UNREADABLE


def parameters(node: FunctionNode, is_method: bool) -> list[str]:
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


class Origin(NamedTuple):
    """An expression and the module that it stands in."""

    syntax: Syntax
    expression: ast.expr


Elsewhere = Callable[[Module, ast.expr], Origin | None]
