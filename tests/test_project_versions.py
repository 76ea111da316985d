"""Which pytest-asyncio a folder uses, and which file configures pytest."""

from __future__ import annotations

from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from codemods.project.pytest_asyncio_version import find_version
from codemods.project.pytest_config import find_config
from codemods.project.requirements import Bounds, of_poetry, of_specifiers, pinned
from codemods.project.tree import Project


def project(directory: Path, files: dict[str, str], **settings: object) -> Project:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Project(directory, {}, environ={}, **settings)  # type: ignore[arg-type]


def installed(folder: str, version: str) -> dict[str, str]:
    metadata = f"Metadata-Version: 2.4\nName: pytest-asyncio\nVersion: {version}\n"
    return {f"{folder}/lib/python3.11/site-packages/pytest_asyncio-{version}.dist-info/METADATA": metadata}


UV_LOCK = '[[package]]\nname = "pytest-asyncio"\nversion = "0.25.3"\n'
PYPROJECT = '[project]\nname = "x"\n[project.optional-dependencies]\ntest = ["pytest_asyncio>=1.0"]\n'
SETTING = '[tool.loopmend]\npytest-asyncio-version = "0.26"\n'


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, "unknown"),
        ({"uv.lock": UV_LOCK}, "0.25.3 (uv.lock)"),
        ({"uv.lock": UV_LOCK, **installed(".venv", "1.3.0")}, "1.3.0 (installed in .venv)"),
        ({"uv.lock": UV_LOCK.replace("\n", "\r\n"), "pyproject.toml": PYPROJECT}, "0.25.3 (uv.lock)"),
        ({"pyproject.toml": PYPROJECT}, ">=1.0 (pyproject.toml)"),
        ({"requirements.txt": "a\npytest-asyncio==0.23.8 \\\n    --hash=sha256:0\n"}, "0.23.8 (requirements.txt)"),
        ({"pyproject.toml": PYPROJECT.replace(">=1.0", ">=0.21")}, "unknown"),
        ({"pyproject.toml": PYPROJECT.replace(">=1.0", ">=0.21") + SETTING}, "0.26"),
        ({"pyproject.toml": '[tool.poetry.group.dev.dependencies]\npytest-asyncio = "^0.21"\n'}, ">=0.21,<0.22"),
        ({"setup.cfg": "[options.extras_require]\ntest =\n  pytest-asyncio>=0.24,<1\n"}, ">=0.24,<1 (setup.cfg)"),
        ({"tox.ini": "[testenv]\ndeps =\n  pytest-asyncio < 0.23\n"}, "<0.23 (tox.ini)"),
        ({"setup.py": "setup(tests_require=['pytest', 'pytest-asyncio>=0.24'])\n"}, ">=0.24 (setup.py)"),
        ({"setup.cfg": "pytest-asyncio-cooperative==1.0\n"}, "unknown"),
    ],
)
def test_the_version_comes_from_the_surest_file(tmp_path: Path, files: dict[str, str], expected: str) -> None:
    assert str(find_version(project(tmp_path, files), tmp_path)).startswith(expected)


def test_a_range_that_decides_nothing_leaves_it_to_the_folder_above(tmp_path: Path) -> None:
    files = {"uv.lock": UV_LOCK, "member/pyproject.toml": PYPROJECT.replace(">=1.0", "")}
    assert str(find_version(project(tmp_path, files), tmp_path / "member")) == "0.25.3 (uv.lock)"


def test_nothing_above_the_repository_counts(tmp_path: Path) -> None:
    files = {"uv.lock": UV_LOCK, "repository/.git/HEAD": "", "repository/tests/test_a.py": ""}
    assert str(find_version(project(tmp_path, files), tmp_path / "repository/tests")) == "unknown"


def test_the_named_environment_comes_before_all_others(tmp_path: Path) -> None:
    files = {**installed(".venv", "1.3.0"), **installed("other", "0.24.0")}
    there = project(tmp_path, files, python=tmp_path / "other/bin/python")
    assert str(find_version(there, tmp_path)) == "0.24.0 (installed in other)"


def test_the_active_environment_counts_only_with_pytest_asyncio_in_it(tmp_path: Path) -> None:
    files = {"uv.lock": UV_LOCK, "tool/bin/python": "", **installed("active", "1.1.0")}
    there = project(tmp_path, files)
    for folder, expected in (("tool", "0.25.3 (uv.lock)"), ("active", "1.1.0 (installed in active)")):
        active = Project(tmp_path, {}, environ={"VIRTUAL_ENV": str(tmp_path / folder)})
        assert str(find_version(active, there.directory)) == expected


@pytest.mark.parametrize(
    ("specifiers", "at_least_024", "older_than_024"),
    [
        (">=0.24", True, False),
        ("<0.24", False, True),
        ("<=0.24", False, False),
        ("~=0.23.5", False, True),
        ("~=0.24", True, False),
        ("==0.23.*", False, True),
        (">=0.21,<0.24", False, True),
        (">=0.21", False, False),
        ("!=0.23", False, False),
        ("", False, False),
    ],
)
def test_bounds_of_specifiers(specifiers: str, at_least_024: bool, older_than_024: bool) -> None:
    bounds = of_specifiers(SpecifierSet(specifiers))
    assert (bounds.at_least("0.24.0"), bounds.older_than("0.24.0")) == (at_least_024, older_than_024)


@pytest.mark.parametrize(
    ("constraint", "expected"),
    [
        ("^0.23.2", of_specifiers(SpecifierSet(">=0.23.2,<0.24"))),
        ("^1.1", of_specifiers(SpecifierSet(">=1.1,<2"))),
        ("~0.24", of_specifiers(SpecifierSet(">=0.24,<0.25"))),
        ("0.24.0", of_specifiers(SpecifierSet("==0.24.0"))),
        ("*", Bounds()),
        ("not a version", None),
    ],
)
def test_bounds_of_poetry(constraint: str, expected: Bounds | None) -> None:
    assert of_poetry(constraint) == expected


def test_several_demands_of_one_file_are_joined() -> None:
    bounds = pinned("pytest-asyncio==0.21\npytest-asyncio==1.0\n", "pytest-asyncio")
    assert bounds is not None
    assert not bounds.at_least("0.24")
    assert not bounds.older_than("0.24")


TABLE = '[tool.pytest.ini_options]\nasyncio_mode = "auto"\n'


@pytest.mark.parametrize(
    ("files", "winner", "auto"),
    [
        ({"pyproject.toml": TABLE}, "pyproject.toml", True),
        ({"pyproject.toml": TABLE, "pytest.ini": ""}, "pytest.ini", False),
        ({"pyproject.toml": TABLE, "pytest.toml": "", "pytest.ini": ""}, "pytest.toml", False),
        ({"pyproject.toml": TABLE, "pytest.toml": "", "uv.lock": '[[package]]\nname = "pytest"\nversion = "8.4.2"\n'},
         "pyproject.toml", True),
        ({"pyproject.toml": "[project]\n", "tox.ini": "[pytest]\nasyncio_mode = auto\n"}, "tox.ini", True),
        ({"tox.ini": "[tox]\n", "setup.cfg": "[tool:pytest]\naddopts = --asyncio-mode=auto\n"}, "setup.cfg", True),
        ({"setup.cfg": "[tool:pytest]\naddopts = -o asyncio_mode=auto\n"}, "setup.cfg", True),
        ({"setup.cfg": "[tool:pytest]\naddopts = --asyncio-mode auto -q\n"}, "setup.cfg", True),
        ({"pyproject.toml": '[tool.pytest]\nasyncio_mode = "auto"\n'}, "pyproject.toml", True),
        ({"pyproject.toml": "[project]\n"}, "pyproject.toml", False),
        ({}, "", False),
    ],
)  # fmt: skip
def test_the_winning_configuration(tmp_path: Path, files: dict[str, str], winner: str, auto: bool) -> None:
    config = find_config(project(tmp_path, files), tmp_path / "tests")
    assert (config.path, config.is_auto) == (winner, auto)


@pytest.mark.parametrize("text", ["[tool.pytest\n", '[tool.pytest]\na = "b"\n[tool.pytest.ini_options]\nc = "d"\n'])
def test_a_configuration_that_pytest_refuses_is_never_written_to(tmp_path: Path, text: str) -> None:
    config = find_config(project(tmp_path, {"pyproject.toml": text}), tmp_path)
    assert not config.may_write


def test_a_project_elsewhere_is_looked_at_from_its_own_top(tmp_path: Path) -> None:
    project(tmp_path, {"shop/pyproject.toml": PYPROJECT, "shop/tests/unit/conftest.py": "", "other/x": ""})
    elsewhere = Project(tmp_path / "other", {}, environ={})
    assert str(find_version(elsewhere, tmp_path / "shop/tests/unit")).startswith(">=1.0")
    assert find_config(elsewhere, tmp_path / "shop/tests/unit").rootdir == tmp_path / "shop"
