"""Where the scope of an ``event_loop`` override goes when the override does."""

from __future__ import annotations

from collections.abc import Iterator

from codemods.project.event_loop import Override
from codemods.project.fixtures_graph import Group, Suite, widest
from codemods.project.loop_plan import Plan, aligned, is_broken
from codemods.project.pytest_asyncio_version import TEST_LOOP_SCOPE
from codemods.project.pytest_config import FIXTURE_OPTION, TEST_OPTION


def plan_for_override(suite: Suite, override: Override) -> tuple[Group, Plan | None]:
    """The tests that ran on the loop of an override with their fixtures, and how they stay on one loop.

    Tests whose mark asks for a loop are not among them. None when every plan would put something
    on two loops.
    """
    group = _group(suite, override)
    return group, next((plan for plan in _plans(suite, override, group) if _holds(suite, group, plan)), None)


def _group(suite: Suite, override: Override) -> Group:
    group = Group([], [], [], [], set())
    for test in override.tests:
        if not suite.runs_test(test) or (test.mark is not None and test.mark.loop_scope):
            continue
        found, foreign = suite.reach(test)
        fixtures = [fixture for fixture in found if suite.runs_fixture(fixture)]
        group.tests.append(test)
        group.fixtures.extend(fixture for fixture in fixtures if fixture not in group.fixtures)
        group.pairs.extend((test, fixture) for fixture in fixtures)
        group.foreign.update(foreign)
    return group


def _plans(suite: Suite, override: Override, group: Group) -> Iterator[Plan]:
    loops = suite.loops
    scope = widest([override.fixture.scope, *(f.scope for f in group.fixtures), *map(loops.of_fixture, group.fixtures)])
    if scope == "class" and any(test.owner is None for test in group.tests):
        scope = "module"
    both = {FIXTURE_OPTION: scope, TEST_OPTION: scope}
    missing = {name: value for name, value in both.items() if suite.config.option(name) != value}
    is_for_all = set(group.tests) >= {test for test in suite.tests if suite.runs_test(test)}
    if suite.version.at_least(TEST_LOOP_SCOPE) and suite.config.may_write and is_for_all:
        yield aligned(Plan(scope, missing if group.tests else {}), loops, [group])
    by_marks = aligned(Plan(scope), loops, [group])
    if by_marks.fixtures and suite.config.may_write and FIXTURE_OPTION in missing:
        yield aligned(Plan(scope, {FIXTURE_OPTION: scope}), loops, [group])
    yield by_marks


def _holds(suite: Suite, group: Group, plan: Plan) -> bool:
    """Whether the group is on one loop then, and what was whole still is."""
    after = plan.loops(suite.loops)
    if group.apart(after) or group.too_narrow(after):
        return False
    return not any(is_broken(g, after) for g in suite.groups if not is_broken(g, suite.loops))
