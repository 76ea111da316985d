import json
import subprocess
from pathlib import Path

import pytest

from codemods.engine.results import Change
from codemods.reports.patch import file_patch
from codemods.source import Source
from tests.conftest import Loopmend, Result


def git_apply(result: Result, directory: Path) -> None:
    """Apply the patch as a user would, in the directory where loopmend ran."""
    subprocess.run(["git", "init", "-q", "."], cwd=directory, check=True)
    command = ["git", "apply", "--verbose", "-"]
    done = subprocess.run(command, input=result.data, cwd=directory, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_nothing_to_change_is_exit_code_0(loopmend: Loopmend, project: Path) -> None:
    (project / "a.py").write_text("old_refused()\n")
    result = loopmend("diff")
    assert (result.code, result.data) == (0, b"")
    assert "a.py:1:1: LM901 not fixed: nobody knows the new name" in result.err


def test_the_patch_changes_nothing_on_the_disk_and_tells_what_mends_what(loopmend: Loopmend, project: Path) -> None:
    (project / "a.py").write_text("old_safe()\nold_unsafe()\n")
    result = loopmend("diff")
    assert result.code == 1
    assert (project / "a.py").read_text() == "old_safe()\nold_unsafe()\n"
    assert result.out == (
        "# LM901 [safe] a.py:1 Call the new one\n"
        "--- a/a.py\n+++ b/a.py\n"
        "@@ -1,2 +1,2 @@\n-old_safe()\n+new_safe()\n old_unsafe()\n"
    )
    assert "LM901 not fixed: the fix is unsafe (it may be another function): --unsafe-fixes applies it" in result.err
    assert "1 would be fixed (1 LM901) in 1 file." in result.err


def test_an_unsafe_fix_is_marked_in_the_patch(loopmend: Loopmend, project: Path) -> None:
    (project / "a.py").write_text("old_unsafe()\n")
    result = loopmend("diff", "--unsafe-fixes")
    assert result.out.startswith("# LM901 [unsafe] a.py:1 Call the new one: it may be another function\n")
    git_apply(result, project)
    assert (project / "a.py").read_text() == "new_unsafe()\n"


@pytest.mark.parametrize(
    "name", ["a.py", "with blank.py", "ünïcode.py", 'quo"te.py', "back\\slash.py", "tab\there.py", "sub/dir/a.py"]
)
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"old_safe()\nprint()\n", id="plain"),
        pytest.param(b"print()\r\nold_safe()\r\n", id="crlf"),
        pytest.param(b"print()\nold_safe()", id="no-final-newline"),
        pytest.param(b"print()\r\nold_safe()", id="crlf-no-final-newline"),
        pytest.param(b"\xef\xbb\xbfold_safe()\n", id="bom"),
        pytest.param(b"# coding: latin-1\nold_safe('\xe9')\n", id="latin-1"),
        pytest.param(b"old_safe()\n" + b"\n" * 20 + b"x = '''\n-- a\n++ b\n'''\nold_safe(1)\n", id="two-hunks"),
    ],
)
def test_git_apply_accepts_the_patch(loopmend: Loopmend, project: Path, name: str, data: bytes) -> None:
    file = project / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    result = loopmend("diff")
    assert result.code == 1
    git_apply(result, project)
    assert file.read_bytes() == data.replace(b"old_safe", b"new_safe")


def test_several_files_make_one_patch(loopmend: Loopmend, project: Path) -> None:
    for name in "abc":
        (project / f"{name}.py").write_text("old_safe()\n")
    git_apply(loopmend("diff"), project)
    assert {(project / f"{name}.py").read_text() for name in "abc"} == {"new_safe()\n"}


def test_from_a_subdirectory_the_patch_is_relative_to_it(
    loopmend: Loopmend, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "sub").mkdir()
    (project / "sub" / "a.py").write_text("old_safe()\n")
    monkeypatch.chdir(project / "sub")
    subprocess.run(["git", "init", "-q", project], check=True)
    result = loopmend("diff")
    assert b"--- a/a.py" in result.data
    subprocess.run(["git", "apply", "-"], input=result.data, cwd=project / "sub", check=True)
    assert (project / "sub" / "a.py").read_text() == "new_safe()\n"


def test_a_file_outside_of_the_working_directory_makes_the_patch_relative_to_the_repository(
    loopmend: Loopmend, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "sub").mkdir()
    (project / "a.py").write_text("old_safe()\n")
    (project / "sub" / "b.py").write_text("old_safe()\n")
    monkeypatch.chdir(project / "sub")
    result = loopmend("diff", "..")
    assert f"The patch is relative to {project}: apply it there." in result.err
    git_apply(result, project)
    assert (project / "a.py").read_text() == (project / "sub" / "b.py").read_text() == "new_safe()\n"


def test_json_has_the_edits_at_their_places_in_the_original_text(loopmend: Loopmend, project: Path) -> None:
    (project / "a.py").write_text("print('ä')\nif 1:\n    old_safe()\nold_refused()\n")
    result = loopmend("diff", "--output-format", "json")
    fixed, refused = json.loads(result.out)
    (edit,) = fixed["fix"]["edits"]
    assert edit["path"] == "a.py"
    lines = (project / "a.py").read_text().splitlines(keepends=True)
    starts = [sum(map(len, lines[:number])) for number in range(len(lines) + 1)]
    start = starts[edit["line"] - 1] + edit["column"] - 1
    end = starts[edit["end_line"] - 1] + edit["end_column"] - 1
    text = "".join(lines)
    assert text[:start] + edit["content"] + text[end:] == text.replace("old_safe", "new_safe")
    assert refused["refusal"] == "nobody knows the new name"


def test_project_fixes_come_on_top_of_those_in_single_files(loopmend: Loopmend, project: Path) -> None:
    (project / "conftest.py").write_text("pair_is_old()\n")
    (project / "test_a.py").write_text("old_safe()\npair_old()\n")
    result = loopmend("diff")
    git_apply(result, project)
    assert (project / "test_a.py").read_text() == "new_safe()\npair_new()\n"


def test_stdin(loopmend: Loopmend) -> None:
    result = loopmend("diff", "-", "--stdin-filename", "x.py", stdin=b"old_safe()\n")
    assert result.code == 1
    assert b"--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-old_safe()\n+new_safe()\n" in result.data


def test_colour_is_for_terminals_and_forced_colour(
    loopmend: Loopmend, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "a.py").write_text("old_safe()\n")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert b"\x1b[32m+new_safe()" in loopmend("diff").data
    monkeypatch.setenv("NO_COLOR", "1")
    assert b"\x1b" not in loopmend("diff").data


def test_a_finding_whose_text_another_fix_changes_counts_once(loopmend: Loopmend, project: Path) -> None:
    together = Path(__file__).parent.parent / "fixtures" / "together"
    program = together / "a-loop-argument-for-a-session-that-is-left-open" / "before.py"
    (project / "a.py").write_bytes(program.read_bytes())
    assert "3 would be fixed (1 LM105, 1 LM107, 1 LM201) in 1 file." in loopmend("diff").err


def test_a_finding_that_stays_counts_as_open_when_another_fix_changes_its_text(
    loopmend: Loopmend, project: Path
) -> None:
    code = "import asyncio\n\n\nasync def start(work):\n    asyncio.get_event_loop().create_task(work())\n"
    (project / "a.py").write_text(code)
    result = loopmend("diff")
    assert "1 would be fixed (1 LM105) in 1 file, 1 without a fix." in result.err
    assert "LM303" not in result.out
    assert "a.py:5:5: LM303 not fixed" in result.err


def test_a_line_that_stays_is_not_taken_out_and_put_back(tmp_path: Path) -> None:
    # difflib takes no line for an anchor that a file of two hundred lines has again and again
    often = "    await done()\n"
    start = "async def main(task):\n" + often * 250 + "    task.cancel()\n"
    before, after = start + often, start + "    await gather(task)\n" + often
    (tmp_path / "a.py").write_text(before)
    patch = file_patch("a.py", Change(Source("a.py", before.encode()), Source("a.py", after.encode())))
    lines = patch.decode().splitlines()[2:]
    assert [line for line in lines if line[0] in "-+"] == ["+    await gather(task)"]
    git_apply(Result(0, patch, ""), tmp_path)
    assert (tmp_path / "a.py").read_text() == after


def test_a_blank_line_between_two_changes_stays(tmp_path: Path) -> None:
    start = "async def main(loop):\n" + "    await loop\n\n" * 120
    before, after = (start + f"    {name}()\n\n    {name}(2)\n" for name in ("old", "new"))
    (tmp_path / "a.py").write_text(before)
    patch = file_patch("a.py", Change(Source("a.py", before.encode()), Source("a.py", after.encode())))
    lines = patch.decode().splitlines()[2:]
    assert [line for line in lines if line[0] in "-+"] == ["-    old()", "+    new()", "-    old(2)", "+    new(2)"]
    git_apply(Result(0, patch, ""), tmp_path)
    assert (tmp_path / "a.py").read_text() == after
