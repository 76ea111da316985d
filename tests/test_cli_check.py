import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Loopmend

FOUR = "old_safe()\nold_unsafe()\nold_refused()\nold_hint()\n"


def test_nothing_to_report_is_exit_code_0(loopmend: Loopmend, project: Path) -> None:
    (project / "a.py").write_text("print()\n")
    result = loopmend("check")
    assert (result.code, result.out, result.err) == (0, "", "1 file looked at, nothing found.\n")


def test_prints_findings_as_ruff_does_and_says_why_there_is_no_fix(loopmend: Loopmend, project: Path) -> None:
    (project / "a.py").write_text(FOUR)
    result = loopmend("check")
    assert result.code == 1
    assert result.out == (
        "a.py:1:1: LM901 [safe fix] old_safe is old\n"
        "a.py:2:1: LM901 [unsafe fix] old_unsafe is old\n"
        "    unsafe: it may be another function\n"
        "a.py:3:1: LM901 old_refused is old\n"
        "    no fix: nobody knows the new name\n"
        "a.py:4:1: LM901 hint: old_hint is old\n"
        "    no fix: nobody knows the new name\n"
    )
    assert "4 findings (4 LM901)" in result.err
    assert "1 more with --unsafe-fixes" in result.err


def test_a_hint_alone_does_not_count(loopmend: Loopmend, project: Path) -> None:
    (project / "a.py").write_text("old_hint()\n")
    result = loopmend("check")
    assert result.code == 0
    assert "hint: old_hint" in result.out
    assert loopmend("check", "--min-severity", "warning").out == ""


def test_json_has_the_promised_shape(loopmend: Loopmend, project: Path) -> None:
    (project / "sub").mkdir()
    (project / "sub" / "a.py").write_text("if True:\n    old_safe()\nold_refused()\n")
    result = loopmend("check", "--output-format", "json")
    first, second = json.loads(result.out)
    assert list(first) == [
        *("id", "code", "name", "severity", "message", "path", "line", "column", "end_line", "end_column"),
        *("fix", "refusal", "related"),
    ]
    assert first["path"] == "sub/a.py"
    assert (first["line"], first["column"], first["end_line"], first["end_column"]) == (2, 5, 2, 15)
    edit = {"path": "sub/a.py", "line": 2, "column": 1, "end_line": 3, "end_column": 1, "content": "    new_safe()\n"}
    assert first["fix"] == {"safety": "safe", "title": "Call the new one", "edits": [edit]}
    assert first["refusal"] is None
    assert second["fix"] is None
    assert second["refusal"] == "nobody knows the new name"


def test_ids_survive_lines_that_move_and_tell_equal_findings_apart(loopmend: Loopmend, project: Path) -> None:
    def ids() -> list[str]:
        return [entry["id"] for entry in json.loads(loopmend("check", "--output-format", "json").out)]

    (project / "a.py").write_text("old_safe()\nold_safe()\n")
    before = ids()
    (project / "a.py").write_text("print()\n\nold_safe()\nprint()\nold_safe()\n")
    assert ids() == before
    assert len({*before}) == 2
    assert all(len(id_) == 12 for id_ in before)


def test_ids_do_not_depend_on_the_working_directory(
    loopmend: Loopmend, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "sub").mkdir()
    (project / "sub" / "a.py").write_text("old_safe()\n")
    above = json.loads(loopmend("check", "--output-format", "json").out)[0]
    monkeypatch.chdir(project / "sub")
    inside = json.loads(loopmend("check", "--output-format", "json").out)[0]
    assert (above["path"], inside["path"]) == ("sub/a.py", "a.py")
    assert above["id"] == inside["id"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--ignore", "LM901"), ""),
        (("--ignore", "LM9"), ""),
        (("--ignore", "old-call"), ""),
        (("--select", "LM902"), ""),
        (("--select", "LM902,LM901"), "a.py:1:1: LM901 [safe fix] old_safe is old\n"),
        (("--select", "LM902", "--extend-select", "LM901"), "a.py:1:1: LM901 [safe fix] old_safe is old\n"),
        (("--ignore", "LM9", "--select", "LM901"), "a.py:1:1: LM901 [safe fix] old_safe is old\n"),
        (("--statistics",), "1  LM901  old-call\n"),
        (("--exclude", "a.*"), ""),
        (("--extend-exclude", "a.*"), ""),
        (("--output-format", "github"), "::error file=a.py,line=1,endLine=1,title=loopmend LM901::old_safe is old\n"),
    ],
)
def test_options(loopmend: Loopmend, project: Path, arguments: tuple[str, ...], expected: str) -> None:
    (project / "a.py").write_text("old_safe()\n")
    result = loopmend("check", *arguments)
    assert result.out == expected
    assert result.code == (1 if expected else 0)


def test_exit_zero_is_for_findings_and_not_for_failures(loopmend: Loopmend, project: Path) -> None:
    (project / "a.py").write_text("old_safe()\n")
    assert loopmend("check", "--exit-zero").code == 0
    (project / "a.py").write_text("old_crash()\n")
    assert loopmend("check", "--exit-zero").code == 2


def test_quiet_says_nothing_on_stderr(loopmend: Loopmend, project: Path) -> None:
    (project / "a.py").write_text("old_safe()\n")
    assert loopmend("check", "-q").err == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere",), "there is no such file or directory: nowhere"),
        (("--select", "LM999"), "no rule is called 'LM999'"),
        (("--select", "old-cal"), "did you mean 'old-call'?"),
        (("--target-version", "4"), "'4' is not a Python version"),
        (("-", "a.py"), "goes with no other path"),
        (("--stdin-filename", "a.py"), "goes with the path `-`"),
        (("--config", "nowhere.toml"), "nowhere.toml"),
        (("--no-such-option",), "--no-such-option"),
    ],
)
def test_a_mistake_of_the_user_is_exit_code_2(loopmend: Loopmend, arguments: tuple[str, ...], message: str) -> None:
    result = loopmend("check", *arguments)
    assert result.code == 2
    assert message in result.err
    assert result.out == ""


def test_a_crash_of_a_rule_is_one_entry_and_the_other_files_are_still_checked(
    loopmend: Loopmend, project: Path
) -> None:
    (project / "a.py").write_text("old_crash()\n")
    (project / "b.py").write_text("old_safe()\n")
    result = loopmend("check")
    assert result.code == 2
    assert "b.py:1:1: LM901" in result.out
    assert "error: a.py: LM901 old-call crashed: ZeroDivisionError: the rule is wrong" in result.err
    assert "Traceback" not in result.err
    assert "Traceback" in loopmend("check", "-v").err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_exit_code_2(loopmend: Loopmend, project: Path) -> None:
    (project / "a.py").write_text("old_safe()\n")
    (project / "a.py").chmod(0)
    result = loopmend("check")
    assert result.code == 2
    assert "a.py: cannot be read" in result.err


def test_a_directory_that_ends_in_py_is_no_file(loopmend: Loopmend, project: Path) -> None:
    (project / "a.py").mkdir()
    assert loopmend("check").code == 0


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"old_safe(\n", "'(' was never closed"),
        (b"print 'old_'\n", "Missing parentheses"),
        (b"# coding: latin-9000\nold_safe()\n", "unknown encoding"),
        (b"\n\n\nold_safe('\xff')\n", "not utf-8: invalid start byte at byte 13"),
        (b"old_safe()\0\n", "null bytes"),
        (b"old_" + b"(" * 5000 + b"\n", ""),
    ],
)
def test_what_cannot_be_parsed_is_listed_with_its_reason(
    loopmend: Loopmend, project: Path, data: bytes, reason: str
) -> None:
    (project / "a.py").write_bytes(data)
    result = loopmend("check")
    assert result.code == 1
    assert "LM000" in result.out
    assert reason in result.out
    assert loopmend("check", "--ignore", "LM000").code == 0


def test_a_file_without_needles_is_not_even_parsed(loopmend: Loopmend, project: Path) -> None:
    (project / "a.py").write_text("this is (not Python\n")
    assert loopmend("check").out == ""


def test_stdin(loopmend: Loopmend) -> None:
    assert loopmend("check", "-", stdin=b"old_safe()\n").out.startswith("stdin.py:1:1: LM901")
    assert loopmend("check", "-", "--stdin-filename", "x/y.py", stdin=b"old_safe()\n").out.startswith("x/y.py:1:1:")


def test_project_rules_see_several_files(loopmend: Loopmend, project: Path) -> None:
    (project / "test_a.py").write_text("pair_old()\n")
    assert loopmend("check").out == ""
    (project / "zz.py").write_text("pair_is_old()\n")
    assert loopmend("check").out == "test_a.py:1:1: LM902 [safe fix] pair_old is old\n"


def test_several_processes_find_the_same(loopmend: Loopmend, project: Path) -> None:
    for number in range(20):
        (project / f"a{number:02}.py").write_text(f"old_safe({number})\n")
    assert loopmend("check", "--jobs", "3").out == loopmend("check", "--jobs", "1").out != ""


def test_check_never_imports_libcst(project: Path) -> None:
    (project / "a.py").write_text("import asyncio\nasyncio.run(a())\nasyncio.run(b())\n# loopmend: ignore\n")
    code = (
        "import sys; from codemods.cli.main import run; code = run(['check', '-q']);"
        "loaded = {'libcst', 'rich', 'tomlkit', 'configupdater', 'pathspec'} & {*sys.modules};"
        "print(sorted(loaded), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1)
    assert done.stderr.strip() == "[]"
