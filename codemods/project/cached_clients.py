"""Async clients that a module keeps: who makes them, and which tests get at them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from codemods.facts.bonds import is_loop_free
from codemods.facts.module import FunctionNode, Module
from codemods.facts.nodes import walk_scope
from codemods.project.fixtures_graph import Suite
from codemods.project.pytest_syntax import Fixture, Test

_CACHES = frozenset({"functools.cache", "functools.lru_cache", "async_lru.alru_cache", "aiocache.cached"})
_IN_PROCESS = frozenset({"transport", "app", "mounts", "poolclass"})
"""Arguments that keep a client off the network, or off a pool."""
_MOCKED = re.compile(r"\bpatch\b|monkeypatch|\bmocker\b|[Mm]ock|respx|aioresponses|fakeredis|vcr")

_CLOSER = re.compile(r"close|reset|dispose|shutdown|cleanup|teardown|stop")


@dataclass(frozen=True, eq=False)
class CachedClient:
    """A client of the catalog that lives as long as its module."""

    module: Module
    statement: ast.stmt
    """Where it is made."""
    name: str
    """The variable that keeps it, or the function with a cache."""
    kind: str
    carriers: frozenset[str]
    """The variable, and the functions of the module through which one gets at it."""

    @property
    def is_function(self) -> bool:
        """Whether a cache keeps it, and no variable."""
        return isinstance(self.statement, ast.Return)


def cached_clients(module: Module) -> Iterator[CachedClient]:
    """The clients that a module makes once: at the top, under ``global``, or in a function with a cache."""
    for name in module.catalog.by_name:
        for call in module.calls(name):
            keywords = {keyword.arg for keyword in call.keywords}
            if is_loop_free(module, call, name) or keywords & _IN_PROCESS or "aiosqlite" in module.text:
                continue
            statement = module.statement(call)
            keeper = _keeper(module, statement, call)
            if keeper:
                yield CachedClient(module, statement, keeper, name, frozenset(_carriers(module, keeper)))


def _keeper(module: Module, statement: ast.stmt, call: ast.Call) -> str:
    """What keeps the result of a call for good; empty when nothing does."""
    scope = module.scope(call)
    match statement:
        case (
            ast.Assign(targets=[ast.Name(id=name)], value=value) | ast.AnnAssign(target=ast.Name(id=name), value=value)
        ):
            made = value.value if isinstance(value, ast.Await) else value
            at_top = isinstance(scope, ast.Module) and statement in module.tree.body
            return name if made is call and (at_top or module.is_declared(name, scope)) else ""
        case ast.Return(value=value) if value is call and isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
            decorators = [d.func if isinstance(d, ast.Call) else d for d in scope.decorator_list]
            return scope.name if any(module.qualname(d) in _CACHES for d in decorators) else ""
    return ""


def _carriers(module: Module, keeper: str) -> set[str]:
    """The keeper and the top-level functions that lead to it, through one another."""
    found = {keeper}
    functions = [n for n in module.tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    while True:
        more = {f.name for f in functions if f.name not in found and any(_reads(module, f, name) for name in found)}
        if not more:
            return found
        found |= more


def _reads(module: Module, function: FunctionNode, name: str) -> bool:
    uses = [use for use in module.uses(name, function) if isinstance(use.ctx, ast.Load)]
    return bool(uses) and (not module.binds(name, function) or module.is_declared(name, function))


def users(suite: Suite, client: CachedClient) -> list[Test]:
    """The async tests that get at a client, themselves or in a fixture that runs on their loop.

    Those that replace something for the time of the test do not count.
    """
    found = []
    for test in suite.tests:
        if not suite.runs_test(test) or _MOCKED.search(test.module.code(test.node)):
            continue
        fixtures = [f for f in suite.reach(test)[0] if suite.runs_fixture(f) and f.scope == "function"]
        items: list[Test | Fixture] = [test, *fixtures]
        if any(_uses(suite, item, client) for item in items):
            found.append(test)
    return found


def is_renewed(suite: Suite, client: CachedClient) -> bool:
    """Whether the tests put another client in its place, close it, or empty the cache."""
    word = re.compile(rf"\b{re.escape(client.name)}\b")
    closers = [name for name in client.carriers if _CLOSER.search(name)]
    for module in suite.modules:
        if module is client.module and not module.path.rpartition("/")[2].startswith(("test", "conftest")):
            continue
        if "cache_clear" in module.text or any(isinstance(n.ctx, ast.Store) for n in module.attributes(client.name)):
            return True
        if any(module.names(name) or module.attributes(name) for name in closers):
            return True
        for call in module.calls_ending("setattr", "patch", "object", "dict"):
            if any(isinstance(a, ast.Constant) and word.search(str(a.value)) for a in call.args):
                return True
    return False


def _uses(suite: Suite, item: Test | Fixture, client: CachedClient) -> bool:
    """Whether a coroutine gets at the client and awaits anything."""
    module, node = item.module, item.node
    inside = [n for statement in node.body for n in walk_scope(statement)]
    if not any(isinstance(n, ast.Await | ast.AsyncWith | ast.AsyncFor) for n in inside):
        return False
    if module is client.module:
        return any(_reads(module, node, name) for name in client.carriers)
    for expression in inside:
        if not isinstance(expression, ast.Name | ast.Attribute) or not isinstance(expression.ctx, ast.Load):
            continue
        owner, _, name = (module.qualname(expression) or "").rpartition(".")
        if name in client.carriers and suite.module_named(owner, module) is client.module:
            return True
    return False
