"""LM402 test-loop-scope."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from codemods.model import Finding, Related
from codemods.project.crossing import crossing
from codemods.project.loop_hints import loops_may_differ
from codemods.project.tree import Project
from codemods.rules.base import ProjectRule
from codemods.rules.loop_scopes import Case, find_cases, loop_name, severity, symptom


class TestLoopScope(ProjectRule):
    """Tests on loops of their own whose fixtures are already on a shared loop.

    What it finds
        Suites that are mended by half: the fixtures name their loop, with `loop_scope=` or with
        `asyncio_default_fixture_loop_scope`, and the tests that use them do not. There is one
        finding for all tests that the same change mends, at the first of them.

    Why it breaks
        The loop scope of a fixture says nothing about the tests. They run on a loop of their own
        each until a mark or `asyncio_default_test_loop_scope` says otherwise, and awaiting there
        what the fixture opened raises `got Future attached to a different loop`. A bare
        `@pytest.mark.asyncio` on a test also hides the `loop_scope` of the module's `pytestmark`:
        the closest mark wins.

    What it changes
        The tests get the loop of their fixtures.

        - pytest-asyncio 0.26 and newer: `asyncio_default_test_loop_scope` in the file that
          configures pytest, next to the option for fixtures.
        - 0.24 and 0.25, where all of it stands in one module or class, and where no file
          configures pytest: `loop_scope` on the tests' own marks, or one `pytestmark` where auto mode needs no marks.

        The change is the one of LM401, which reports fixtures that do not name their loop; a
        group of tests is reported by one of the two rules.

    When it refuses
        As LM401: version unknown or too old, `event_loop` in use, different loops on purpose. On
        0.24 and 0.25 also when the tests carry no mark and a `pytestmark` would hit sync tests of
        the module.

    Safety
        As LM401.
    """

    __test__ = False
    code = "LM402"
    name = "test-loop-scope"

    def starts(self, project: Project, paths: Sequence[str]) -> bool:
        """Only where the code or the configuration speaks of scopes of loops."""
        return loops_may_differ(project, paths)

    def find_in(self, project: Project) -> Iterator[Finding]:
        """One finding for all tests of a suite that share the way out, or the reason for none."""
        cases: dict[tuple[object, ...], list[Case]] = {}
        for case in find_cases(project):
            if not case.undeclared():
                cases.setdefault((case.suite.config.path, case.rewrite, case.refusal), []).append(case)
        for same in cases.values():
            yield self._at(same)

    def _at(self, cases: list[Case]) -> Finding:
        pairs = [pair for case in cases for pair in case.apart()]
        test, fixture = min(pairs, key=lambda pair: (pair[0].module.path, pair[0].node.lineno, -crossing(pair[1])))
        loops = cases[0].suite.loops
        others = len({test.node for test, _ in pairs}) - 1
        more = f" (and {others} more)" if others else ""
        related = Related(fixture.module.path, fixture.module.span(fixture.node), f"{fixture.name} is opened here")
        return self.finding(
            test.module,
            test.node,
            f"{test.node.name}{more} runs on {loop_name(loops.of_test(test))}, its fixture {fixture.name} on "
            f"{loop_name(loops.of_fixture(fixture))}: {symptom(fixture)}",
            severity(fixture for _, fixture in pairs),
            rewrite=cases[0].rewrite,
            refusal=cases[0].refusal,
            related=(related,),
        )
