import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from codemods.engine import write as write_module
from codemods.engine.write import WriteError, write
from tests.conftest import Loopmend


def test_mends_what_is_safe_and_reports_what_is_left(loopmend: Loopmend, project: Path) -> None:
    (project / "a.py").write_text("print()\nold_safe()\nold_refused()\n")
    result = loopmend("apply")
    assert result.code == 1
    assert (project / "a.py").read_text() == "print()\nnew_safe()\nold_refused()\n"
    assert result.out == "a.py:3:1: LM901 old_refused is old\n    no fix: nobody knows the new name\n"
    assert "1 fixed (1 LM901) in 1 file, 1 without a fix." in result.err


def test_a_second_run_changes_nothing(loopmend: Loopmend, project: Path) -> None:
    (project / "a.py").write_text("old_safe()\nold_unsafe()\n")
    assert loopmend("apply", "--unsafe-fixes").code == 0
    assert (project / "a.py").read_text() == "new_safe()\nnew_unsafe()\n"
    assert loopmend("diff", "--unsafe-fixes").data == b""


def test_one_fix_by_its_id(loopmend: Loopmend, project: Path) -> None:
    (project / "a.py").write_text("old_safe()\nold_safe()\nold_safe()\n")
    ids = [entry["id"] for entry in json.loads(loopmend("check", "--output-format", "json").out)]
    loopmend("apply", "--fix", ids[1])
    assert (project / "a.py").read_text() == "old_safe()\nnew_safe()\nold_safe()\n"


def test_an_id_that_no_finding_has_is_an_error(loopmend: Loopmend, project: Path) -> None:
    (project / "a.py").write_text("old_safe()\n")
    result = loopmend("apply", "--fix", "0123456789ab")
    assert result.code == 2
    assert "no finding has the id 0123456789ab" in result.err
    assert (project / "a.py").read_text() == "old_safe()\n"


def test_an_unsafe_fix_needs_consent_even_by_id(loopmend: Loopmend, project: Path) -> None:
    (project / "a.py").write_text("old_unsafe()\n")
    (entry,) = json.loads(loopmend("check", "--output-format", "json").out)
    loopmend("apply", "--fix", entry["id"])
    assert (project / "a.py").read_text() == "old_unsafe()\n"
    loopmend("apply", "--fix", entry["id"], "--unsafe-fixes")
    assert (project / "a.py").read_text() == "new_unsafe()\n"


def test_mode_and_bytes_are_kept(loopmend: Loopmend, project: Path) -> None:
    file = project / "a.py"
    file.write_bytes(b"\xef\xbb\xbfold_safe()\r\nprint()")
    file.chmod(0o751)
    loopmend("apply")
    assert file.read_bytes() == b"\xef\xbb\xbfnew_safe()\r\nprint()"
    assert stat.S_IMODE(file.stat().st_mode) == 0o751
    assert sorted(os.listdir(project)) == [".git", "a.py"]


def test_stdin_goes_to_stdout(loopmend: Loopmend) -> None:
    result = loopmend("apply", "-", stdin=b"old_safe()\r\nold_refused()")
    assert result.data == b"new_safe()\r\nold_refused()"
    assert "LM901 old_refused" in result.err
    assert result.code == 1


def test_stdin_without_a_fix_comes_out_as_it_went_in(loopmend: Loopmend) -> None:
    assert loopmend("apply", "-", stdin=b"print(\n").data == b"print(\n"


def test_project_fixes_are_written(loopmend: Loopmend, project: Path) -> None:
    (project / "conftest.py").write_text("pair_is_old()\n")
    (project / "test_a.py").write_text("pair_old()\nold_refused()\n")
    result = loopmend("apply")
    assert (project / "test_a.py").read_text() == "pair_new()\nold_refused()\n"
    assert result.out.count("LM901") == 1
    assert "LM902" not in result.out


def test_a_link_out_of_the_project_is_not_followed(loopmend: Loopmend, project: Path) -> None:
    outside = project.parent / "outside.py"
    outside.write_text("old_safe()\n")
    (project / "a.py").symlink_to(outside)
    assert loopmend("apply").code == 0  # not even found
    result = loopmend("apply", "a.py")
    assert result.code == 2
    assert "a.py: not written: a symbolic link out of" in result.err
    assert outside.read_text() == "old_safe()\n"


def test_a_link_inside_of_the_project_stays_a_link(loopmend: Loopmend, project: Path) -> None:
    (project / "real.py").write_text("old_safe()\n")
    (project / "a.py").symlink_to("real.py")
    loopmend("apply", "a.py")
    assert (project / "a.py").is_symlink()
    assert (project / "real.py").read_text() == "new_safe()\n"


def test_a_file_that_changed_since_it_was_read_is_left(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_bytes(b"newer")
    with pytest.raises(WriteError, match="changed since it was read"):
        write(file, b"old", b"new", tmp_path)
    assert file.read_bytes() == b"newer"


def test_a_failure_on_the_way_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.py"
    file.write_bytes(b"old")

    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(write_module.os, "fsync", no_space)
    with pytest.raises(WriteError, match="No space left on device"):
        write(file, b"old", b"new", tmp_path)
    assert file.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.py"]


def test_what_could_not_be_written_is_not_counted_as_fixed(
    loopmend: Loopmend, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "a.py").write_text("old_safe()\n")
    (project / "b.py").write_text("old_safe()\n")
    real = write_module.replace_contents

    def replace_contents(path: Path, data: bytes) -> None:
        if path.name == "a.py":
            raise OSError(13, "Permission denied")
        real(path, data)

    monkeypatch.setattr(write_module, "replace_contents", replace_contents)
    result = loopmend("apply")
    assert result.code == 2
    assert "error: a.py: not written: Permission denied" in result.err
    assert "1 fixed (1 LM901) in 1 file" in result.err
    assert (project / "b.py").read_text() == "new_safe()\n"


def test_several_processes_mend_the_same(loopmend: Loopmend, project: Path) -> None:
    for number in range(12):
        (project / f"a{number:02}.py").write_text(f"old_safe({number})\n")
    assert loopmend("apply", "--jobs", "3").code == 0
    assert {file.read_text()[:8] for file in project.glob("*.py")} == {"new_safe"}


def test_ctrl_c_is_one_line(project: Path) -> None:
    code = (
        "import os, signal; from codemods.cli import main; from codemods.engine import run as r\n"
        "r._read = lambda path: os.kill(os.getpid(), signal.SIGINT)\n"
        "raise SystemExit(main.run(['apply']))"
    )
    (project / "a.py").write_text("print()\n")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert done.stderr.strip() == "interrupted: every file is either as it was or completely rewritten"


def test_ctrl_c_with_several_processes_ends_them_all(project: Path) -> None:
    for number in range(60):
        (project / f"a{number}.py").write_text("import asyncio\nasyncio.run(a())\nasyncio.run(b())\n")
    code = (
        "import os, signal, time; from codemods.cli import main; from codemods.engine import examine\n"
        "parent = os.getpid()\n"
        "def slow(self, source):\n"
        "    if source.path == 'a0.py':\n"
        "        os.kill(parent, signal.SIGINT)\n"
        "    time.sleep(0.05)\n"
        "    return examine.Examined(source.path)\n"
        "examine.Examiner.__call__ = slow\n"
        "raise SystemExit(main.run(['apply', '--jobs', '2']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
