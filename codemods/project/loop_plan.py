"""The smallest set of changes that puts a group of tests and its fixtures on one loop.

Every plan is tried out on the model before it is offered: it must mend what it is made for
and break no group that was whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from codemods.project.crossing import crossing
from codemods.project.fixtures_graph import Group, Loops, Suite, widest
from codemods.project.pytest_asyncio_version import TEST_LOOP_SCOPE
from codemods.project.pytest_config import FIXTURE_OPTION, TEST_OPTION
from codemods.project.pytest_syntax import Fixture, Mark, Test


@dataclass(frozen=True)
class Plan:
    """What to write so that a group runs on the loop of ``scope``."""

    scope: str
    options: Mapping[str, str] = field(default_factory=dict)
    """Options of the configuration."""
    fixtures: Mapping[Fixture, str] = field(default_factory=dict)
    """The ``loop_scope`` of fixtures."""
    marks: Mapping[Mark, str] = field(default_factory=dict)
    """The ``loop_scope`` of marks."""
    modules: Mapping[str, str] = field(default_factory=dict)
    """The ``loop_scope`` of a new ``pytestmark``, by the path of the module."""
    forced: frozenset[Test] = frozenset()
    """Tests that ran well on the narrower loop that their mark asks for, and lose it."""

    def loops(self, loops: Loops) -> Loops:
        """The loops once the plan is carried out."""
        return Loops(
            self.options.get(FIXTURE_OPTION, loops.fixture_option),
            self.options.get(TEST_OPTION, loops.test_option),
            self.fixtures,
            self.marks,
            self.modules,
        )


def is_broken(group: Group, loops: Loops) -> bool:
    """Whether something of the group meets another loop than its own, or outlives its loop."""
    return bool(group.too_narrow(loops)) or any(crossing(f) for _, f in group.apart(loops))


def broken_groups(suite: Suite) -> list[Group]:
    """The groups of the suite that do not run on one loop as it stands."""
    return [group for group in suite.groups if is_broken(group, suite.loops)]


def make_plan(suite: Suite, group: Group) -> Plan | None:
    """The plan for a broken group; None when every plan would break something else.

    One line of configuration moves the whole suite. So all broken groups share one such
    plan, and it is only made when some group needs it: see ``_is_local``.
    """
    broken = broken_groups(suite)
    if suite.version.at_least(TEST_LOOP_SCOPE) and not all(_is_local(suite, g) for g in broken):
        candidates = [*_by_configuration(suite, broken), *_by_marks(suite, group)]
    else:
        candidates = list(_by_marks(suite, group))
    return next((plan for plan in candidates if _holds(suite, group, plan)), None)


def _holds(suite: Suite, group: Group, plan: Plan) -> bool:
    """Whether the plan mends ``group`` and leaves whole what was whole."""
    after = plan.loops(suite.loops)
    whole = [g for g in suite.groups if not is_broken(g, suite.loops)]
    return not group.apart(after) and not any(is_broken(g, after) for g in [group, *whole])


def target(group: Group, loops: Loops) -> str:
    """The widest scope in a group. Tests outside of a class know no loop of their class."""
    scopes = [*(loops.of_test(t) for t in group.tests), *(loops.of_fixture(f) for f in group.fixtures)]
    scope = widest([*scopes, *(f.scope for f in group.fixtures)])
    return "module" if scope == "class" and any(t.owner is None for t in group.tests) else scope


def _is_local(suite: Suite, group: Group) -> bool:
    """Whether marks and fixtures of one file are a smaller change than the configuration."""
    scope = target(group, suite.loops)
    paths = group.paths
    others = any(suite.runs_test(t) and t.home.path not in paths for t in suite.tests)
    return scope == "class" or (scope == "module" and len(paths) == 1 and others)


def _by_configuration(suite: Suite, broken: list[Group]) -> Iterator[Plan]:
    """Both options, and what in the code says otherwise."""
    if not suite.config.may_write:
        return
    loops = suite.loops
    scope = widest([loops.fixture_option, loops.test_option, *(target(g, loops) for g in broken)])
    scope = "module" if scope == "class" else scope
    wanted = {FIXTURE_OPTION: scope, TEST_OPTION: scope}
    plan = Plan(scope, {name: value for name, value in wanted.items() if suite.config.option(name) != value})
    plan = aligned(plan, loops, broken)
    yield plan
    hurt = [g for g in suite.groups if g not in broken and is_broken(g, plan.loops(loops))]
    kept = {f: loops.of_fixture(f) for g in hurt for f in g.fixtures if f.loop_scope is None}
    yield replace(plan, fixtures={**plan.fixtures, **kept})
    losers = frozenset(t for g in hurt for t in g.tests if t.mark is not None and t.mark.loop_scope)
    yield replace(aligned(plan, loops, hurt), forced=losers)


def _by_marks(suite: Suite, group: Group) -> Iterator[Plan]:
    """``loop_scope`` on the tests' own marks, and on the fixtures that need it."""
    loops = suite.loops
    groups = _sharing_marks(suite, group)
    scope = widest(target(g, loops) for g in groups)
    if scope == "class" and any(t.owner is None for g in groups for t in g.tests):
        scope = "module"
    losers = frozenset(
        t for g in groups if not is_broken(g, loops) for t in g.tests if t.mark is not None and t.mark.loop_scope
    )
    if (
        len(set().union(*(g.paths for g in groups))) > 1
        and suite.config.may_write
        and suite.config.option(FIXTURE_OPTION) != scope
    ):
        by_option = aligned(Plan(scope, {FIXTURE_OPTION: scope}, forced=losers), loops, groups)
        if by_option.fixtures == {} and aligned(Plan(scope), loops, groups).fixtures:
            yield by_option
    yield aligned(Plan(scope, forced=losers), loops, groups)


def _sharing_marks(suite: Suite, group: Group) -> list[Group]:
    """``group`` and the groups that a change of its marks moves too (one ``pytestmark``)."""
    found = [group]
    for member in found:
        keys = {_mark_key(test) for test in member.tests}
        found += [g for g in suite.groups if g not in found and keys & {_mark_key(test) for test in g.tests}]
    return found


def _mark_key(test: Test) -> Mark | str:
    return test.mark or test.home.path


def aligned(plan: Plan, loops: Loops, groups: list[Group]) -> Plan:
    """The plan, with whatever of the groups still says another scope moved to the plan's."""
    after = plan.loops(loops)
    moved = [t for g in groups for t in g.tests if after.of_test(t) != plan.scope]
    fixtures = {f: plan.scope for g in groups for f in g.fixtures if after.of_fixture(f) != plan.scope}
    return replace(
        plan,
        fixtures={**plan.fixtures, **fixtures},
        marks={**plan.marks, **{t.mark: plan.scope for t in moved if t.mark is not None}},
        modules={**plan.modules, **{t.home.path: plan.scope for t in moved if t.mark is None}},
    )
