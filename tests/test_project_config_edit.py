"""Options set in pytest's configuration files: what is added, and what stays."""

from __future__ import annotations

import pytest

from codemods.model import Operation
from codemods.project.config_edit import SetPytestOptions, lower
from codemods.source import Source

BOTH = (("asyncio_default_fixture_loop_scope", "session"), ("asyncio_default_test_loop_scope", "session"))
TOML = 'asyncio_default_fixture_loop_scope = "session"\nasyncio_default_test_loop_scope = "session"\n'
INI = "asyncio_default_fixture_loop_scope = session\nasyncio_default_test_loop_scope = session\n"
TIGHT = INI.replace(" = ", "=")


def edited(path: str, text: str) -> str:
    source = Source(path, text.encode())
    edits = lower(SetPytestOptions(BOTH, path=path), source)
    for edit in sorted(edits, key=lambda edit: edit.start, reverse=True):
        assert edit.start in source.line_starts
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("pyproject.toml", "", f"[tool.pytest.ini_options]\n{TOML}"),
        ("pyproject.toml", "[a]\nb = 1\n", f"[a]\nb = 1\n\n[tool.pytest.ini_options]\n{TOML}"),
        (
            "pyproject.toml",
            '# top\n[tool.pytest.ini_options]  # here\naddopts = [\n  "-q",\n]\n\n# next\n[tool.ruff]\n',
            f'# top\n[tool.pytest.ini_options]  # here\naddopts = [\n  "-q",\n]\n{TOML}\n# next\n[tool.ruff]\n',
        ),
        (
            "pyproject.toml",
            '[tool.pytest.ini_options]\nasyncio_mode = "auto"  # always\n# words\nmarkers = [\n  "a",\n]\nz = 1',
            f'[tool.pytest.ini_options]\nasyncio_mode = "auto"  # always\n{TOML}# words\nmarkers = [\n  "a",\n]\nz = 1',
        ),
        ("pyproject.toml", "[tool.pytest]\na = 1\n", f"[tool.pytest]\na = 1\n{TOML}"),
        (
            "pyproject.toml",
            "[tool.pytest]\na = 1\n[tool.pytest.ini_options]\n",
            f"[tool.pytest]\na = 1\n{TOML}\n[tool.pytest.ini_options]\n",
        ),
        ("pyproject.toml", "[tool.pytest]\n", f"[tool.pytest]\n\n[tool.pytest.ini_options]\n{TOML}"),
        (
            "pyproject.toml",
            '[tool.pytest]\nini_options.a = "b"\n',
            '[tool.pytest]\nini_options.a = "b"\n' + "".join(f"ini_options.{line}\n" for line in TOML.splitlines()),
        ),
        ("pytest.toml", "[pytest]\n", f"[pytest]\n{TOML}"),
        ("pytest.ini", "", f"[pytest]\n{INI}"),
        ("pytest.ini", "[pytest]\na=b\n; c\n", f"[pytest]\na=b\n{TIGHT}; c\n"),
        ("tox.ini", "[tox]\nx = y\n\n[testenv]\n", f"[tox]\nx = y\n\n[testenv]\n\n[pytest]\n{INI}"),
        ("tests/tox.ini", "[pytest]\nx = y\n\n[tox]\nz = 1", f"[pytest]\nx = y\n{INI}\n[tox]\nz = 1"),
        ("setup.cfg", "[tool:pytest]\nm =\n  a\n  b\n# c\n\n[x]\n", f"[tool:pytest]\nm =\n  a\n  b\n{INI}# c\n\n[x]\n"),
    ],
)
def test_the_options_join_what_is_there(path: str, before: str, after: str) -> None:
    assert edited(path, before) == after
    assert edited(path, before.replace("\n", "\r\n")) == (after.replace("\n", "\r\n") if "\n" in before else after)
    assert edited(path, after) == after


def test_a_value_changes_and_its_comment_stays() -> None:
    before = '[tool.pytest.ini_options]\nasyncio_default_fixture_loop_scope = "function"  # why\nz = 1\n'
    after = before.replace("function", "session").replace(
        "z = 1\n", 'asyncio_default_test_loop_scope = "session"\nz = 1\n'
    )
    assert edited("pyproject.toml", before) == after


def test_other_files_and_other_operations_are_refused() -> None:
    with pytest.raises(ValueError, match="does not configure pytest"):
        edited("setup.py", "")
    with pytest.raises(ValueError, match="is not a change of a configuration"):
        lower(Operation(), Source("pytest.ini", b""))
