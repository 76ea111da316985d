"""Looking at a repository with the engine, in a process of its own that may hang or die.

A file of a stranger must not end a run over a thousand repositories: the process has a time limit, its
environment holds no secret, and what it finds comes back as data.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from codemods.git import children
from codemods.model import Severity

if TYPE_CHECKING:
    from codemods.engine.results import Report
    from codemods.engine.settings import Settings

_KEPT = ("PATH", "PYTHONPATH", "PYTHONHOME", "SYSTEMROOT", "TMPDIR", "TEMP", "TMP")
_LOOKS = 200
"""After so many, a process is replaced by a new one, whatever it has gathered by then."""


class LookError(Exception):
    """The repository could not be looked at; the message says why."""


@dataclass(frozen=True)
class Wishes:
    """What the engine is to do in a folder."""

    directory: str
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    unsafe_fixes: bool | None = None
    fix: frozenset[str] | None = None
    """Ids of the findings to mend; None: only look."""


@dataclass(frozen=True)
class Looked:
    """What came of it."""

    report: Report
    unsafe_fixes: bool
    """Whether unsafe fixes are wanted, by the user or else by the repository's config."""
    selected: frozenset[str]
    """The codes of the rules that were run."""


Look = Callable[[Wishes], Looked]
"""Runs the engine as wished. Raises LookError."""


class Looker:
    """Looks at one repository after the other in a process, and starts a new one when that is lost.

    For one thread. Close it in the end.
    """

    def __init__(self, seconds: float = 300) -> None:
        """``seconds``: how long one look may take."""
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._count = 0

    def __call__(self, wishes: Wishes) -> Looked:
        """Run the engine as wished. Raises LookError."""
        if self._count == _LOOKS:
            self.close()
        try:
            process = self._process = self._process or _start()
        except children.HaltedError as error:
            raise LookError(str(error)) from None
        self._count += 1
        late = threading.Event()

        def end() -> None:
            late.set()
            children.end(process)

        timer = threading.Timer(self._seconds, end)
        timer.daemon = True
        timer.start()
        try:
            outcome = _ask(process, wishes)
        except (EOFError, OSError, pickle.UnpicklingError):
            self.close()
            why = f"took longer than {self._seconds:g} s" if late.is_set() else "ended the process (out of memory?)"
            raise LookError(f"looking at it {why}") from None
        except BaseException:
            self.close()
            raise
        finally:
            timer.cancel()
        if isinstance(outcome, str):
            raise LookError(outcome)
        assert isinstance(outcome, Looked)
        return outcome

    def close(self) -> None:
        """End the process."""
        if self._process:
            children.end(self._process)
            for pipe in (self._process.stdin, self._process.stdout):
                with contextlib.suppress(OSError):  # what it did not take is lost
                    if pipe:
                        pipe.close()
        self._process, self._count = None, 0

    def __enter__(self) -> Looker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _start() -> subprocess.Popen[bytes]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return children.start(
        # -P: the working directory is no place to import from
        [sys.executable, "-P", "-c", "from codemods.bot.look import serve; serve()"],
        cwd=tempfile.gettempdir(),
        env=kept,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def _ask(process: subprocess.Popen[bytes], wishes: Wishes) -> object:
    assert process.stdin is not None
    assert process.stdout is not None
    pickle.dump(wishes, process.stdin)
    process.stdin.flush()
    return pickle.load(process.stdout)


def serve() -> None:
    """The process: it answers until nobody asks any more."""
    with contextlib.suppress(EOFError, BrokenPipeError), os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # whatever prints must not end up in an answer
        while True:
            wishes = pickle.load(sys.stdin.buffer)
            pickle.dump(_outcome(wishes), answers)
            answers.flush()


def _outcome(wishes: Wishes) -> Looked | str:
    from codemods.engine.discover import MissingPathError
    from codemods.engine.settings import SettingsError

    try:
        return _run(wishes)
    except (SettingsError, MissingPathError) as error:
        return str(error).replace(wishes.directory + os.sep, "")
    except Exception as error:
        return f"the engine crashed: {type(error).__name__}: {error}"


def _run(wishes: Wishes) -> Looked:
    from codemods.engine.results import Verb
    from codemods.engine.run import Request, run
    from codemods.engine.select import chosen
    from codemods.rules import index

    directory = Path(wishes.directory)
    settings = _settings(wishes, directory)
    unsafe = settings.unsafe_fixes
    if wishes.fix is not None:
        settings = replace(settings, unsafe_fixes=True)  # the ids say which
    verb = Verb.CHECK if wishes.fix is None else Verb.DIFF
    report = run(Request(verb, (".",), settings, directory, jobs=1, cache=False, only=wishes.fix or frozenset()))
    return Looked(report, unsafe, frozenset(rule.code for rule in chosen(index.entries(), settings)))


def _settings(wishes: Wishes, directory: Path) -> Settings:
    """The repository's own config, and the user's wishes on top. What the repository ignores stays ignored."""
    from codemods.engine.settings import load, override

    settings = load(directory)
    return override(
        settings,
        select=wishes.select or None,
        ignore=(*settings.ignore, *wishes.ignore),
        min_severity=max(settings.min_severity, Severity.WARNING, key=lambda severity: severity.rank),
        unsafe_fixes=wishes.unsafe_fixes,
    )
