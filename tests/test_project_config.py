"""Which file configures pytest, and what it says: held against pytest itself."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from codemods.project.pytest_config import FIXTURE_OPTION, TEST_OPTION, find_config
from codemods.project.tree import Project
from tests.test_project_fixtures import PYTEST, environment
from tests.test_project_versions import project

TABLE = "[tool.pytest.ini_options]\n"
AUTO = f'{TABLE}asyncio_mode = "auto"\n'
NATIVE = '[tool.pytest]\nasyncio_mode = "auto"\n'
SECTION = "[pytest]\n"
INI = f"{SECTION}asyncio_mode = auto\n"
BOTH = f"{FIXTURE_OPTION} = session\n{TEST_OPTION} = module\n"


class Layout(NamedTuple):
    files: dict[str, str]
    folder: str = "."
    """Of the tests; pytest is called with it from the top."""


LAYOUTS = {
    "nothing": Layout({}),
    "only setup.py": Layout({"a/setup.py": "", "a/tests/x": ""}, "a/tests"),
    "setup.py below a configuration": Layout({"tox.ini": INI, "a/setup.py": "", "a/tests/x": ""}, "a/tests"),
    "pyproject": Layout({"pyproject.toml": AUTO}),
    "pyproject without a table": Layout({"pyproject.toml": "[project]\n", "tests/x": ""}, "tests"),
    "pyproject without a table below one with": Layout({"pyproject.toml": AUTO, "a/pyproject.toml": ""}, "a"),
    "two pyprojects without a table": Layout({"pyproject.toml": "", "a/pyproject.toml": "", "a/b/x": ""}, "a/b"),
    "two pyprojects with tables": Layout({"pyproject.toml": TABLE, "a/pyproject.toml": AUTO}, "a"),
    "an empty table": Layout({"pyproject.toml": TABLE, "tox.ini": INI}),
    "native table": Layout({"pyproject.toml": NATIVE}),
    "an empty native table": Layout({"pyproject.toml": "[tool.pytest]\n", "tox.ini": INI}),
    "dotted native keys": Layout({"pyproject.toml": 'tool.pytest.asyncio_mode = "auto"\n', "setup.cfg": ""}),
    "both tables, the native one empty": Layout({"pyproject.toml": "[tool.pytest]\n" + AUTO}),
    "both tables, the other one empty": Layout({"pyproject.toml": NATIVE + TABLE}),
    "pytest.toml": Layout({"pytest.toml": '[pytest]\nasyncio_mode = "auto"\n', "pyproject.toml": TABLE}),
    "an empty pytest.toml": Layout({"pytest.toml": "", "pytest.ini": INI}),
    ".pytest.toml": Layout({".pytest.toml": '[pytest]\nasyncio_mode = "auto"\n', "pytest.ini": SECTION}),
    "pytest.toml before .pytest.toml": Layout({".pytest.toml": '[pytest]\nasyncio_mode = "auto"\n', "pytest.toml": ""}),
    "pytest.ini": Layout({"pytest.ini": INI + BOTH, "pyproject.toml": TABLE}),
    "an empty pytest.ini": Layout({"pytest.ini": "", "pyproject.toml": AUTO}),
    "a pytest.ini with another section": Layout({"pytest.ini": "[tool:pytest]\nasyncio_mode = auto\n", "tox.ini": INI}),
    ".pytest.ini": Layout({".pytest.ini": INI, "tox.ini": SECTION}),
    "an empty .pytest.ini": Layout({".pytest.ini": "", "tox.ini": INI}),
    "pytest.ini before .pytest.ini": Layout({".pytest.ini": INI, "pytest.ini": ""}),
    "tox.ini": Layout({"tox.ini": f"[tox]\nenvlist = py\n\n{INI}{BOTH}"}),
    "tox.ini without a section": Layout({"tox.ini": "[tox]\n", "setup.cfg": "[tool:pytest]\nasyncio_mode = auto\n"}),
    "tox.ini before setup.cfg": Layout({"tox.ini": SECTION, "setup.cfg": "[tool:pytest]\nasyncio_mode = auto\n"}),
    "setup.cfg": Layout({"setup.cfg": f"[metadata]\nname = x\n\n[tool:pytest]\nasyncio_mode = auto\n{BOTH}"}),
    "setup.cfg without a section": Layout({"setup.cfg": "[metadata]\n", "a/b/x": ""}, "a/b"),
    "nearest wins": Layout({"pytest.ini": INI, "a/b/tox.ini": SECTION, "a/b/c/x": ""}, "a/b/c"),
    "nothing of pytest's in between": Layout({"pytest.ini": INI, "a/tox.ini": "[tox]\n", "a/setup.cfg": "[x]\n"}, "a"),
    "addopts, joined": Layout({"pytest.ini": "[pytest]\naddopts = -q --asyncio-mode=auto\n"}),
    "addopts, apart": Layout({"setup.cfg": "[tool:pytest]\naddopts = --asyncio-mode auto -q\n"}),
    "addopts over the option": Layout({"pytest.ini": INI + "addopts = --asyncio-mode=strict\n"}),
    "addopts twice": Layout({"pytest.ini": "[pytest]\naddopts = --asyncio-mode=strict --asyncio-mode=auto\n"}),
    "addopts in a list": Layout({"pyproject.toml": f"{TABLE}addopts = ['-q', '--asyncio-mode=auto']\n"}),
    "addopts on lines": Layout({"tox.ini": "[pytest]\naddopts =\n    -q\n    --asyncio-mode=auto\n"}),
    "an override": Layout({"pytest.ini": f"{SECTION}addopts = -o asyncio_mode=auto -o {TEST_OPTION}=class\n{BOTH}"}),
    "an override, joined": Layout({"pytest.ini": f"{SECTION}addopts = --override-ini={FIXTURE_OPTION}=class\n{BOTH}"}),
    "a short override, joined": Layout({"pytest.ini": f"[pytest]\naddopts = -o{FIXTURE_OPTION}=class\n{BOTH}"}),
    "testpaths": Layout({"pytest.ini": INI + "testpaths = a\n", "a/pytest.ini": SECTION}),
    "an argument into testpaths": Layout({"pytest.ini": INI + "testpaths = a\n", "a/pytest.ini": SECTION}, "a"),
    "a comment": Layout({"pytest.ini": f"{SECTION}# asyncio_mode = auto\n; asyncio_mode = auto\n{BOTH}"}),
    "spaces and colons": Layout({"pytest.ini": f"[pytest]\nasyncio_mode:auto\n{FIXTURE_OPTION}=session\n"}),
    "quoted in TOML": Layout({"pyproject.toml": f"{TABLE}{FIXTURE_OPTION} = 'session'  # why\n"}),
}  # fmt: skip
"""Layouts that pytest accepts. Options before pytest 9 are those that it knows: no native table, no ``pytest.toml``."""
REFUSED = {
    "both tables": {"pyproject.toml": NATIVE + AUTO},
    "broken TOML": {"pyproject.toml": "[tool.pytest.ini_options\n"},
    "a broken ini": {"pytest.ini": "asyncio_mode = auto\n[pytest]\n"},
    "a section of pytest.ini in setup.cfg": {"setup.cfg": INI},
    "options of pytest.toml without a table": {"pytest.toml": 'asyncio_mode = "auto"\n'},
}
VERSIONS = {PYTEST[version]: version for version in ("1.0.0", "1.5.0")}
"""A pytest-asyncio that knows both options, for each pytest: one before the native tables and one after."""
PROBE = """\
import contextlib, io, json, os, sys
import pytest

class Probe:
    def pytest_configure(self, config):
        mode = config.getoption("asyncio_mode") or config.getini("asyncio_mode")
        options = [config.getini(name) or "" for name in OPTIONS]
        self.seen = [str(config.rootpath), str(config.inipath or ""), str(mode) == "auto", *options]

OPTIONS = json.loads(sys.argv[1])
for top, arguments in json.loads(sys.argv[2]):
    os.chdir(top)
    probe = Probe()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            pytest.main([*arguments, "--collect-only", "-p", "no:cacheprovider"], plugins=[probe])
        except BaseException:
            pass
    print(json.dumps(getattr(probe, "seen", None)))
"""


def ask(pytest_version: str, runs: list[tuple[Path, list[str]]]) -> list[object]:
    """What pytest reads in each folder, called with arguments; None where it stops."""
    options = json.dumps([FIXTURE_OPTION, TEST_OPTION])
    command = [str(environment(VERSIONS[pytest_version])), "-c", PROBE, options]
    command.append(json.dumps([(str(top), arguments) for top, arguments in runs]))
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def laid_out(directory: Path, files: dict[str, str], pytest_version: str) -> Project:
    locked = f'[[package]]\nname = "pytest"\nversion = "{pytest_version}"\n'
    return project(directory, {**files, ".git/HEAD": "", "uv.lock": locked})


@pytest.mark.parametrize("pytest_version", VERSIONS)
def test_pytest_itself_takes_the_same_file_and_reads_the_same(tmp_path: Path, pytest_version: str) -> None:
    ours, runs = [], []
    for number, layout in enumerate(LAYOUTS.values()):
        top = tmp_path / str(number)
        config = find_config(laid_out(top, layout.files, pytest_version), top / layout.folder)
        options = [config.option(FIXTURE_OPTION), config.option(TEST_OPTION) or "function"]
        ours.append([str(config.rootdir), str(top / config.path) if config.path else "", config.is_auto, *options])
        runs.append((top, [layout.folder] if layout.folder != "." else []))
    both = zip(LAYOUTS, ours, ask(pytest_version, runs), strict=True)
    differing = [f"{name}: ours {one}, theirs {other}" for name, one, other in both if one != other]
    assert not differing, "\n".join(differing)


def test_what_pytest_refuses_is_never_written_to(tmp_path: Path) -> None:
    newest = PYTEST["1.5.0"]
    projects = {name: laid_out(tmp_path / name.replace(" ", "-"), files, newest) for name, files in REFUSED.items()}
    seen = ask(newest, [(there.directory, []) for there in projects.values()])
    assert dict(zip(REFUSED, seen, strict=True)) == dict.fromkeys(REFUSED)
    for there in projects.values():
        assert not find_config(there, there.directory).may_write


def test_a_native_table_that_an_older_pytest_does_not_see_is_never_written_to(tmp_path: Path) -> None:
    there = laid_out(tmp_path, {"pyproject.toml": NATIVE}, "8.4.2")
    assert not find_config(there, tmp_path).may_write
    assert not find_config(there, tmp_path).is_auto


@pytest.mark.parametrize("text", ["tool = 1", "tool.pytest = 1", "tool.pytest.ini_options = 1", "[[tool.pytest]]"])
def test_tables_that_are_none_configure_nothing(tmp_path: Path, text: str) -> None:
    there = project(tmp_path, {"pyproject.toml": text, "pytest.toml": "pytest = 1"})
    assert not find_config(there, tmp_path).is_auto


def test_a_project_elsewhere_is_looked_at_from_its_own_top(tmp_path: Path) -> None:
    project(tmp_path, {"shop/pyproject.toml": "", "shop/tests/unit/conftest.py": ""})
    elsewhere = Project(tmp_path / "other", {}, environ={})
    assert find_config(elsewhere, tmp_path / "shop/tests/unit").rootdir == tmp_path / "shop"
