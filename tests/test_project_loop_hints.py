"""What gives the project rules a reason to parse a suite, and that nothing is lost by asking first."""

from __future__ import annotations

from pathlib import Path

import pytest

from codemods.engine.analyse import Analyser
from codemods.engine.settings import Settings
from codemods.project.loop_hints import loops_may_differ, says_scope
from codemods.project.tree import Project
from codemods.source import Source
from tests.test_project_fixtures import CASES, find

ASYNC = "async def db():\n    yield 1\n"
PLAIN = f"import pytest_asyncio\n\n@pytest_asyncio.fixture\n{ASYNC}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PLAIN, False),
        (PLAIN.replace("fixture", "fixture(scope='session')"), True),
        (PLAIN.replace("fixture", "fixture(loop_scope='function')"), True),
        ("@pytest.fixture(scope='session')\ndef port():\n    scope = 1\n", False),
        ("pytestmark = [pytest.mark.asyncio(scope = 'module')]\n", True),
        ("@pytest.mark.asyncio(loop_scope='class')\nclass TestIt: ...\n", True),
        ("pytest.param(1, marks=pytest.mark.asyncio(scope='module'))\n", True),
        ("scope = 'session'\n", False),
        ("print 'loop_scope'\n", False),
    ],
)
def test_a_scope_of_a_loop_is_seen_in_the_code(text: str, expected: bool) -> None:
    assert says_scope(Source("test_it.py", text.encode())) is expected


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("pytest.ini", "[pytest]\nasyncio_mode = auto\n", False),
        ("pytest.ini", "[pytest]\nasyncio_default_fixture_loop_scope = function\n", False),
        ("pytest.ini", "[pytest]\nasyncio_default_fixture_loop_scope = session\n", True),
        ("tox.ini", "[pytest]\nasyncio_default_test_loop_scope = session\n", True),
        ("setup.cfg", "[tool:pytest]\naddopts = -o asyncio_default_fixture_loop_scope=session\n", True),
        (
            "pyproject.toml",
            "[tool.pytest.ini_options]\nasyncio_default_fixture_loop_scope = 'module'\n"
            "asyncio_default_test_loop_scope = 'module'\n",
            False,
        ),
    ],
)
def test_a_configuration_may_give_fixtures_and_tests_different_loops(
    tmp_path: Path, name: str, text: str, expected: bool
) -> None:
    (tmp_path / name).write_text(text)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "conftest.py").write_text(PLAIN)
    assert loops_may_differ(Project(tmp_path, {}), ["tests/conftest.py"]) is expected


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_a_rule_starts_wherever_it_finds_something(case: Path) -> None:
    analyser = Analyser(Settings())
    before = case / "before"
    triggers: dict[str, list[str]] = {}
    for path in before.rglob("*.py"):
        for code in analyser.interest(path.name, path.read_bytes()).triggers:
            triggers.setdefault(code, []).append(path.relative_to(before).as_posix())
    started = {entry.code for entry in analyser.starting(Project(before, {}, environ={}), triggers)}
    assert {finding.code for finding in find(before)} <= started
