from pathlib import Path

import pytest

from codemods.engine.settings import Settings, SettingsError, load, parse_version
from codemods.model import Severity
from tests.conftest import Loopmend


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_every_key_arrives(project: Path) -> None:
    write(
        project / "pyproject.toml",
        """
        [tool.loopmend]
        select = ["LM1"]
        extend-select = ["LM2"]
        ignore = ["LM101"]
        min-severity = "warning"
        unsafe-fixes = true
        exclude = ["a"]
        extend-exclude = ["b"]
        target-version = "3.13"
        output-format = "concise"
        pytest-asyncio-version = "1.2"
        """,
    )
    assert load(project) == Settings(
        select=("LM1",),
        extend_select=("LM2",),
        ignore=("LM101",),
        min_severity=Severity.WARNING,
        unsafe_fixes=True,
        exclude=("a",),
        extend_exclude=("b",),
        target_version=(3, 13),
        output_format="concise",
        pytest_asyncio_version="1.2",
        root=project,
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("selct = []", "unknown key 'selct'; did you mean 'select'?"),
        ("xyz = 1", "unknown key 'xyz'"),
        ("root = '/'", "unknown key 'root'"),
        ("select = 'LM1'", "select: expected a list of strings"),
        ("select = [1]", "select: expected a list of strings"),
        ("unsafe-fixes = 1", "unsafe-fixes: expected true or false"),
        ("min-severity = 'warn'", "min-severity: 'warn' is not one of info, warning, error; did you mean 'warning'?"),
        ("target-version = '2.7'", "'2.7' is not a Python version"),
        ("output-format = 'xml'", "output-format: 'xml' is not one of"),
        ("select = [", "pyproject.toml: "),
    ],
)
def test_a_mistake_is_named_with_file_and_key(project: Path, line: str, message: str) -> None:
    write(project / "pyproject.toml", f"[tool.loopmend]\n{line}\n")
    with pytest.raises(SettingsError) as caught:
        load(project)
    assert message in str(caught.value)
    assert str(project / "pyproject.toml") in str(caught.value)


def test_the_nearest_file_about_us_counts(project: Path) -> None:
    write(project / "pyproject.toml", "[tool.loopmend]\nselect = ['LM1']\n")
    write(project / "sub/pyproject.toml", "[project]\nname = 'loopmend-user'\n")
    assert load(project / "sub").select == ("LM1",)
    assert load(project / "sub").root == project
    write(project / "sub/loopmend.toml", "select = ['LM2']\n")
    assert load(project / "sub").select == ("LM2",)
    assert load(project / "sub").root == project / "sub"


def test_nothing_above_the_repository_counts(project: Path) -> None:
    write(project.parent / "loopmend.toml", "select = ['LM1']\n")
    assert load(project).select == ("ALL",)


def test_isolated_and_config(project: Path) -> None:
    write(project / "pyproject.toml", "[tool.loopmend]\nselect = ['LM1']\n")
    other = write(project / "etc/other.toml", "select = ['LM2']\n")
    assert load(project, isolated=True).select == ("ALL",)
    assert load(project, config=other).select == ("LM2",)
    plain = write(project / "etc/pyproject.toml", "")
    with pytest.raises(SettingsError, match=r"no \[tool.loopmend\]"):
        load(project, config=plain)


@pytest.mark.parametrize(
    ("requires", "expected"),
    [(">=3.12", (3, 12)), (">= 3.9, <4", (3, 9)), ("~=3.13", (3, 13)), ("<4", (3, 11)), ("", (3, 11))],
)
def test_the_target_version_comes_from_requires_python(project: Path, requires: str, expected: tuple[int, int]) -> None:
    write(project / "pyproject.toml", f'[project]\nrequires-python = "{requires}"\n')
    assert load(project).target_version == expected


def test_versions_are_written_in_two_ways() -> None:
    assert parse_version("3.12") == parse_version("py312") == (3, 12)


def test_the_command_line_wins(loopmend: Loopmend, project: Path) -> None:
    write(project / "pyproject.toml", "[tool.loopmend]\nignore = ['LM901']\noutput-format = 'json'\n")
    write(project / "a.py", "old_safe()\n")
    assert loopmend("check").out == "[]\n"
    assert loopmend("check", "--ignore", "LM902", "--output-format", "concise").out.startswith("a.py:1:1: LM901")
    assert loopmend("check", "--isolated").out.startswith("a.py:1:1: LM901")


def test_a_mistake_in_the_file_is_exit_code_2(loopmend: Loopmend, project: Path) -> None:
    write(project / "pyproject.toml", "[tool.loopmend]\nselct = []\n")
    result = loopmend("check")
    assert result.code == 2
    assert "did you mean 'select'?" in result.err
