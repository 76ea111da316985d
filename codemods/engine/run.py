"""A run: from the paths on the command line to the report."""

from __future__ import annotations

import gc
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from codemods.engine.analyse import Interest
from codemods.engine.discover import File, discover
from codemods.engine.examine import Examined, Examiner, Task
from codemods.engine.identity import identify, place
from codemods.engine.results import Change, Entry, Problem, Report, Status, Verb
from codemods.engine.settings import Settings
from codemods.engine.settle import entries
from codemods.model import Finding
from codemods.rules import index
from codemods.source import Source

if TYPE_CHECKING:
    from codemods.engine.cache import Cache

_ENOUGH_TO_SHARE = {Verb.CHECK: 400, Verb.DIFF: 24, Verb.APPLY: 24}
"""From so many files on, several processes are faster than one although each has to start."""

_KEPT = 200
"""So many parsed files wait for the project rules; a parsed file takes about a megabyte."""

_GENERATED = b"@generated"
_NOBODY = Interest()
_HEAD = 1000
"""Where ``@generated`` has to stand: in so many bytes from the start."""


@dataclass(frozen=True)
class Request:
    """What the user wants from a run."""

    verb: Verb
    paths: Sequence[str] = (".",)
    settings: Settings = field(default_factory=Settings)
    directory: Path = field(default_factory=Path.cwd)
    jobs: int | None = None
    cache: bool = True
    only: frozenset[str] = frozenset()
    stdin: Source | None = None
    """Looked at instead of the paths."""


@dataclass
class _Scan:
    """What the bytes of the files say, before any of them is parsed."""

    files: int = 0
    candidates: list[Source] = field(default_factory=list)
    context: dict[str, frozenset[str]] = field(default_factory=dict)
    """The files that project rules would have to see, with the codes of these rules."""
    triggers: list[tuple[Source, frozenset[str]]] = field(default_factory=list)
    """The files that may give project rules something to do."""
    problems: list[Problem] = field(default_factory=list)
    stamps: dict[str, tuple[os.stat_result, bool]] = field(default_factory=dict)
    """Of the candidates that may turn out to be silent, and whether project rules want them."""


def run(request: Request) -> Report:
    """Look at the files, mend what is wanted, write what was mended (for ``apply``).

    Raises SettingsError and MissingPathError.
    """
    started = time.perf_counter()
    task = Task(request.settings, request.directory, request.verb is not Verb.CHECK, request.only)
    with _collector_paused():
        report = _Run(request, Examiner(task, keeps=_KEPT)).report()
    report.seconds = time.perf_counter() - started
    return report


class _Run:
    def __init__(self, request: Request, examiner: Examiner) -> None:
        self._request = request
        self._examiner = examiner
        walks = any(os.path.isdir(request.directory / path) for path in request.paths)
        self._cache = _open_cache(request.settings) if request.cache and walks and not request.stdin else None

    def report(self) -> Report:
        request = self._request
        scan = self._scan()
        results = list(self._examine(scan.candidates))
        self._remember(scan, results)
        if scan.triggers and request.stdin is None:
            results.append(self._project(scan, results))
        report = Report(request.verb, {rule.code: rule.name for rule in index.entries()}, request.directory, scan.files)
        report.problems = [*scan.problems, *(problem for result in results for problem in result.problems)]
        report.stdin = request.stdin
        self._settle(report, results)
        originals = {path: source for result in results for path, source in result.originals.items()}
        originals.update((source.path, source) for source in scan.candidates)
        for path, after in sorted(_changed(results).items()):
            report.changes[path] = Change(originals[path], after)
        if request.verb is Verb.APPLY and request.stdin is None:
            self._write(report)
        return report

    # -- looking ------------------------------------------------------------------------------

    def _scan(self) -> _Scan:
        scan = _Scan()
        if self._request.stdin is not None:
            scan.files = 1
            scan.candidates = [self._request.stdin]
            return scan
        for file in discover(self._request.paths, self._request.settings, self._request.directory):
            scan.files += 1
            try:
                self._look(file, scan)
            except OSError as error:
                reason = os.strerror(error.errno) if error.errno else error
                scan.problems.append(Problem(file.path, f"cannot be read: {reason}"))
        return scan

    def _look(self, file: File, scan: _Scan) -> None:
        """Read a file, unless it is known to be silent, and see which rules want it."""
        cache, analyser = self._cache, self._examiner.analyser
        absolute = os.path.join(self._request.directory, file.path)
        status, silent = None, False
        if cache:
            status = os.stat(absolute)
            silent = cache.is_silent(absolute, status)
            if silent and not cache.is_wanted(absolute):
                return
        data = _read(absolute)
        interest = analyser.interest(file.path, data)
        if interest != _NOBODY and not file.explicit and _GENERATED in data[:_HEAD]:
            interest = _NOBODY
        candidate, triggers, wanted = interest.check, interest.triggers, interest.context
        if wanted:
            scan.context[file.path] = wanted
        if triggers:
            scan.triggers.append((Source(file.path, data), triggers))
        if silent:
            return
        if candidate:
            scan.candidates.append(Source(file.path, data))
        if cache and status:
            for_project = bool(wanted or triggers)
            if candidate:
                scan.stamps[file.path] = status, for_project
            else:
                cache.remember(absolute, status, wanted=for_project)

    def _examine(self, candidates: list[Source]) -> Iterator[Examined]:
        jobs = self._request.jobs
        if jobs is None and len(candidates) < _ENOUGH_TO_SHARE[self._request.verb]:
            jobs = 1
        if jobs == 1 or len(candidates) < 2:
            return map(self._examiner, candidates)
        from codemods.engine.workers import default_jobs, examine_in_pool  # 20 ms that a small run saves

        return examine_in_pool(candidates, self._examiner.task, jobs or default_jobs())

    def _remember(self, scan: _Scan, results: list[Examined]) -> None:
        if not self._cache:
            return
        for result in results:
            if result.path in scan.stamps and not result.found and not result.problems:
                status, wanted = scan.stamps[result.path]
                self._cache.remember(os.path.join(self._request.directory, result.path), status, wanted=wanted)
        self._cache.save()

    def _project(self, scan: _Scan, results: list[Examined]) -> Examined:
        overlay = _changed(results)
        known = {finding.path for result in results for finding in result.found if finding.code == "LM000"}
        context = {path: codes for path, codes in scan.context.items() if path not in known}
        return self._examiner.project(scan.triggers, context, overlay)

    # -- telling ------------------------------------------------------------------------------

    def _settle(self, report: Report, results: list[Examined]) -> None:
        """Fill in what became of each finding."""
        request = self._request
        fixing = request.verb is not Verb.CHECK
        found = [entry for result in results for entry in entries(result, fixing=fixing, only=request.only)]
        ids = identify((e.finding for e in found), directory=request.directory, root=request.settings.root)
        by_finding = {finding: id_ for id_, finding in ids.items()}
        report.entries = sorted(
            (replace(entry, id=by_finding[entry.finding]) for entry in found), key=lambda e: place(e.finding)
        )
        for id_ in sorted(request.only - ids.keys()):
            report.problems.append(Problem("--fix", f"no finding has the id {id_}"))
        report.remaining = sorted(self._remaining(results), key=place)

    def _remaining(self, results: list[Examined]) -> list[Finding]:
        """What is open in the changed files, those that a project rule changed looked at once more."""
        last = results[-1].outcome if results and not results[-1].path else None
        moved = last.sources if last else {}
        remaining: list[Finding] = []
        for result in results:
            if result.path in moved:
                found, unused = self._examiner.analyser.check(moved[result.path])
                remaining += [*found, *unused]
            else:
                remaining += result.remaining
        return remaining

    def _write(self, report: Report) -> None:
        """Put the changed files in place; what could not be written is open again."""
        from codemods.engine.write import WriteError, write

        root = self._request.settings.root
        for path, change in list(report.changes.items()):
            try:
                write(self._request.directory / path, change.before.data, change.after.data, root)
            except WriteError as error:
                del report.changes[path]
                report.problems.append(Problem(path, f"not written: {error}"))
                report.entries = [
                    Entry(entry.id, entry.finding, Status.OPEN, reason=f"not written: {error}")
                    if entry.status is Status.FIXED and entry.finding.path == path
                    else entry
                    for entry in report.entries
                ]


def _open_cache(settings: Settings) -> Cache:
    from codemods.engine.cache import Cache  # for single files it costs more than it saves

    return Cache.for_settings(settings)


def _changed(results: list[Examined]) -> dict[str, Source]:
    return {path: source for result in results if result.outcome for path, source in result.outcome.sources.items()}


_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
"""Without blocking: a pipe that nobody writes to is refused, not waited for."""


def _read(path: str) -> bytes:
    """The bytes of a file: half the time of ``open().read()``, which counts for 7,000 files."""
    handle = os.open(path, _READ)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise OSError("it is no regular file; `-` reads stdin")
        size = status.st_size
        data = os.read(handle, size + 1)
        while len(data) > size:  # it has grown
            more = os.read(handle, 1 << 20)
            if not more:
                break
            data += more
        return data
    finally:
        os.close(handle)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Syntax trees are many objects without cycles: collecting while parsing costs 15 to 23%."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
