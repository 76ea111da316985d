"""What became of each finding, out of what was found and what the fixpoint did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from codemods.engine.examine import Examined
from codemods.engine.results import Entry, Fix, Status
from codemods.model import Finding, Safety

_Key = tuple[str, str, str]


def entries(examined: Examined, *, fixing: bool, only: frozenset[str]) -> list[Entry]:
    """One entry, still without its id, for each finding of the text as it was read.

    A finding that came up in a later pass and was fixed there gets an entry as well. One that went
    away with another, whose rewrite mends both, is fixed without a fix of its own.
    """
    outcome = examined.outcome
    if outcome is None:
        return [_open(finding, fixing, only) for finding in examined.found]
    waiting = list(examined.found)
    settled: list[Entry] = []
    still_open = Counter(map(_key, examined.remaining))
    for fix in outcome.fixed:
        finding = _take(waiting, fix.finding) or _take_reworded(waiting, fix.finding, still_open) or fix.finding
        settled.append(Entry("", finding, Status.FIXED, fix))
    for rejected in outcome.rejected:
        finding = _take(waiting, rejected.finding) or rejected.finding
        settled.append(Entry("", finding, Status.REJECTED, reason=rejected.reason))
    rewrites = {_key(finding): finding.rewrite for finding in outcome.open}
    new = _new_words(examined.found, examined.remaining)
    for finding in sorted(waiting, key=lambda finding: finding.rewrite is not None):
        rewrite = rewrites.get(_key(finding))
        if finding.rewrite and rewrite:  # it may have been found unsafe on the way
            finding = replace(finding, rewrite=rewrite)
        gone = outcome.fixed and still_open[_key(finding)] < 1
        still_open[_key(finding)] -= 1
        if gone and new[_place(finding)]:  # it is still there: another rewrite has changed the text that it stands on
            new[_place(finding)] -= 1
            gone = False
        settled.append(Entry("", finding, Status.FIXED) if gone else _open(finding, fixing, only))
    return settled


def edits_in_original(fix: Fix | None) -> bool:
    """Whether the edits of a fix speak of the text as it was read."""
    return fix is not None and fix.turn == 1


def _take(waiting: list[Finding], finding: Finding) -> Finding | None:
    """Remove ``finding`` from the list, at its old place if it has moved since."""
    same: Iterable[Finding] = (other for other in waiting if other == finding)
    moved = [other for other in waiting if _key(other) == _key(finding)]
    alike: Iterable[Finding] = (other for other in moved if _title(other) == _title(finding))
    taken = next(iter(same), None) or next(iter(alike), None) or next(iter(moved), None)
    if taken is not None:
        waiting.remove(taken)
    return taken


def _take_reworded(waiting: list[Finding], finding: Finding, still_open: Counter[_Key]) -> Finding | None:
    """Remove what ``finding`` was before another rewrite changed its text: gone, and in the same function."""
    gone = (other for other in waiting if not still_open[_key(other)])
    taken = next((other for other in gone if _place(other) == _place(finding)), None)
    if taken is not None:
        waiting.remove(taken)
    return taken


def _new_words(before: Iterable[Finding], after: Iterable[Finding]) -> Counter[_Key]:
    """How many findings of each function there are now under a text that no finding had before."""
    known = set(map(_key, before))
    return Counter(_place(finding) for finding in after if _key(finding) not in known)


def _place(finding: Finding) -> _Key:
    return (finding.path, finding.code, finding.scope)


def _title(finding: Finding) -> str:
    return finding.rewrite.title if finding.rewrite else ""


def _key(finding: Finding) -> _Key:
    return (finding.path, finding.code, finding.anchor)


def _open(finding: Finding, fixing: bool, only: frozenset[str]) -> Entry:
    if not fixing:
        return Entry("", finding)
    if finding.rewrite is None:
        return Entry("", finding, reason=finding.refusal)
    if finding.rewrite.safety is Safety.UNSAFE:
        why = f" ({finding.rewrite.why_unsafe})" if finding.rewrite.why_unsafe else ""
        return Entry("", finding, reason=f"the fix is unsafe{why}: --unsafe-fixes applies it")
    return Entry("", finding, reason="not asked for" if only else "waits for a fix that it touches; run again")
