"""Async fixtures of plain ``pytest.fixture`` that nobody runs: pytest-asyncio does so in auto mode alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from codemods.project.fixtures_graph import Suite
from codemods.project.pytest_config import find_config
from codemods.project.pytest_syntax import Fixture, Test
from codemods.project.tree import Project

_STRICT_BY_DEFAULT = "0.19.0"
"""Before, the default mode was legacy, which runs every async fixture."""
_AUTO = re.compile(rb"asyncio[-_]mode[\"' =:,]+auto")
_COMMANDS = ("tox.ini", "noxfile.py", "Makefile", "justfile", "setup.cfg", "pyproject.toml")
"""Files whose commands may call pytest with another mode."""
_OTHER_PLUGINS = frozenset(
    {"nursery", "autojump_clock", "aiohttp_client", "aiohttp_server", "aiohttp_raw_server", "loop"}
)
"""Fixtures of plugins that run async fixtures themselves."""
_TAKEN_BY_HAND = ("anext", "aiter", "__anext__", "asend", "aclose", "__aiter__")


@dataclass(frozen=True, eq=False)
class PlainFixture:
    """An async fixture that nobody runs, with the async tests that reach it."""

    fixture: Fixture
    tests: list[Test]


def is_strict(project: Project, folder: Path) -> bool:
    """Whether pytest-asyncio runs in strict mode there, by the configuration and by the commands of the project."""
    config = find_config(project, folder)
    if config.is_auto or config.without_asyncio:
        return False
    sources = (project.source(project.name(config.rootdir / name)) for name in _COMMANDS)
    return not any(_AUTO.search(source.data) for source in sources if source)


def plain_fixtures(project: Project, suite: Suite) -> Iterator[PlainFixture]:
    """Every such fixture of a suite that a test of pytest-asyncio reaches and no other plugin runs."""
    if not is_strict(project, suite.config.rootdir) or suite.version.older_than(_STRICT_BY_DEFAULT):
        return
    if any("asyncio_mode" in module.text for module in suite.modules if module.path.endswith("conftest.py")):
        return
    reached: dict[Fixture, list[Test]] = {}
    names: set[str] = {fixture.name for fixture in suite.fixtures}
    of_anyio: set[Fixture] = set()
    for test in suite.tests:
        found, foreign = suite.reach(test)
        names |= foreign
        plain = [fixture for fixture in found if fixture.is_async and not fixture.is_asyncio]
        if test.other_runner or "anyio_backend" in foreign.union(fixture.name for fixture in found):
            of_anyio.update(plain)
        for fixture in plain:
            reached.setdefault(fixture, []).append(test)
    if names & _OTHER_PLUGINS:
        return
    for fixture in suite.fixtures:
        tests = [test for test in reached.get(fixture, ()) if suite.runs_test(test)]
        if tests and fixture not in of_anyio and not any(_takes_by_hand(test, fixture) for test in reached[fixture]):
            yield PlainFixture(fixture, tests)


def _takes_by_hand(test: Test, fixture: Fixture) -> bool:
    """Whether a test awaits or iterates the bare coroutine or generator that it gets."""
    module = test.module
    for use in module.uses(fixture.name, test.node):
        parent = module.parent(use)
        if isinstance(parent, ast.Await) or (
            isinstance(parent, ast.AsyncFor | ast.comprehension) and parent.iter is use
        ):
            return True
        name = parent.attr if isinstance(parent, ast.Attribute) else ""
        if isinstance(parent, ast.Call) and isinstance(parent.func, ast.Name):
            name = parent.func.id
        if name in _TAKEN_BY_HAND:
            return True
    return False
