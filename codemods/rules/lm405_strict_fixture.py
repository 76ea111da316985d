"""LM405 strict-fixture."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from codemods.facts.module import Module
from codemods.facts.nodes import walk_scope
from codemods.model import Finding, Operation, Related, Rewrite, Safety, Severity
from codemods.project.crossing import crossing
from codemods.project.fixtures_graph import SCOPES, Suite, find_suites
from codemods.project.plain_fixtures import PlainFixture, is_strict, plain_fixtures
from codemods.project.pytest_asyncio_version import LOOP_SCOPE, PYTEST_ASYNCIO_FIXTURE, find_version
from codemods.project.pytest_syntax import ASYNCIO_FIXTURE, Fixture, Test
from codemods.project.tree import Project
from codemods.rewriting.operations import InsertAfter, ReplaceExpression, ReplaceStatement
from codemods.rules.base import ProjectRule
from codemods.rules.loop_scopes import loop_name
from codemods.rules.unused_imports import drop_unused, top_level_name

_ASYNC_FIXTURE = re.compile(rb"@(?:pytest\.)?fixture\b[^@]*?\n[ \t]*async[ \t]+def\b")


class StrictFixture(ProjectRule):
    """An async fixture of plain `pytest.fixture`, which nobody runs in strict mode.

    What it finds
        `async def` under `pytest.fixture`, in suites whose tests carry `pytest.mark.asyncio` and
        whose configuration does not say `asyncio_mode = auto`: strict is the default.

    Why it breaks
        In strict mode pytest-asyncio runs only the fixtures of `pytest_asyncio.fixture`. A test that
        asks for another one gets the coroutine or the async generator itself: `'async_generator'
        object has no attribute ...`, or `coroutine ... was never awaited`. pytest 9 stops with an error.

    What it changes
        `pytest.fixture` to `pytest_asyncio.fixture`, for all such fixtures of the file at once, with
        the import.

    When it refuses
        When the version of pytest-asyncio is unknown and nothing in the suite uses
        `pytest_asyncio.fixture`, which came in 0.17; when the fixture would then run on another
        loop than its tests. Fixtures that anyio, trio or aiohttp's own plugin runs are left alone,
        and so are those that the tests await themselves.

    Safety
        Safe where a test or a fixture looks at the value, and so fails today, and with pytest 9, where
        all of them fail: it is right in auto mode as well. Unsafe for fixtures that are only asked for:
        the tests pass today without them, and what they do would be news to the tests.
    """

    code = "LM405"
    name = "strict-fixture"

    def starts(self, project: Project, paths: Sequence[str]) -> bool:
        """Only where such a fixture, and elsewhere an asyncio mark, stand in a suite of strict mode."""
        sources = [source for path in paths if (source := project.source(path))]
        plain = [source.path for source in sources if _ASYNC_FIXTURE.search(source.data)]
        if not plain or not any(b"mark.asyncio" in source.data for source in sources):
            return False
        folders = {(project.directory / path).parent for path in plain}
        return any(is_strict(project, folder) for folder in folders)

    def find_in(self, project: Project) -> Iterator[Finding]:
        """One finding at each fixture; those of one file share their rewrite."""
        for suite in find_suites(project):
            by_module: dict[Module, list[PlainFixture]] = {}
            for plain in plain_fixtures(project, suite):
                by_module.setdefault(plain.fixture.module, []).append(plain)
            for module, found in by_module.items():
                yield from self._in_module(project, suite, module, found)

    def _in_module(
        self, project: Project, suite: Suite, module: Module, found: list[PlainFixture]
    ) -> Iterator[Finding]:
        refusals = {plain: _unknown(suite) or _on_another_loop(suite, plain) or _homeless(module) for plain in found}
        going = [plain for plain, refusal in refusals.items() if not refusal]
        rewrite = _rewrite(module, going, _why_unsafe(project, suite, going))
        for plain, refusal in refusals.items():
            fixture, test = plain.fixture, plain.tests[0]
            yield self.finding(
                module,
                fixture.node,
                _message(plain),
                Severity.ERROR if suite.version.at_least(PYTEST_ASYNCIO_FIXTURE) else Severity.INFO,
                rewrite=None if refusal else rewrite,
                refusal=refusal,
                related=(Related(test.module.path, test.module.span(test.node), f"{test.node.name} asks for it"),),
            )


def _message(plain: PlainFixture) -> str:
    node, test = plain.fixture.node, plain.tests[0]
    is_generator = any(isinstance(n, ast.Yield) for s in node.body for n in walk_scope(s))
    if plain.fixture.name not in test.requests and plain.fixture.autouse:
        return (
            f"in strict mode nobody runs the async fixture {plain.fixture.name}: it is of pytest, not of pytest-asyncio"
        )
    what = "async generator itself, not what it yields" if is_generator else "coroutine itself, not what it returns"
    return f"in strict mode nobody runs the async fixture {plain.fixture.name}: {test.node.name} gets the {what}"


def _unknown(suite: Suite) -> str:
    if suite.version.at_least(PYTEST_ASYNCIO_FIXTURE):
        return ""
    if not suite.version.older_than(PYTEST_ASYNCIO_FIXTURE) and any(
        module.imports.local_name(ASYNCIO_FIXTURE) for module in suite.modules
    ):
        return ""
    return (
        f"pytest_asyncio.fixture came in pytest-asyncio {PYTEST_ASYNCIO_FIXTURE}, and the version is {suite.version}: "
        "install it in .venv, lock it, pin it, or set pytest-asyncio-version in [tool.loopmend]"
    )


def _on_another_loop(suite: Suite, plain: PlainFixture) -> str:
    fixture, loops = plain.fixture, suite.loops
    if fixture.scope != "function" and not suite.version.at_least(LOOP_SCOPE):
        return (
            f"its scope is {fixture.scope}, and before {LOOP_SCOPE} pytest-asyncio needs an event_loop override of "
            f"that scope for it (the version is {suite.version}): change both by hand"
        )
    loop = loops.of_fixture(fixture)
    if loop in SCOPES and fixture.scope in SCOPES and SCOPES.index(loop) < SCOPES.index(fixture.scope):
        return f"its scope is {fixture.scope} and the configuration would run it on {loop_name(loop)}: ScopeMismatch"
    apart = next((test for test in plain.tests if loops.of_test(test) != loop), None)
    if apart is None or not crossing(fixture):
        return ""
    return (
        f"with pytest_asyncio.fixture it would run on {loop_name(loop)}, and {apart.node.name} on "
        f"{loop_name(loops.of_test(apart))}: change it by hand, then LM401 mends the loops"
    )


def _homeless(module: Module) -> str:
    if any(statement in module.tree.body for statement in module.imports.statements):
        return ""
    return "nothing is imported at the top of the file: change it by hand, with the import of pytest_asyncio"


def _why_unsafe(project: Project, suite: Suite, found: list[PlainFixture]) -> str:
    """Which fixture the tests may pass without: nobody runs it, and nobody looks at what it hands out."""
    if find_version(project, suite.config.rootdir, "pytest", _STOPS_SINCE).at_least(_STOPS_SINCE):
        return ""
    for plain in found:
        name = plain.fixture.name
        askers: list[Test | Fixture] = [*plain.tests, *(f for test in plain.tests for f in suite.reach(test)[0])]
        if not any(asker.module.uses(name, asker.node) for asker in askers):
            return f"{name} has never run and nothing looks at its value: what it does will be news to the tests"
    return ""


_STOPS_SINCE = "9"
"""The first pytest that stops at an async fixture that nobody runs."""


def _rewrite(module: Module, found: list[PlainFixture], why: str) -> Rewrite | None:
    if not found:
        return None
    safety = Safety.UNSAFE if why else Safety.SAFE
    local = top_level_name(module, ASYNCIO_FIXTURE)
    functions = [_function(plain.fixture.decorator) for plain in found]
    code = local or ASYNCIO_FIXTURE
    operations: list[Operation] = [ReplaceExpression(module.span(f), code, path=module.path) for f in functions]
    dropped = list(drop_unused(module, functions))
    if local is None:
        home = _import_of_pytest(module)
        if any(getattr(operation, "at", None) == module.span(home) for operation in dropped):
            operations.append(ReplaceStatement(module.span(home), "import pytest_asyncio", path=module.path))
            return Rewrite(_TITLE, safety, tuple(operations), why)
        operations.append(InsertAfter(module.span(home), "import pytest_asyncio", path=module.path))
    return Rewrite(_TITLE, safety, (*operations, *dropped), why)


_TITLE = "Let pytest-asyncio run the async fixtures of the file"


def _function(decorator: ast.expr) -> ast.expr:
    return decorator.func if isinstance(decorator, ast.Call) else decorator


def _import_of_pytest(module: Module) -> ast.stmt:
    """The import that ``pytest.fixture`` comes from: it stands at the top, or the last one there does."""
    top = [statement for statement in module.imports.statements if statement in module.tree.body]
    for statement in top:
        names = [statement.module] if isinstance(statement, ast.ImportFrom) else [a.name for a in statement.names]
        if "pytest" in names:
            return statement
    return top[-1]
