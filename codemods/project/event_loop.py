"""What an override of pytest-asyncio's ``event_loop`` fixture does, and who asks for that fixture."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from codemods.facts.module import Module
from codemods.project.fixtures_graph import Suite
from codemods.project.pytest_syntax import Fixture, Test

NAME = "event_loop"
_MAKERS = frozenset({"new_event_loop", "get_event_loop", "get_running_loop"})
_POLICY = "asyncio.get_event_loop_policy"
_PLAIN_KEYWORDS = frozenset({"scope", "name", "autouse", "loop_scope"})
_WORDS = {
    r"uvloop|winloop": "uvloop",
    r"set_debug|slow_callback_duration": "debug mode",
    r"\w*Policy\b|set_event_loop_policy": "the event loop policy",
    r"\w+EventLoop\b|loop_factory": "the class of the loop",
    r"all_tasks|\.cancel\(": "cancelling the tasks that tests leave",
    r"set_exception_handler": "the exception handler",
    r"set_default_executor|shutdown_default_executor": "the default executor",
    r"set_task_factory": "the task factory",
}
"""What an override may do with a loop, by the code that does it."""


@dataclass(frozen=True, eq=False)
class Override:
    """An ``event_loop`` fixture of the project, and the tests that see it."""

    fixture: Fixture
    tests: list[Test]
    """Those whose ``event_loop`` it is, sync ones too."""


def overrides(suite: Suite) -> Iterator[Override]:
    """The overrides of a suite, in the order of its files."""
    for fixture in suite.fixtures:
        if fixture.name == NAME:
            tests = [test for test in suite.tests if suite.chains(test).get(NAME, [None])[0] is fixture]
            yield Override(fixture, tests)


def askers(suite: Suite, tests: Sequence[Test]) -> list[Test | Fixture]:
    """The tests, and the fixtures that they reach, that ask for ``event_loop`` by name."""
    found: dict[Test | Fixture, None] = {}
    for test in tests:
        items: list[Test | Fixture] = [test, *suite.reach(test)[0]]
        for item in items:
            if NAME in item.requests and not (isinstance(item, Fixture) and item.name == NAME):
                found[item] = None
    return list(found)


def extras(fixture: Fixture) -> list[str]:
    """What an override does beyond making a loop, handing it out and closing it, in words."""
    node, module = fixture.node, fixture.module
    found: list[str] = []
    if fixture.is_async:
        found.append("that it is async")
    decorator = fixture.decorator
    if isinstance(decorator, ast.Call) and (decorator.args or {k.arg for k in decorator.keywords} - _PLAIN_KEYWORDS):
        found.append("its parameters")
    if len(node.decorator_list) > 1:
        found.append("its other decorators")
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    found += [f"the fixture {a.arg}" for a in arguments if a.arg not in ("self", "cls", "request")]
    for statement in _unexpected(module, node.body):
        found += _in_words(module.code(statement))
    return list(dict.fromkeys(found))


def _in_words(code: str) -> list[str]:
    known = [words for pattern, words in _WORDS.items() if re.search(pattern, code)]
    return known or [f"`{' '.join(code.split())[:60]}`"]


def _unexpected(module: Module, body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that are no part of making, handing out and closing a loop."""
    for statement in body:
        match statement:
            case ast.Try(handlers=handlers):
                blocks = [statement.body, *(h.body for h in handlers), statement.orelse, statement.finalbody]
                for block in blocks:
                    yield from _unexpected(module, block)
            case ast.If(test=test) if _asks_about_loop(test):
                yield from _unexpected(module, [*statement.body, *statement.orelse])
            case ast.With(items=[ast.withitem(context_expr=ast.Call(func=func, args=[made]))]) if module.qualname(
                func
            ) == "contextlib.closing" and _makes_loop(module, made):
                yield from _unexpected(module, statement.body)
            case _ if not _is_expected(module, statement):
                yield statement


def _is_expected(module: Module, statement: ast.stmt) -> bool:
    match statement:
        case ast.Pass() | ast.Import() | ast.ImportFrom() | ast.Expr(value=ast.Constant()):
            return True
        case ast.Assign(targets=[ast.Name()], value=value) | ast.AnnAssign(target=ast.Name(), value=value):
            return value is not None and (_makes_loop(module, value) or _is_policy(module, value))
        case ast.Expr(value=ast.Yield(value=value)) | ast.Return(value=value):
            return value is None or isinstance(value, ast.Name) or _makes_loop(module, value)
        case ast.Expr(value=ast.Call() as call):
            return _closes(module, call)
    return False


def _makes_loop(module: Module, value: ast.expr) -> bool:
    if not isinstance(value, ast.Call) or value.args or value.keywords:
        return False
    parent, _, last = (module.qualname(value.func) or "").rpartition(".")
    if parent == "asyncio" and last in _MAKERS:
        return True
    match value.func:
        case ast.Attribute(value=of, attr="new_event_loop" | "get_event_loop"):
            return isinstance(of, ast.Name) or _is_policy(module, of)
    return False


def _is_policy(module: Module, value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and module.qualname(value.func) == _POLICY and not value.args


def _closes(module: Module, call: ast.Call) -> bool:
    """``loop.close()``, ``asyncio.set_event_loop(loop)``, or what pytest-asyncio itself does before it closes."""
    if module.qualname(call.func) == "asyncio.set_event_loop":
        return all(isinstance(argument, ast.Name | ast.Constant) for argument in call.args)
    match call:
        case ast.Call(func=ast.Attribute(value=ast.Name(), attr="close" | "stop"), args=[], keywords=[]):
            return True
        case ast.Call(
            func=ast.Attribute(value=ast.Name(), attr="run_until_complete"),
            args=[ast.Call(func=ast.Attribute(value=ast.Name(), attr="shutdown_asyncgens"))],
        ):
            return True
    return False


def _asks_about_loop(test: ast.expr) -> bool:
    """``loop.is_running()``, ``not loop.is_closed()`` and the like."""
    inner = test.operand if isinstance(test, ast.UnaryOp) else test
    return (
        isinstance(inner, ast.Call)
        and isinstance(inner.func, ast.Attribute)
        and isinstance(inner.func.value, ast.Name)
        and inner.func.attr in ("is_closed", "is_running")
    )
