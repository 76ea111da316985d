"""Running the project's own command before and after a change: off unless the user asks for it.

It runs the code of the repository with the rights of whoever runs the bot. What it gets of the
environment is a short list without secrets, and it is ended, with all that it started, when its time is over.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from codemods.git import Clone, GitError, children

_KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "TERM", "SYSTEMROOT", "SSL_CERT_FILE", "SSL_CERT_DIR")
_HEAD, _TAIL = 1000, 3000
"""How many characters of the output are shown, from its start and its end."""


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int | None
    """None: its time was over."""
    output: str
    seconds: float

    @property
    def summary(self) -> str:
        """In a few words."""
        how = "took too long and was ended" if self.code is None else f"exit code {self.code}"
        return f"{how}, {self.seconds:.0f} s"

    @property
    def failures(self) -> int:
        """How many failures and errors the last line that counts them, as pytest's does, names."""
        rows = [line for line in self.output.splitlines() if re.search(r"\b\d+ (?:failed|errors?|passed)\b", line)]
        return sum(map(int, re.findall(r"(\d+) (?:failed|errors?)\b", rows[-1]))) if rows else 0


@dataclass(frozen=True)
class Verified:
    """A command before and after."""

    command: str
    before: Result
    after: Result

    @property
    def worse(self) -> bool:
        """Whether the change has made it worse: it fails now, or in more places, or no longer ends."""
        if self.after.code == 0:
            return False
        if self.before.code == 0 or (self.after.code is None and self.before.code is not None):
            return True
        return self.after.failures > self.before.failures


def run_in(clone: Clone, commit: str, command: str, seconds: float) -> Result:
    """Check a commit out to a place of its own and run the command there.

    Raises GitError.
    """
    with clone.worktree(commit) as place:
        try:
            return run(command, place, seconds)
        except children.HaltedError as error:
            raise GitError(str(error)) from None


def run(command: str, place: Path, seconds: float) -> Result:
    """Run a shell command in a folder, in a process group of its own."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="loopmend-home-") as home, tempfile.TemporaryFile() as output:
        environment = {**kept, "HOME": home, "TMPDIR": home, "CI": "true"}
        process = children.start(
            command,
            shell=True,
            cwd=place,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        code: int | None = None
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass
        finally:
            children.end(process, leavings=True)  # also what it has left running in the background
        return Result(code, _cut(output), time.monotonic() - started)


def _cut(file: IO[bytes]) -> str:
    """The start and the end of what was printed, without reading all of it."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    data: bytes = file.read(_HEAD if size > _HEAD + _TAIL else size)
    if size > _HEAD + _TAIL:
        file.seek(size - _TAIL)
        data += b"\n[...]\n" + file.read()
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", data.decode("utf-8", "replace"))
