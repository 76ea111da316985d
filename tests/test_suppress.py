from pathlib import Path

import pytest

from tests.conftest import Loopmend


@pytest.mark.parametrize(
    "text",
    [
        "old_safe()  # loopmend: ignore[LM901] it is fine\n",
        "old_safe()  # loopmend: ignore[LM1, LM9]\n",
        "old_safe()  # loopmend: ignore[old-call]\n",
        "old_safe()  # loopmend: ignore\n",
        "old_safe()  #loopmend:ignore\n",
        "old_safe()  # type: ignore  # loopmend: ignore[LM901]\n",
        "old_safe()  # noqa: LM901\n",
        "old_safe()  # noqa: E501,LM901\n",
        "old_safe()  # NOQA : E501 LM901\n",
        "old_safe(\n    1,\n)  # loopmend: ignore[LM901]\n",
        "old_safe(  # loopmend: ignore[LM901]\n    1,\n)\n",
        "old_safe(\n    1,  # loopmend: ignore[LM901]\n    2,\n)\n",
        "x = [\n    old_safe(),\n]  # noqa: LM901\n",
        "# loopmend: ignore-file\nprint()\nold_safe()\n",
        "print()\nold_safe()\n# loopmend: ignore-file[LM901] all of it\n",
        "old_safe()  # loopmend: ignore[LM901]\r\nprint()\r\n",
        "old_safe(  # loopmend: ignore[LM000] meant to be broken\n",
    ],
)
def test_hidden(loopmend: Loopmend, project: Path, text: str) -> None:
    (project / "a.py").write_bytes(text.encode())
    result = loopmend("check", "--ignore", "LM001")
    assert (result.code, result.out) == (0, "")
    assert loopmend("diff", "--ignore", "LM001").data == b""


@pytest.mark.parametrize(
    "text",
    [
        "old_safe()  # loopmend: ignore[LM902]\n",
        "old_safe()  # loopmend: ignore[]\n",
        "old_safe()  # loopmend: ignored\n",
        "old_safe('# loopmend: ignore')\n",
        "'''\n# loopmend: ignore-file\n'''\nold_safe()\n",
        "# loopmend: ignore\nold_safe()\n",
        "old_safe()\n# loopmend: ignore\n",
        "old_safe()  # noqa\n",
        "old_safe()  # noqa: E501\n",
    ],
)
def test_not_hidden(loopmend: Loopmend, project: Path, text: str) -> None:
    (project / "a.py").write_text(text)
    assert "LM901" in loopmend("check").out


def test_one_comment_hides_its_own_line_only(loopmend: Loopmend, project: Path) -> None:
    (project / "a.py").write_text("old_safe()  # loopmend: ignore\nold_safe()\n")
    loopmend("apply")
    assert (project / "a.py").read_text() == "old_safe()  # loopmend: ignore\nnew_safe()\n"


def test_project_rules_hear_it_too(loopmend: Loopmend, project: Path) -> None:
    (project / "conftest.py").write_text("pair_is_old()\n")
    (project / "test_a.py").write_text("pair_old()  # loopmend: ignore[LM902]\n")
    result = loopmend("check")
    assert (result.code, result.out) == (0, "")


def test_an_unused_comment_is_reported(loopmend: Loopmend, project: Path) -> None:
    (project / "a.py").write_text("print()  # loopmend: ignore[LM901] why\n")
    result = loopmend("check")
    assert result.code == 1
    assert result.out.startswith("a.py:1:10: LM001 this comment suppresses nothing here for LM901\n")
    assert loopmend("check", "--ignore", "LM001").code == 0


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("print()  # loopmend: ignore\n", "no finding here"),
        ("# loopmend: ignore-file\n", "no finding here"),
        ("old_safe()  # loopmend: ignore[LM901, LM000]\n", "nothing here for LM000"),
        ("print()  # loopmend: ignore[LM999]\n", "there is no rule LM999"),
        ("print()  # noqa: LM901\n", ""),
        ("x = '# loopmend: ignore'\n", ""),
    ],
)
def test_what_counts_as_unused(loopmend: Loopmend, project: Path, text: str, reported: str) -> None:
    (project / "a.py").write_text(text)
    out = loopmend("check").out
    assert reported in out if reported else out == ""


def test_a_comment_for_a_rule_that_does_not_run_is_not_called_unused(loopmend: Loopmend, project: Path) -> None:
    (project / "a.py").write_text("print()  # loopmend: ignore[LM901]\nprint()  # loopmend: ignore\n")
    assert loopmend("check", "--ignore", "LM901").out == ""


def test_a_comment_that_hides_nothing_is_not_fixed_by_a_fix_beside_it(loopmend: Loopmend, project: Path) -> None:
    text = "import asyncio\n\n\nasync def f():\n    x = 1  # loopmend: ignore[LM102]\n    asyncio.run(f())\n"
    (project / "a.py").write_text(text)
    result = loopmend("diff")
    assert "LM001" not in result.out
    assert "a.py:5:12: LM001 not fixed" in result.err
