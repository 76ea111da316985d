"""The command line among enemies: streams that are closed, signals, strange files and names."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import Loopmend

COMMAND = [sys.executable, "-m", "codemods"]
BUGGY = "import asyncio\n\n\nasync def a():\n    print()\n\n\nasyncio.run(a())\nasyncio.run(a())\n"


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = line.replace("loopmend", " ".join(COMMAND))
    env = {**os.environ, **environment}
    return subprocess.run(command, shell=True, capture_output=True, text=True, env=env, timeout=60, check=False)


@pytest.fixture
def buggy(project: Path) -> Path:
    file = project / "a.py"
    file.write_text(BUGGY)
    return file


def test_an_empty_argument_is_not_everything(loopmend: Loopmend, project: Path) -> None:
    (project / "a.py").write_text("old_safe()\n")
    result = loopmend("apply", "")
    assert (result.code, (project / "a.py").read_text()) == (2, "old_safe()\n")
    assert "there is no such file or directory: ''" in result.err


def test_an_empty_tree_is_said_to_be_empty(loopmend: Loopmend) -> None:
    result = loopmend("check")
    assert (result.code, result.out, result.err) == (0, "", "No Python file to look at.\n")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names here")
def test_a_pipe_is_refused_and_not_waited_for(loopmend: Loopmend, project: Path) -> None:
    os.mkfifo(project / "a.py")
    result = loopmend("check", "a.py")
    assert result.code == 2
    assert "a.py: cannot be read: it is no regular file; `-` reads stdin" in result.err


def test_links_that_go_in_circles_or_nowhere(loopmend: Loopmend, project: Path) -> None:
    (project / "loop").symlink_to(".")
    (project / "a.py").symlink_to("a.py")
    (project / "b.py").symlink_to("nowhere")
    assert loopmend("check").code == 0
    for name in ("a.py", "b.py"):
        result = loopmend("check", name)
        assert result.code == 2
        assert f"{name}: cannot be read: " in result.err


@pytest.mark.parametrize(
    ("line", "code", "err"),
    [
        ("loopmend check - <&-", 2, "`-` reads stdin, which is closed"),
        ("loopmend check >&-", 0, "1 file looked at"),
        ("loopmend check 2>&-", 0, ""),
        ("loopmend check --no-such-option 2>&-", 2, ""),
    ],
)
def test_closed_streams(buggy: Path, line: str, code: int, err: str) -> None:
    done = shell(line)
    assert done.returncode == code
    assert err in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
@pytest.mark.parametrize("verb", ["check", "diff", "rules"])
def test_a_full_disk_is_one_line(buggy: Path, verb: str) -> None:
    done = shell(f"loopmend {verb} >/dev/full")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "error: No space left on device" in done.stderr


@pytest.mark.parametrize("line", ["check --output-format json", "diff", "rules", "explain LM101", "--help"])
def test_a_reader_that_leaves_is_no_crash(buggy: Path, line: str) -> None:
    for number in range(400):
        (buggy.parent / f"b{number}.py").write_text(BUGGY)
    done = shell(f"loopmend {line} | head -n 1 >/dev/null")
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_a_terminal_that_cannot_show_a_name(buggy: Path) -> None:
    buggy.rename(buggy.parent / "é.py")
    for environment in (
        {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ):
        assert shell("loopmend check", **environment).returncode == 0
        assert shell("loopmend diff", **environment).returncode == 1
        (entry,) = json.loads(shell("loopmend check --output-format json", **environment).stdout)
        assert entry["path"].encode("utf-8", "surrogateescape").decode() == "é.py"


def test_columns_count_characters(loopmend: Loopmend, project: Path) -> None:
    (project / "a.py").write_text("x = '日本🎉'; old_refused()\n", encoding="utf-8")
    (entry,) = json.loads(loopmend("check", "--output-format", "json").out)
    assert (entry["column"], entry["end_column"]) == (12, 25)


@pytest.mark.parametrize("name", ["a b.py", "a'b\"c.py", "a\nb.py", "é\\.py", os.fsdecode(b"r\xe9.py")])
def test_git_takes_the_patch_of_a_file_with_any_name(loopmend: Loopmend, project: Path, name: str) -> None:
    (project / name).write_text("old_safe()\n")
    patch = loopmend("diff")
    assert patch.code == 1
    subprocess.run(["git", "apply"], input=patch.data, cwd=project, check=True)
    assert (project / name).read_text() == "new_safe()\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("delay", [0.15, 0.6])
def test_killed_in_the_middle_every_file_is_old_or_new(project: Path, number: int, delay: float) -> None:
    mended = subprocess.run([*COMMAND, "apply", "-"], input=BUGGY, capture_output=True, text=True, check=True).stdout
    for index in range(60):
        (project / f"a{index}.py").write_text(BUGGY)
    process = subprocess.Popen(
        [*COMMAND, "apply", "--no-cache", "--jobs", "2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    time.sleep(delay)
    process.send_signal(number)
    _, err = process.communicate(timeout=20)  # the workers hold the pipes: it returns when they have ended
    assert {file.read_text() for file in project.glob("*.py")} <= {BUGGY, mended}
    if process.returncode == 130:
        assert sorted({path.suffix for path in project.iterdir() if path.is_file()}) == [".py"]
        assert b"Traceback" not in err
