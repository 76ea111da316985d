"""LM401 fixture-loop-scope."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from codemods.model import Finding, Related, Severity
from codemods.project.loop_hints import loops_may_differ
from codemods.project.pytest_syntax import Fixture
from codemods.project.tree import Project
from codemods.rules.base import ProjectRule
from codemods.rules.loop_scopes import Case, find_cases, loop_name, severity, symptom


class FixtureLoopScope(ProjectRule):
    """An async fixture whose loop is not the loop of the tests that use it.

    What it finds
        Async fixtures of pytest-asyncio that say nothing of their loop (or name one that is too
        narrow), whose value reaches tests on another loop: a session-scoped connection with
        function-scoped tests, or a function-scoped client below tests of the session loop.
        Fixtures are followed through conftest files, classes, overrides, `usefixtures` and
        autouse, tests through their marks and through the configuration.

    Why it breaks
        Without `loop_scope`, a fixture runs on the loop of its own scope, and a test on a loop of
        its own. What the fixture opened belongs to the first loop. Awaiting it on the second one
        raises `got Future attached to a different loop`, or `Event loop is closed` when the first
        loop has already ended. A loop that is narrower than the fixture's scope is a
        `ScopeMismatch` before any test starts. `loop_scope` on the fixture alone mends nothing:
        the tests must run on the same loop.

    What it changes
        Everything that shares such a fixture gets one loop, the widest that any of it needs.

        - pytest-asyncio 0.26 and newer: both default loop scopes in the file that configures
          pytest, and only where a mark or a fixture says otherwise, its `loop_scope`.
        - 0.24 and 0.25, where all of it stands in one module or class, and where no file
          configures pytest: `loop_scope` on the tests' own marks and on the fixtures that need it.

        Each finding carries the whole change, so that applying one of them is enough, and the
        others of the same suite are gone with it.

    When it refuses
        When the version of pytest-asyncio is unknown or older than 0.24; when a test or a fixture
        asks for the `event_loop` fixture or an override of it is in use (before 1.0); when tests
        ask for different loops on purpose. Suites of anyio, `unittest` classes, fixtures that hand
        nothing on and suites that already agree are left alone.

    Safety
        Safe where no test can notice: tests on a shared loop see each other's forgotten tasks.
        Unsafe when a test looks at all tasks or stops its loop, when a test loses a loop that it
        asks for, when a sync test calls `asyncio.run` before 1.2, and when a fixture of a plugin
        may stay behind.
    """

    code = "LM401"
    name = "fixture-loop-scope"

    def starts(self, project: Project, paths: Sequence[str]) -> bool:
        """Only where the code or the configuration speaks of scopes of loops."""
        return loops_may_differ(project, paths)

    def find_in(self, project: Project) -> Iterator[Finding]:
        """One finding at each fixture at fault."""
        for case in find_cases(project):
            for fixture in case.undeclared():
                yield self._at(case, fixture)

    def _at(self, case: Case, fixture: Fixture) -> Finding:
        narrow = fixture in case.group.too_narrow(case.suite.loops)
        pairs = case.apart(fixture)
        users = {t.node: t for t, _ in pairs}  # a method of a base class is a test of each class that inherits it
        related = [
            Related(t.module.path, t.module.span(t.node), f"{t.node.name} uses it") for t in list(users.values())[:3]
        ]
        return self.finding(
            fixture.module,
            fixture.node,
            _outlives(case, fixture) if narrow else _crosses(case, fixture),
            Severity.ERROR if narrow else severity([fixture]),
            rewrite=case.rewrite,
            refusal=case.refusal,
            related=tuple(related),
        )


def _outlives(case: Case, fixture: Fixture) -> str:
    scope, loop = fixture.scope, case.suite.loops.of_fixture(fixture)
    return (
        f"the {scope}-scoped fixture {fixture.name} is told to run on the {loop} loop, which ends before it: "
        "pytest stops with ScopeMismatch"
    )


def _crosses(case: Case, fixture: Fixture) -> str:
    test = case.apart(fixture)[0][0]
    loops = case.suite.loops
    return (
        f"the {fixture.scope}-scoped fixture {fixture.name} runs on {loop_name(loops.of_fixture(fixture))}, "
        f"{test.node.name} on {loop_name(loops.of_test(test))}: {symptom(fixture)}"
    )
