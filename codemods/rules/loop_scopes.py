"""What LM401 and LM402 share: groups on several loops, the plan for each, its operations."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from codemods.facts.module import Module
from codemods.model import Operation, Rewrite, Safety, Severity
from codemods.project.config_edit import SetPytestOptions
from codemods.project.crossing import Crossing, crossing
from codemods.project.fixtures_graph import SCOPES, Group, Suite, find_suites
from codemods.project.loop_plan import Plan, broken_groups, make_plan, target
from codemods.project.pytest_asyncio_version import LOOP_SCOPE, MARK_SCOPE, NO_EVENT_LOOP, TEST_LOOP_SCOPE
from codemods.project.pytest_config import FIXTURE_OPTION
from codemods.project.pytest_syntax import Fixture, Mark, Test
from codemods.project.tree import Project
from codemods.rewriting.operations import AddKeyword, InsertAfter, ReplaceExpression

_RUN_RESTORES_LOOP = "1.2.0"
"""Before, ``asyncio.run`` in a sync test takes the shared loop away from the next test."""
_LOOKS_AT_LOOP = ("asyncio.all_tasks", "asyncio.Task.all_tasks")
_SYNC_FIXTURES = re.compile(
    r"""request|pytestconfig|record_\w+|cache|cap(sys|fd|log)\w*|monkeypatch|tmp_?(path|dir)(_factory)?|testdir|pytester
    |recwarn|doctest_namespace|subtests|(\w+_)?mocker|event_loop_policy|unused_(tcp|udp)_port(_factory)?|benchmark|faker
    |httpx_mock|respx_mock|requests_mock|freezer|worker_id|testrun_uid|snapshot|datadir""",
    re.VERBOSE,
)
"""Fixtures of pytest and of well-known plugins that no loop runs."""


@dataclass(frozen=True)
class Case:
    """A group that does not run on one loop, with the way out or the reason that there is none."""

    suite: Suite
    group: Group
    scope: str
    """The loop scope that all of it should have."""
    rewrite: Rewrite | None
    refusal: str

    def undeclared(self) -> list[Fixture]:
        """The fixtures at fault: they say nothing of their loop, or name one that is too narrow."""
        loops = self.suite.loops
        found = list(self.group.too_narrow(loops))
        for test, fixture in self.group.apart(loops):
            said = fixture.loop_scope or loops.fixture_option
            wider = SCOPES.index(loops.of_fixture(fixture)) > SCOPES.index(loops.of_test(test))
            if crossing(fixture) and not (said and wider) and fixture not in found:
                found.append(fixture)
        return found

    def apart(self, fixture: Fixture | None = None) -> list[tuple[Test, Fixture]]:
        """The pairs on two loops between which something passes, of one fixture or of all."""
        pairs = self.group.apart(self.suite.loops)
        return [(t, f) for t, f in pairs if crossing(f) and fixture in (None, f)]


@lru_cache(maxsize=1)  # LM401 and LM402 ask one after the other
def find_cases(project: Project) -> tuple[Case, ...]:
    """Every group of every suite that does not run on one loop."""
    return tuple(_cases(project))


def _cases(project: Project) -> Iterator[Case]:
    for suite in find_suites(project):
        for group in broken_groups(suite):
            if _is_settled_elsewhere(suite, group):
                continue
            scope = target(group, suite.loops)
            refusal = _too_old(suite, scope) or _uses_event_loop(suite, group)
            plan = None if refusal else make_plan(suite, group)
            operations: list[Operation] = []
            if not refusal:
                refusal, operations = carry_out(suite, group, plan)
            if refusal or plan is None:
                yield Case(suite, group, scope, None, refusal)
                continue
            why = why_unsafe(suite, group, plan)
            safety = Safety.UNSAFE if why else Safety.SAFE
            yield Case(suite, group, plan.scope, Rewrite(_title(plan), safety, tuple(operations), why), "")


def severity(fixtures: Iterable[Fixture]) -> Severity:
    """How much it matters that these fixtures meet another loop."""
    surest = max(crossing(fixture) for fixture in fixtures)
    return {Crossing.BOUND: Severity.ERROR, Crossing.SOMETHING: Severity.WARNING}.get(surest, Severity.INFO)


def symptom(fixture: Fixture) -> str:
    """What happens when a test awaits what the fixture hands on, on another loop."""
    if crossing(fixture) is Crossing.BOUND:
        return "what the fixture opened raises 'attached to a different loop' when the test awaits it"
    if crossing(fixture) is Crossing.SOMETHING:
        return "whatever of it belongs to the fixture's loop raises 'attached to a different loop' in the test"
    return "connections that the application opened for the fixture raise 'attached to a different loop' in the test"


def loop_name(scope: str) -> str:
    """How a message calls the loop of a scope."""
    return "a loop of its own" if scope == "function" else f"the {scope} loop"


def _is_settled_elsewhere(suite: Suite, group: Group) -> bool:
    """Whether something that the model does not follow already decides on the loop.

    A collection hook that hands out marks with a scope, or an ``event_loop`` override: before
    0.23 that was the way, up to 0.26 it works beside the option ``function``, and where the
    version is unknown it may be right.
    """
    for hook in {hook for test in group.tests if (hook := suite.hook_of(test))}:
        if hook.changes_collection is not None and "scope" in hook.module.code(hook.changes_collection):
            return True
    if not any(suite.overrides_event_loop(test) for test in group.tests):
        return False
    known = suite.version.at_least(MARK_SCOPE)
    return not known or suite.config.option(FIXTURE_OPTION) == "function"


def _too_old(suite: Suite, scope: str) -> str:
    version = suite.version
    if version.at_least(LOOP_SCOPE):
        return ""
    if not version.older_than(LOOP_SCOPE):
        return (
            f"the rewrite needs to know that pytest-asyncio is {LOOP_SCOPE} or newer: install it in .venv, lock it, "
            "pin it, or set pytest-asyncio-version in [tool.loopmend]"
        )
    if version.at_least(MARK_SCOPE):
        advice = f'until then put @pytest.mark.asyncio(scope="{scope}") on every test that uses it'
    else:
        advice = f"until then override the event_loop fixture with one of scope {scope}"
    return f"pytest-asyncio {version} has no loop_scope, which came in {LOOP_SCOPE}; {advice}"


def _uses_event_loop(suite: Suite, group: Group) -> str:
    """Why the ``event_loop`` fixture stands in the way; 1.0 does not have it any more."""
    if suite.version.at_least(NO_EVENT_LOOP):
        return ""
    for test in suite.tests:
        if "event_loop" in test.requests and not test.is_async:
            return (
                f"the sync test {test.node.name} asks for the event_loop fixture, which is another loop: "
                "let it use asyncio.Runner, or make it async"
            )
    items: list[Test | Fixture] = [*group.tests, *group.fixtures]
    for item in items:
        if "event_loop" in item.requests:
            return (
                f"{item.node.name} asks for the event_loop fixture, which is another loop: "
                "use asyncio.get_running_loop() in it"
            )
    if any(suite.overrides_event_loop(test) for test in group.tests):
        return f"the event_loop override has to go first: pytest-asyncio {suite.version} gives it to some tests only"
    return ""


def carry_out(suite: Suite, group: Group, plan: Plan | None) -> tuple[str, list[Operation]]:
    """The operations of a plan, or the reason that it cannot be carried out."""
    if plan is None:
        return "some of its tests and fixtures ask for different loops on purpose: no one scope suits them all", []
    if any(t.mark is None for t in group.tests) and plan.modules and any(suite.hook_of(t) for t in group.tests):
        return f"pytest_collection_modifyitems adds the marks: give them loop_scope={plan.scope!r} there", []
    operations: list[Operation] = []
    if plan.options:
        operations.append(SetPytestOptions(tuple(sorted(plan.options.items())), path=suite.config.path))
    for fixture, scope in plan.fixtures.items():
        operations += _on_fixture(fixture, scope)
    for mark, scope in plan.marks.items():
        operations.append(_on_mark(mark, scope))
    for path, scope in plan.modules.items():
        tests = [test for test in suite.tests if test.home.path == path]
        new = _new_pytestmark(tests, scope)
        if new is None:
            return (
                f"the tests of {path} carry no mark: give them @pytest.mark.asyncio(loop_scope={scope!r}), "
                f"or use pytest-asyncio {TEST_LOOP_SCOPE}, where one option does it"
            ), []
        operations.append(new)
    return "", operations


def _quoted(scope: str, like: str) -> str:
    """The scope as a literal, in the quotes that the code around it uses."""
    return f"'{scope}'" if "'" in like and '"' not in like else f'"{scope}"'


def _on_fixture(fixture: Fixture, scope: str) -> Iterator[Operation]:
    """``loop_scope`` for a fixture. Only ``pytest_asyncio.fixture`` knows that argument."""
    module, decorator = fixture.module, fixture.decorator
    at, code = module.span(decorator), module.code(decorator)
    value = _quoted(scope, code)
    if fixture.is_asyncio and isinstance(decorator, ast.Call):
        yield AddKeyword(at, "loop_scope", value, path=module.path)
        return
    arguments = [
        module.code(k.value) if k.arg is None else f"{k.arg}={module.code(k.value)}" for k in _keywords(decorator)
    ]
    local = module.imports.local_name("pytest_asyncio.fixture")
    function = code.partition("(")[0] if fixture.is_asyncio else local or "pytest_asyncio.fixture"
    yield ReplaceExpression(at, f"{function}({', '.join([*arguments, f'loop_scope={value}'])})", path=module.path)
    if not fixture.is_asyncio and local is None:
        imports = [s for s in module.imports.statements if s in module.tree.body]
        yield InsertAfter(module.span(imports[-1]), "import pytest_asyncio", path=module.path)


def _on_mark(mark: Mark, scope: str) -> Operation:
    """``loop_scope`` for a mark; the older ``scope`` beside it would be a usage error."""
    module, call = mark.module, mark.call
    at, code = module.span(mark.node), module.code(mark.node)
    value = _quoted(scope, code)
    if call is not None and not mark.old_keyword:
        return AddKeyword(at, "loop_scope", value, path=module.path)
    kept = [f"{k.arg}={module.code(k.value)}" for k in _keywords(mark.node) if k.arg not in ("scope", "loop_scope")]
    function = code if call is None else module.code(call.func)
    return ReplaceExpression(at, f"{function}({', '.join([*kept, f'loop_scope={value}'])})", path=module.path)


def _keywords(expression: ast.expr) -> list[ast.keyword]:
    return expression.keywords if isinstance(expression, ast.Call) else []


def _new_pytestmark(tests: list[Test], scope: str) -> Operation | None:
    """A ``pytestmark`` behind the imports; None where it would hit sync tests or another one."""
    module: Module = tests[0].home
    imports = [s for s in module.imports.statements if s in module.tree.body]
    if not imports or module.names("pytestmark") or not all(test.is_async for test in tests):
        return None
    last = max(imports, key=lambda statement: statement.lineno)
    pytest = module.imports.local_name("pytest")
    mark = f'pytestmark = {pytest or "pytest"}.mark.asyncio(loop_scope="{scope}")'
    return InsertAfter(module.span(last), f"\n{mark}" if pytest else f"import pytest\n\n{mark}", path=module.path)


def _title(plan: Plan) -> str:
    if not plan.options or plan.marks or plan.modules:
        return f"Run these tests and their fixtures on the {plan.scope} loop"
    return f"Run the tests and the fixtures of the suite on the {plan.scope} loop"


def why_unsafe(suite: Suite, group: Group, plan: Plan) -> str:
    """What the plan may change beyond the bug, in a clause; empty for nothing."""
    if plan.forced:
        names = ", ".join(sorted(test.node.name for test in plan.forced)[:3])
        return f"tests that ask for a narrower loop of their own lose it: {names}"
    moved = [
        t for t in suite.tests if suite.runs_test(t) and plan.loops(suite.loops).of_test(t) != suite.loops.of_test(t)
    ]
    for test in moved:
        if any(test.node in test.module.ancestors(call) for call in test.module.calls(*_LOOKS_AT_LOOP)):
            return f"{test.node.name} looks at all tasks of its loop, and will see those of other tests"
        if _ends_its_loop(test):
            return f"{test.node.name} stops or closes its loop, which other tests will share"
    if not suite.version.at_least(_RUN_RESTORES_LOOP) and (name := _runs_by_hand(suite, {t.home.path for t in moved})):
        return f"{name} calls asyncio.run, which before {_RUN_RESTORES_LOOP} takes the shared loop from the next test"
    unknown = sorted(name for name in group.foreign if not _SYNC_FIXTURES.fullmatch(name))
    if unknown and FIXTURE_OPTION not in plan.options and suite.loops.fixture_option != plan.scope:
        return f"the fixture {unknown[0]} comes from a plugin: if it is async, it stays on its own loop"
    return ""


def _ends_its_loop(test: Test) -> bool:
    calls = [c for c in test.module.calls_ending("stop", "close") if test.node in test.module.ancestors(c)]
    return any(isinstance(c.func, ast.Attribute) and "loop" in test.module.code(c.func.value) for c in calls)


def _runs_by_hand(suite: Suite, paths: set[str]) -> str:
    """A sync test, or a unittest class, that starts and ends a loop between the shared one's tests."""
    for test in suite.tests:
        module = test.module
        if not test.is_async and any(test.node in module.ancestors(c) for c in module.calls("asyncio.run")):
            return test.node.name
    modules = {test.home.path: test.home for test in suite.tests if test.home.path in paths}
    for module in modules.values():
        for cls in module.classes:
            if any("IsolatedAsyncio" in module.code(base) for base in cls.bases):
                return cls.name
    return ""
