"""Which pytest-asyncio a folder uses: each source alone, each pair in conflict, and the forms that a demand takes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from pathlib import Path

import pytest

from codemods.project.pytest_asyncio_version import Versions, find_version
from codemods.project.tree import Project

Files = dict[str, str]


def project(directory: Path, files: Files, **settings: object) -> Project:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Project(directory, {}, **{"environ": {}, **settings})  # type: ignore[arg-type]


def version(directory: Path, files: Files, folder: str = ".") -> str:
    return str(find_version(project(directory, files), directory / folder))


def installed(folder: str, version: str) -> Files:
    metadata = f"Metadata-Version: 2.4\nName: pytest-asyncio\nVersion: {version}\n"
    return {f"{folder}/lib/python3.11/site-packages/pytest_asyncio-{version}.dist-info/METADATA": metadata}


def lock(version: str, table: str = "package") -> str:
    """A lock with another package, and with ours named among its dependencies, before ours."""
    return (
        f'version = 1\n\n[[{table}]]\nname = "shop"\nversion = "9"\ndependencies = [{{ name = "pytest-asyncio" }}]\n\n'
        f'[[{table}]]\nname = "pytest-asyncio"\nversion = "{version}"\ndescription = "Pytest support for asyncio"\n'
    )


SOURCES: dict[str, tuple[int, Callable[[str], Files]]] = {
    "--python": (1, lambda v: installed("named", v)),
    "VIRTUAL_ENV": (2, lambda v: installed("active", v)),
    ".venv": (3, lambda v: installed(".venv", v)),
    "venv": (4, lambda v: installed("venv", v)),
    "uv.lock": (5, lambda v: {"uv.lock": lock(v)}),
    "poetry.lock": (5, lambda v: {"poetry.lock": lock(v)}),
    "pdm.lock": (5, lambda v: {"pdm.lock": lock(v)}),
    "pylock.toml": (5, lambda v: {"pylock.toml": lock(v, "packages")}),
    "pin": (6, lambda v: {"requirements.txt": f"pytest-asyncio=={v}\n"}),
    "hashed": (6, lambda v: {"a-requirements.txt": f"pytest-asyncio=={v} \\\n  --hash=sha256:0 \\\n  --hash=sha256:1"}),
    "included": (6, lambda v: {"requirements/test.txt": "-r deep.in", "requirements/deep.in": f"pytest-asyncio=={v}"}),
    "rye": (6, lambda v: {"requirements-dev.lock": f"pytest-asyncio=={v}\n    # via shop\n"}),
    "pinned group": (6, lambda v: {"pyproject.toml": f'[dependency-groups]\nt = ["pytest-asyncio=={v}"]\n'}),
    "pinned setup.cfg": (6, lambda v: {"setup.cfg": f"[options.extras_require]\ntest =\n  pytest-asyncio=={v}\n"}),
    "pinned tox.ini": (6, lambda v: {"tox.ini": f"[testenv]\ndeps = pytest-asyncio=={v}\n"}),
    "pinned setup.py": (6, lambda v: {"setup.py": f"setup(extras_require={{'t': ['pytest-asyncio=={v}']}})\n"}),
    "range": (7, lambda v: {"test-requirements.txt": f"pytest-asyncio~={v}\n"}),
    "poetry range": (7, lambda v: {"pyproject.toml": f'[tool.poetry.dev-dependencies]\npytest-asyncio = "~{v}"\n'}),
    "tox range": (7, lambda v: {"tox.ini": f"[testenv]\ndeps =\n  py39: pytest_asyncio ~= {v}\n"}),
    "setting": (8, lambda v: {"loopmend.toml": f'pytest-asyncio-version = "{v}"\n'}),
}  # fmt: skip
"""The sources by rank: the surest first. What is of one rank counts alike."""
OLD, NEW = "0.23.8", "1.1.0"


def found_with(directory: Path, said: dict[str, str]) -> str:
    files: Files = {}
    for source, text in said.items():
        files |= SOURCES[source][1](text)
    settings: dict[str, object] = {}
    if "--python" in said:
        settings["python"] = directory / "named/bin/python"
    if "VIRTUAL_ENV" in said:
        settings["environ"] = {"VIRTUAL_ENV": str(directory / "active")}
    return str(find_version(project(directory, files, **settings), directory))


@pytest.mark.parametrize("source", SOURCES)
def test_each_source_alone_says_the_version(tmp_path: Path, source: str) -> None:
    assert OLD in found_with(tmp_path / "a", {source: OLD})
    assert NEW in found_with(tmp_path / "b", {source: NEW})


@pytest.mark.parametrize(("one", "other"), [*permutations(SOURCES, 2)])
def test_of_two_sources_the_surer_one_wins_and_of_one_rank_none(tmp_path: Path, one: str, other: str) -> None:
    (rank, of_one), (other_rank, of_other) = SOURCES[one], SOURCES[other]
    found = found_with(tmp_path, {one: OLD, other: NEW})
    if rank == other_rank:
        assert found == "unknown"
    elif not of_one(OLD).keys() & of_other(NEW).keys():
        assert (OLD if rank < other_rank else NEW) in found
        assert (NEW if rank < other_rank else OLD) not in found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pytest-asyncio==0.23.8", "0.23.8"),
        ("Pytest_Asyncio == 0.23.8  # why", "0.23.8"),
        ("pytest.asyncio[docs,testing]>=0.24,<1", ">=0.24,<1"),
        ("pytest-asyncio===1.1.0", "1.1.0"),
        ("pytest-asyncio===nightly", "unknown"),
        ("pytest-asyncio==1.1.0; python_version >= '3.9'", "1.1.0"),
        ("pytest-asyncio<0.24; python_version < '3.9'\npytest-asyncio>=1; python_version >= '3.9'", "unknown"),
        ("pytest-asyncio>=0.24; python_version < '3.9'\npytest-asyncio>=1; python_version >= '3.9'", ">=0.24"),
        ("pytest-asyncio>=0.24\npytest-asyncio<1", ">=0.24,<1"),
        ("pytest-asyncio>=1\npytest-asyncio<0.24", "unknown"),
        ("pytest-asyncio==1.1.0 --hash=sha256:0 --hash=sha256:1", "1.1.0"),
        ("pytest-asyncio==1.1.0 ; python_full_version >= '3.10' \\\n    --hash=sha256:0\n    # via shop", "1.1.0"),
        ("pytest-asyncio", "unknown"),
        ("pytest-asyncio==${PINNED}", "unknown"),
        ("pytest-asyncio @ git+https://forge.example/pytest-asyncio@main", "unknown"),
        ("-e git+https://forge.example/pytest-asyncio#egg=pytest-asyncio", "unknown"),
        ("# note: pytest-asyncio==0.21", "unknown"),
        ("pytest # pytest-asyncio==0.21", "unknown"),
        ("pytest-asyncio-cooperative==0.21", "unknown"),
        ("-r missing.txt\n-c loop.txt\nother", "unknown"),
    ],
)
def test_the_lines_of_a_requirements_file(tmp_path: Path, text: str, expected: str) -> None:
    files = {"requirements.txt": text, "loop.txt": "-r requirements.txt"}
    assert version(tmp_path, files).removesuffix(" (requirements.txt)") == expected


@pytest.mark.parametrize("include", ["-r", "-c", "-r ", "--requirement ", "--requirement=", "--constraint "])
def test_what_a_list_includes_holds_for_it_and_not_by_itself(tmp_path: Path, include: str) -> None:
    files = {
        "requirements/base.txt": "pytest-asyncio\n",
        "requirements/dev.txt": f"-r base.txt\n{include}../pins/all.txt  # the versions\n",
        "pins/all.txt": "pytest-asyncio==0.25.3\n",
    }
    assert version(tmp_path, files) == "0.25.3 (requirements/dev.txt)"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[project]\ndependencies = ["pytest-asyncio>=1"]', ">=1"),
        ('[project.optional-dependencies]\ntest = ["pytest_asyncio[docs]>=1"]', ">=1"),
        ('[dependency-groups]\ntest = ["pytest-asyncio>=1"]\ndev = [{include-group = "test"}]', ">=1"),
        ('[dependency-groups]\nA-A = ["pytest-asyncio>=1"]\nd = [{include-group = "a_a"}, "pytest-asyncio<2"]', ">=1"),
        ('[dependency-groups]\na = [{include-group = "b"}, "pytest-asyncio>=1"]\nb = [{include-group = "a"}]', ">=1"),
        ('[dependency-groups]\na = ["pytest-asyncio>=1"]\nb = ["pytest-asyncio<0.24"]', "unknown"),
        ('[project]\ndependencies = ["pytest-asyncio>=1"]\n[dependency-groups]\na = ["pytest-asyncio"]', ">=1"),
        ('[tool.pdm.dev-dependencies]\ntest = ["pytest-asyncio>=1"]', ">=1"),
        ('[tool.uv]\ndev-dependencies = ["pytest-asyncio>=1"]', ">=1"),
        ('[tool.hatch.envs.default]\ndependencies = ["pytest-asyncio>=1"]', ">=1"),
        ('[tool.hatch.envs.hatch-test]\nextra-dependencies = ["pytest-asyncio>=1"]', ">=1"),
        ('[tool.poetry.dependencies]\npytest-asyncio = {version = "^1.1", optional = true}', ">=1.1,<2"),
        ('[tool.poetry.group.dev.dependencies]\nPytest_Asyncio = "^0.21"', ">=0.21,<0.22"),
        ('[tool.poetry.dev-dependencies]\npytest-asyncio = {git = "https://forge.example"}', "unknown"),
        ('[tool.poetry.dev-dependencies]\npytest-asyncio = [{version = "<0.24", python = "<3.9"}, "^1"]', "unknown"),
        ('[tool.poetry]\ngroup.a.dependencies.pytest-asyncio = "^1"\ndependencies.pytest-asyncio = "?"', "unknown"),
        ("tool = 1", "unknown"),
        ("tool.poetry = [1]\nproject = 2\ndependency-groups = 3", "unknown"),
        ('[tool]\nloopmend = "x"\npoetry.group = {dev = 1}\nhatch.envs = {a = 2}', "unknown"),
        ('[dependency-groups]\na = "pytest-asyncio>=1"\nb = [1, {}, {include-group = 2}]', "unknown"),
        ("[project\n", "unknown"),
    ],
)  # fmt: skip
def test_the_tables_of_a_pyproject(tmp_path: Path, text: str, expected: str) -> None:
    assert version(tmp_path, {"pyproject.toml": text}).removesuffix(" (pyproject.toml)") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (lock("1.1.0").replace("\n", "\r\n"), "1.1.0"),
        (lock("0.23.8") + lock("1.1.0"), "unknown"),
        (lock("1.1.0") + lock("1.5.0"), ">=1.1.0,<=1.5.0"),
        ("<<<<<<< ours\n" + lock("0.23.8") + "=======\n" + lock("1.1.0") + ">>>>>>> theirs\n", "unknown"),
        (lock("1.1.0")[:-70], "unknown"),
        (lock("nightly"), "unknown"),
        ('[[package]]\nname = "pytest-asyncio"\nsource = { editable = "." }\n', "unknown"),
        ("\x00\x01", "unknown"),
    ],
)
def test_locks_of_several_versions_and_broken_ones(tmp_path: Path, text: str, expected: str) -> None:
    assert version(tmp_path, {"uv.lock": text}).removesuffix(" (uv.lock)") == expected


def test_of_many_files_that_agree_two_are_named(tmp_path: Path) -> None:
    files = {f"requirements/{name}.txt": "pytest-asyncio==1.1.0\n" for name in "abcd"}
    assert version(tmp_path, files) == "1.1.0 (requirements/a.txt, requirements/b.txt and 2 more)"


def test_files_that_cannot_be_read_say_nothing(tmp_path: Path) -> None:
    for name in ("uv.lock", "requirements.txt", "setup.cfg"):
        (tmp_path / name).mkdir()
    (tmp_path / "poetry.lock").write_bytes(lock(NEW).encode("utf-16"))
    (tmp_path / "pyproject.toml").write_bytes(b"\xff\xfe\xfd")
    assert version(tmp_path, {}) == "unknown"


@pytest.mark.parametrize(
    ("text", "at_least", "older_than"),
    [
        ("0.24.0a1", ["0.23.0"], ["0.24.0", "1.0.0"]),  # before what it leads to, as pip has it
        ("1.0.0.dev3", ["0.26.0"], ["1.0.0"]),
        ("1.0.0rc1", ["0.26.0"], ["1.0.0"]),
        ("1.0.0.post1", ["1.0.0"], []),
        ("1.2.1.dev5+gabcdef.d20251121", ["1.2.0"], ["1.2.1"]),
        ("0.25.3+ours.1", ["0.25.3", "0.24.0"], ["0.26.0"]),
        ("0.22.0", [], ["0.23.0", "0.24.0"]),  # yanked, and whoever pins it has it all the same
    ],
)
def test_versions_that_are_no_plain_release(
    tmp_path: Path, text: str, at_least: list[str], older_than: list[str]
) -> None:
    for files in (installed(".venv", text), {"uv.lock": lock(text)}, {"requirements.txt": f"pytest-asyncio=={text}"}):
        name = str(len(list(tmp_path.iterdir())))
        found = find_version(project(tmp_path / name, files), tmp_path / name)
        assert all(found.at_least(limit) for limit in at_least)
        assert all(found.older_than(limit) for limit in older_than)


def test_what_an_upgrade_left_behind_counts_too(tmp_path: Path) -> None:
    assert version(tmp_path, {**installed(".venv", OLD), **installed(".venv", NEW)}) == "unknown"
    broken = {".venv/lib/python3.11/site-packages/pytest_asyncio-1.1.0.dist-info/METADATA": "Name: x\n"}
    assert version(tmp_path / "other", broken) == "unknown"


def test_a_named_environment_without_it_leaves_the_version_unknown(tmp_path: Path) -> None:
    there = project(tmp_path, {"uv.lock": lock(NEW), "other/bin/python": ""}, python=tmp_path / "other/bin/python")
    assert str(find_version(there, tmp_path)) == "unknown"


def test_the_active_environment_counts_only_with_pytest_asyncio_in_it(tmp_path: Path) -> None:
    pytest_alone = {"tool/lib/python3.11/site-packages/pytest-9.0.0.dist-info/METADATA": "Version: 9.0.0\n"}
    files = {"uv.lock": lock("0.25.3") + lock("8.4.2").replace("-asyncio", ""), **pytest_alone}
    active = project(tmp_path, files, environ={"VIRTUAL_ENV": str(tmp_path / "tool")})
    assert str(find_version(active, tmp_path)) == "0.25.3 (uv.lock)"
    assert str(find_version(active, tmp_path, "pytest")) == "8.4.2 (uv.lock)"


MONOREPO = {
    ".git/HEAD": "",
    "pyproject.toml": "[tool.pytest.ini_options]\n",
    "uv.lock": lock("0.25.3"),
    "shop/pyproject.toml": '[project]\nname = "shop"\n',
    "shop/tests/test_a.py": "",
    "bank/requirements.txt": "pytest-asyncio==1.1.0\n",
    "bank/tests/test_a.py": "",
    "old/setup.cfg": "[options.extras_require]\ntest = pytest-asyncio<0.23\n",
    "old/tests/test_a.py": "",
}


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (["shop/tests"], "0.25.3 (uv.lock)"),
        (["bank/tests"], "1.1.0 (bank/requirements.txt)"),
        (["old/tests"], "<0.23 (old/setup.cfg)"),
        (["shop/tests", "bank/tests"], ">=0.25.3,<=1.1.0 (uv.lock, bank/requirements.txt)"),
        (["bank/tests", "old/tests"], "<=1.1.0 (bank/requirements.txt, old/setup.cfg)"),
    ],
)
def test_members_of_a_monorepo_have_their_own_and_one_suite_has_all(
    tmp_path: Path, folders: list[str], expected: str
) -> None:
    versions = Versions(project(tmp_path, MONOREPO))
    assert str(versions.of_all([tmp_path / folder for folder in folders])) == expected


def test_a_member_that_says_nothing_certain_leaves_it_to_the_folder_above(tmp_path: Path) -> None:
    files = {"uv.lock": lock("0.25.3"), "member/pyproject.toml": '[project]\ndependencies = ["pytest-asyncio>=0.21"]\n'}
    assert version(tmp_path, files, "member") == "0.25.3 (uv.lock)"


def test_one_unknown_member_makes_the_suite_unknown(tmp_path: Path) -> None:
    files = {name: text for name, text in MONOREPO.items() if name != "uv.lock"}
    versions = Versions(project(tmp_path, files))
    assert str(versions.of_all([tmp_path / "shop/tests", tmp_path / "bank/tests"])) == "unknown"


def test_nothing_above_the_repository_counts(tmp_path: Path) -> None:
    files = {"uv.lock": lock(NEW), "repository/.git/HEAD": "", "repository/tests/test_a.py": ""}
    assert version(tmp_path, files, "repository/tests") == "unknown"


def test_a_project_elsewhere_is_looked_at_from_its_own_top(tmp_path: Path) -> None:
    files = {"shop/pyproject.toml": '[dependency-groups]\nt = ["pytest-asyncio>=1"]\n', "shop/tests/unit/a.py": ""}
    project(tmp_path, files)
    elsewhere = Project(tmp_path / "other", {}, environ={})
    assert str(find_version(elsewhere, tmp_path / "shop/tests/unit")).startswith(">=1")
