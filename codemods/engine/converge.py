"""The fixpoint: carry out rewrites pass by pass, and keep only what holds the invariants.

Whoever wrote a rule, its rewrite is kept when the result compiles, its finding is gone, no
rule finds more than before, and every comment and string is still there. A rewrite that
breaks one of these is taken back alone and named; its neighbours stay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from codemods.engine import integrity
from codemods.engine.results import Fix, Outcome, Rejected
from codemods.model import Edit, Finding, Safety
from codemods.project.tree import Project
from codemods.rewriting.locate import MisplacedError
from codemods.rewriting.lower import given_up, lower
from codemods.source import Source

MAX_PASSES = 10
Wanted = Callable[[Finding], bool]
_Key = tuple[str, str, str]


class World(Protocol):
    """The files that a rewrite may touch, as they stand by now."""

    def read(self, path: str) -> Source | None:
        """The file at ``path``; None when there is none."""

    def findings(self) -> list[Finding]:
        """What the rules find in the files as they stand."""

    def with_sources(self, sources: Mapping[str, Source]) -> World:
        """The same world with some files changed."""


def converge_file(source: Source, analyse: Callable[[Source], list[Finding]], wanted: Wanted) -> Outcome:
    """Carry out every wanted rewrite of one file until none is left."""
    return _Convergence(_FileWorld(source, analyse), wanted).run()


def converge_project(project: Project, find: Callable[[Project], list[Finding]], wanted: Wanted) -> Outcome:
    """Carry out every wanted rewrite that spans the files of a project until none is left."""
    return _Convergence(_ProjectWorld(project, find), wanted).run()


@dataclass(frozen=True)
class _FileWorld:
    source: Source
    analyse: Callable[[Source], list[Finding]]

    def read(self, path: str) -> Source | None:
        return self.source if path == self.source.path else None

    def findings(self) -> list[Finding]:
        return self.analyse(self.source)

    def with_sources(self, sources: Mapping[str, Source]) -> World:
        return _FileWorld(sources.get(self.source.path, self.source), self.analyse)


@dataclass(frozen=True)
class _ProjectWorld:
    project: Project
    find: Callable[[Project], list[Finding]]

    def read(self, path: str) -> Source | None:
        return self.project.source(path)

    def findings(self) -> list[Finding]:
        return self.find(self.project)

    def with_sources(self, sources: Mapping[str, Source]) -> World:
        known = self.project.modules
        parsed = {path: known[path].changed(source) for path, source in sources.items() if path in known}
        changed = replace(
            self.project,
            modules={**known, **parsed},
            overlay={**self.project.overlay, **sources},
        )
        return _ProjectWorld(changed, self.find)


@dataclass(frozen=True)
class _Step:
    """One rewrite, lowered against the world of its pass."""

    finding: Finding
    edits: tuple[Edit, ...]


@dataclass(frozen=True)
class _Attempt:
    """What would become of the world with some steps; ``broken`` says what speaks against it."""

    steps: list[_Step]
    world: World | None = None
    findings: list[Finding] = field(default_factory=list)
    changed: dict[str, Source] = field(default_factory=dict)
    broken: str = ""


class _Convergence:
    def __init__(self, world: World, wanted: Wanted) -> None:
        self._first = self._world = world
        self._wanted = wanted
        self._findings = world.findings()
        self._sources: dict[str, Source] = {}
        self._fixed: list[Fix] = []
        self._rejected: dict[_Key, Rejected] = {}
        self._waiting: dict[_Key, Rejected] = {}
        """What breaks something as long as nothing else changes."""
        self._demoted: set[_Key] = set()
        self._deferred: set[_Key] = set()

    def run(self) -> Outcome:
        seen = {self._state()}
        for turn in range(1, MAX_PASSES + 1):
            steps = self._plan()
            if not steps:
                break
            self._take(steps, turn)
            if self._state() in seen:
                if any(fix.turn == turn for fix in self._fixed):
                    return self._oscillating()
                continue
            seen.add(self._state())
        found = [self._as_demoted(f) for f in self._findings]
        rejected = (*self._rejected.values(), *self._waiting.values())
        return Outcome(self._sources, tuple(self._fixed), tuple(found), rejected)

    def _state(self) -> frozenset[tuple[str, bytes]]:
        return frozenset((path, source.data) for path, source in self._sources.items())

    def _oscillating(self) -> Outcome:
        names = ", ".join(sorted({fix.finding.code for fix in self._fixed}))
        reason = f"the rewrites of {names} undo one another here; the file was left as it is"
        rejected = tuple(Rejected(fix.finding, reason) for fix in self._fixed if fix.turn == 1)
        return Outcome({}, (), tuple(self._first.findings()), (*self._rejected.values(), *rejected))

    # -- one pass -----------------------------------------------------------------------------

    def _plan(self) -> list[_Step]:
        """The wanted rewrites of this pass whose edits do not touch; the others wait."""
        steps: list[_Step] = []
        deferred: set[_Key] = set()
        for finding in map(self._as_demoted, self._findings):
            key = _key(finding)
            chosen = key in self._deferred or self._wanted(finding)
            if finding.rewrite is None or key in self._rejected or key in self._waiting or not chosen:
                continue
            try:
                edits = lower(finding.rewrite, finding.path, self._world.read)
            except MisplacedError as error:
                rejected = f"the rewrite could not be carried out: {error}"
                self._rejected[key] = Rejected(finding, rejected)
                continue
            if not edits:
                self._rejected[key] = Rejected(finding, "the rewrite changes nothing")
            elif any(_touch(edits, step.edits) for step in steps):
                deferred.add(key)
            else:
                steps.append(_Step(finding, edits))
        self._deferred = deferred
        return steps

    def _take(self, steps: list[_Step], turn: int) -> None:
        """Keep all steps when they hold together; else those that hold alone, together or one.

        What does not hold alone waits until something else has changed: that may be what it lacks.
        """
        if not self._keep(self._attempt(steps), turn):
            return
        sound: list[_Step] = []
        for step in steps:
            reason = self._attempt([step]).broken
            if reason == _LOSES_COMMENT:
                self._demoted.add(_key(step.finding))
            elif reason:
                self._waiting[_key(step.finding)] = Rejected(step.finding, reason)
            else:
                sound.append(step)
        if sound and self._keep(self._attempt(sound), turn):
            self._keep(self._attempt(sound[:1]), turn)

    def _attempt(self, steps: list[_Step]) -> _Attempt:
        """Apply ``steps`` to a copy of the world and see what they break."""
        changed: dict[str, Source] = {}
        safe = any(step.finding.rewrite is not None and step.finding.rewrite.safety is Safety.SAFE for step in steps)
        loses_comment = False
        for path in sorted({edit.path for step in steps for edit in step.edits}):
            before = self._world.read(path)
            assert before is not None  # lower() has read it
            edits = [edit for step in steps for edit in step.edits if edit.path == path]
            try:
                after = changed[path] = before.with_edits(edits)
            except UnicodeEncodeError:
                return _Attempt(steps, broken=f"the result cannot be written as {before.encoding}")
            if reason := integrity.damage(before, after, _replaced(steps, before)):
                return _Attempt(steps, broken=reason)
            loses_comment = loses_comment or integrity.loses_comment(before, after)
        world = self._world.with_sources(changed)
        found = world.findings()
        if reason := _unmended(self._findings, found, [step.finding for step in steps]):
            return _Attempt(steps, broken=reason)
        return _Attempt(steps, world, found, changed, _LOSES_COMMENT if safe and loses_comment else "")

    def _keep(self, attempt: _Attempt, turn: int) -> str:
        """Make the outcome of an attempt the world; the reason why not, empty when it was kept."""
        if attempt.world is not None and not attempt.broken:
            self._world, self._findings = attempt.world, attempt.findings
            self._waiting.clear()
            self._sources.update(attempt.changed)
            self._fixed.extend(Fix(step.finding, step.edits, turn) for step in attempt.steps)
        return attempt.broken

    def _as_demoted(self, finding: Finding) -> Finding:
        """The finding, its rewrite unsafe when that was seen to lose a comment."""
        if finding.rewrite is None or _key(finding) not in self._demoted:
            return finding
        demoted = replace(finding.rewrite, safety=Safety.UNSAFE, why_unsafe="a comment goes away")
        return replace(finding, rewrite=demoted)


_LOSES_COMMENT = "a comment would be lost"


def _replaced(steps: list[_Step], source: Source) -> list[str]:
    """What the steps say that they take away from one file, as code."""
    return [
        code
        for step in steps
        if step.finding.rewrite is not None
        for operation in step.finding.rewrite.operations
        if (operation.path or step.finding.path) == source.path
        for code in given_up(source, operation)
    ]


def _key(finding: Finding) -> _Key:
    """Tells a finding apart from pass to pass, wherever its lines have moved."""
    return (finding.path, finding.code, finding.anchor)


def _touch(some: tuple[Edit, ...], others: tuple[Edit, ...]) -> bool:
    return any(a.path == b.path and a.start <= b.end and b.start <= a.end for a in some for b in others)


def _unmended(before: list[Finding], after: list[Finding], fixed: list[Finding]) -> str:
    """Why the findings after a step speak against it; empty when they do not."""
    gone = Counter(map(_key, fixed))
    keys_before, keys_after = Counter(map(_key, before)), Counter(map(_key, after))
    for key, count in gone.items():
        if keys_after[key] > keys_before[key] - count:
            return "the finding is still there after its rewrite"
    codes_gone = Counter(finding.code for finding in fixed)
    codes_before, codes_after = Counter(f.code for f in before), Counter(f.code for f in after)
    for code, count in codes_after.items():
        if count > codes_before[code] - codes_gone[code]:
            return f"the rewrite would bring a new finding of {code}"
    return ""
