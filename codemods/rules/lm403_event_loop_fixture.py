"""LM403 event-loop-fixture."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from codemods.facts.module import Module
from codemods.model import Finding, Operation, Rewrite, Safety, Severity
from codemods.project.event_loop import NAME, Override, askers, extras, overrides
from codemods.project.fixtures_graph import Group, Suite, find_suites
from codemods.project.override_plan import plan_for_override
from codemods.project.pytest_asyncio_version import LOOP_SCOPE, MARK_SCOPE, NO_EVENT_LOOP, TEST_LOOP_SCOPE
from codemods.project.pytest_syntax import Fixture, Test
from codemods.project.tree import Project
from codemods.rewriting.operations import RemoveDefinition, RemoveStatement
from codemods.rules.base import ProjectRule
from codemods.rules.event_loop_askers import let_go
from codemods.rules.loop_scopes import carry_out, loop_name, why_unsafe
from codemods.rules.unused_imports import drop_unused

_DEFINITION = re.compile(rb"""def\s+event_loop\s*\(|name\s*=\s*["']event_loop["']""")


class EventLoopFixture(ProjectRule):
    """An override of the `event_loop` fixture, which pytest-asyncio 1.0 does not have any more.

    What it finds
        Fixtures called `event_loop`: once the way to give tests and fixtures a loop of a wider scope.

    Why it breaks
        Up to 0.21 every test and every async fixture ran on that loop. 0.23 to 0.26 give it only to
        those that ask for no other scope, with a warning, and a session-scoped async fixture runs on
        another loop. From 1.0 on an override is a fixture that nobody asks for: every test has a loop
        of its own, and whatever the tests share raises `attached to a different loop` or
        `Event loop is closed`.

    What it changes
        An override that does no more than make a loop, hand it out and close it goes, with the
        imports that only it used. Its scope moves to where it works:

        - pytest-asyncio 0.26 and newer: both default loop scopes in the configuration, or
          `loop_scope` on marks where the override is not for all tests.
        - 0.24 and 0.25: `loop_scope` on the tests' marks, and the default of the fixtures.

        Async tests and fixtures that ask for `event_loop` use `asyncio.get_running_loop()`.

    When it refuses
        When the version is unknown or older than 0.24, where the override is right; when the override
        does more: a policy, uvloop, debug mode, cancelling what is left (the finding says what would
        be lost, and where it belongs); when a sync test or fixture asks for the loop; when tests ask
        for different loops on purpose; when a decorator may hide the mark of a test, and with it the loop.

    Safety
        As LM401. Unsafe too where the override may have no effect already and nothing is on two
        loops: the tests may pass on loops of their own, and then share one for the first time.
    """

    code = "LM403"
    name = "event-loop-fixture"

    def starts(self, project: Project, paths: Sequence[str]) -> bool:
        """Only where something is called so."""
        return any(_DEFINITION.search(source.data) for path in paths if (source := project.source(path)))

    def find_in(self, project: Project) -> Iterator[Finding]:
        """One finding at each override that async tests may see."""
        for suite in find_suites(project):
            for override in overrides(suite):
                asking = askers(suite, override.tests)
                if not asking or any(suite.runs_test(test) for test in override.tests):
                    yield self._at(suite, override, asking, project)

    def _at(self, suite: Suite, override: Override, asking: list[Test | Fixture], project: Project) -> Finding:
        fixture, version = override.fixture, suite.version
        refusal = (
            _too_old(suite)
            or _does_more(suite, override)
            or _is_imported(project, override)
            or _hides_marks(suite, override)
        )
        rewrite = None
        if not refusal:
            refusal, rewrite = _rewrite(suite, override, asking)
        matters = version.at_least(LOOP_SCOPE) and not (version.at_least(NO_EVENT_LOOP) and asking and refusal)
        return self.finding(
            fixture.module,
            fixture.node,
            _message(suite, override, asking),
            Severity.WARNING if matters else Severity.INFO,
            rewrite=rewrite,
            refusal=refusal,
        )


def _message(suite: Suite, override: Override, asking: list[Test | Fixture]) -> str:
    scope, version = override.fixture.scope, suite.version
    if version.at_least(NO_EVENT_LOOP):
        names = sorted({asker.node.name for asker in asking})
        some = f"only {names[0]} asks" if len(names) == 1 else f"only {len(names)} tests and fixtures ask"
        who = f"{some if asking else 'nobody asks'} for this one"
        where = "" if scope == "function" else f", and every test runs on a loop of its own, not on one for the {scope}"
        return f"pytest-asyncio {version} has no event_loop fixture: {who}{where}"
    if version.at_least(MARK_SCOPE):
        return (
            f"pytest-asyncio {version} gives this loop only to tests and fixtures that ask for no scope, "
            f"and {NO_EVENT_LOOP} to nobody: what they share with the others raises 'attached to a different loop'"
        )
    return f"from pytest-asyncio {NO_EVENT_LOOP} on nobody asks for this loop: every test runs on one of its own"


def _too_old(suite: Suite) -> str:
    version = suite.version
    if version.at_least(LOOP_SCOPE):
        return ""
    if version.older_than(LOOP_SCOPE):
        return (
            f"pytest-asyncio {version} has nothing better: with {LOOP_SCOPE} the tests take loop_scope on their marks, "
            f"with {TEST_LOOP_SCOPE} two options of the configuration do it, and the override goes"
        )
    return (
        f"whether it may go depends on pytest-asyncio ({LOOP_SCOPE} or newer): install it in .venv, lock it, pin it, "
        "or set pytest-asyncio-version in [tool.loopmend]"
    )


def _does_more(suite: Suite, override: Override) -> str:
    lost = extras(override.fixture)
    if not lost:
        return ""
    names = f"{', '.join(lost[:-1])} and {lost[-1]}" if len(lost) > 1 else lost[0]
    if suite.version.at_least(NO_EVENT_LOOP):
        since = f"which has had no effect since {NO_EVENT_LOOP}"
        return f"it also stands for {names}, {since}: {_places(suite, lost)}, then delete it"
    return f"without it {names} would be lost: {_places(suite, lost)}, then delete it"


_HOOK = "1.4.0"
"""The first pytest-asyncio with the hook that names loop factories; it deprecates the policy fixture."""
_OF_POLICY = frozenset({"the event loop policy", "uvloop", "the class of the loop", "its parameters"})


def _places(suite: Suite, lost: Sequence[str]) -> str:
    """Where what an override does belongs."""
    by_hook = suite.version.at_least(_HOOK)
    places: dict[str, None] = {}
    for what in lost:
        if what in _OF_POLICY:
            places["name the loops in the hook pytest_asyncio_loop_factories" if by_hook else _POLICY_FIXTURE] = None
        elif what == "debug mode":
            places["set PYTHONASYNCIODEBUG=1"] = None
        else:
            places["put it into a fixture of its own"] = None
    return ", ".join(places)


_POLICY_FIXTURE = "return the policy from an event_loop_policy fixture"


def _is_imported(project: Project, override: Override) -> str:
    for module in project.modules.values():
        if module is not override.fixture.module and NAME in module.imports.names:
            return f"{module.path} imports it by name"
    return ""


def _hides_marks(suite: Suite, override: Override) -> str:
    """Whether a decorator may have an async test run, on a loop that is then not known."""
    if suite.version.at_least(NO_EVENT_LOOP) and override.fixture.scope == "function":
        return ""
    for test in override.tests:
        if test.is_async and test.may_hide and not test.other_runner and not suite.runs_test(test):
            return (
                f"a decorator of {test.node.name} may hide a mark of pytest-asyncio, and with it the loop: "
                "put the mark on the test itself"
            )
    return ""


def _is_named(override: Override) -> bool:
    """Whether code of its own module means the function itself, and not a parameter of that name."""
    module, name = override.fixture.module, override.fixture.node.name
    for use in module.names(name):
        functions = [a for a in module.ancestors(use) if isinstance(a, ast.FunctionDef | ast.AsyncFunctionDef)]
        if not any(module.binds(name, function) for function in functions):
            return True
    return False


def _empties(module: Module, operations: Sequence[Operation]) -> bool:
    """Whether the operations leave no statement in a module."""
    removals = [o for o in operations if isinstance(o, RemoveStatement | RemoveDefinition) and o.path == module.path]
    return {module.span(statement) for statement in module.tree.body} <= {removal.at for removal in removals}


def _works_apart(suite: Suite, group: Group) -> str:
    """Why sharing a loop may be news to the tests: the override may be dead, and nothing of theirs is on two loops."""
    if suite.version.older_than(NO_EVENT_LOOP) or group.apart(suite.loops):
        return ""
    return "the override may have no effect today, and on a shared loop tests see what others leave running"


def _rewrite(suite: Suite, override: Override, asking: list[Test | Fixture]) -> tuple[str, Rewrite | None]:
    fixture, module = override.fixture, override.fixture.module
    if fixture.owner is not None and len(fixture.owner.body) == 1:
        return "it is all that its class consists of: delete the class", None
    if not isinstance(module.parent(fixture.node), ast.Module | ast.ClassDef):
        return "it stands under a condition: delete it by hand", None
    if _is_named(override):
        return "its module uses it by name: delete it by hand", None
    refusal, operations = let_go(asking)
    if refusal:
        return refusal, None
    unsafe, title = "", "Delete the event_loop override"
    if fixture.scope != "function":
        group, plan = plan_for_override(suite, override)
        if plan is None:
            return "its tests and their fixtures ask for different loops, so no one scope can take its place", None
        refusal, moving = carry_out(suite, group, plan)
        if refusal:
            return refusal, None
        operations += moving
        unsafe = why_unsafe(suite, group, plan) or _works_apart(suite, group)
        title = f"Delete the event_loop override and run its tests on {loop_name(plan.scope)}"
    operations += drop_unused(module, [fixture.node], operations)
    operations.append(RemoveDefinition(module.span(fixture.node), path=module.path))
    if _empties(module, operations):
        title += f"; {module.path} stays, empty: it may be what puts its folder on sys.path"
    return "", Rewrite(title, Safety.UNSAFE if unsafe else Safety.SAFE, tuple(operations), unsafe)
