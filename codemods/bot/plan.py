"""What to do: out of what was found, and what the forge shows. Pure: nothing here asks or changes anything.

It happens in two steps, because whether there is something new shows in the patch, and the patch is
made for the findings that nobody has said no to: ``choose`` picks those, ``actions`` decides.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from codemods.bot.groups import Group, Scope
from codemods.bot.marker import short
from codemods.bot.observed import Observed, Seen
from codemods.bot.policy import STAGING, Policy
from codemods.bot.proposal import Choice, Proposal
from codemods.engine.results import Entry
from codemods.forge.protocol import State

_MOST = 500
"""Findings in one pull request: nobody reads more."""


@dataclass(frozen=True)
class Look:
    """What the run knows of the repository besides its findings."""

    covers: Callable[[Scope], bool]
    """Whether this run looks after a scope."""
    present: frozenset[str]
    """The ids of all findings."""
    unread: frozenset[str] = frozenset()
    """Files that could not be looked at."""
    complete: bool = True
    """False where something went wrong that is about no file."""


@dataclass(frozen=True)
class Action:
    """One thing to do, and why; what is None has no part in it."""

    scope: Scope | None
    why: str
    proposal: Proposal | None = None
    seen: Seen | None = None


class Open(Action):
    """Open a pull request."""


class Update(Action):
    """Push the patch anew, and describe it anew."""


class Comment(Action):
    """Say what is new, and leave the branch to the person who works on it."""


class Leave(Action):
    """Leave the pull request as it is."""


class Close(Action):
    """Close our pull request and delete our branch."""


class Skip(Action):
    """Open nothing."""


@dataclass(frozen=True)
class Tidy(Action):
    """Delete a branch of ours that has served."""

    branch: str = ""
    sha: str = ""


def declined(pulls: Sequence[Seen]) -> frozenset[str]:
    """The findings that people have said no to, by closing a pull request that mends them."""
    ids: set[str] = set()
    for seen in pulls:
        if seen.pull.state is State.CLOSED and seen.marker and not seen.marker.withdrawn:
            ids |= seen.marker.ids
    return frozenset(ids)


def choose(groups: Sequence[Group], observed: Observed, policy: Policy) -> list[Choice]:
    """For each group the findings that a pull request may mend now.

    Files of a pull request that is open come first, so that one more finding does not exchange its files.
    """
    no = declined(observed.pulls)
    choices: list[Choice] = []
    for group in groups:
        left = [entry for entry in group.entries if entry.id not in no]
        current = _open_for(group.scope, observed)
        known = current.marker.ids if current and current.marker else frozenset[str]()
        first = {entry.finding.path for entry in left if entry.id in known}
        files = sorted({entry.finding.path for entry in left}, key=lambda path: (path not in first, path))
        kept = set(_few(files[: policy.max_files], left))
        ids = frozenset(entry.id for entry in left if entry.finding.path in kept)
        choices.append(Choice(group.scope, ids, len(group.entries) - len(left), len(left) - len(ids)))
    return choices


def _few(files: Sequence[str], entries: Sequence[Entry]) -> Sequence[str]:
    """As many of the files, one at least, as a description has room for their findings."""
    counts = Counter(entry.finding.path for entry in entries)
    total = list(accumulate(counts[path] for path in files))
    return files[: max(1, bisect_right(total, _MOST))]


def actions(
    proposals: Sequence[Proposal], choices: Sequence[Choice], observed: Observed, look: Look, *, may_open: int
) -> list[Action]:
    """What to do, given what could be done: a proposal stands for a choice that changes something.

    ``may_open``: how many pull requests may be opened now, by all limits.
    """
    done: list[Action] = []
    made = {proposal.scope: proposal for proposal in proposals}
    spoken_for: set[int] = set()
    for choice in choices:
        proposal, current = made.get(choice.scope), _open_for(choice.scope, observed)
        if current is not None:
            if proposal is not None:
                spoken_for.add(current.pull.number)
                done.append(_go_on(proposal, current))
        elif proposal is None:
            done.append(Skip(choice.scope, _why_nothing(choice)))
        elif choice.scope.branch in observed.foreign:
            done.append(Skip(choice.scope, f"somebody else has committed to {choice.scope.branch}", proposal))
        elif may_open <= 0:
            done.append(Skip(choice.scope, "the limit of open pull requests is reached", proposal))
        else:
            may_open -= 1
            done.append(Open(choice.scope, "found", proposal))
    done += [_without_proposal(seen, look) for seen in observed.open() if seen.pull.number not in spoken_for]
    return done + _tidy(observed, {action.scope.branch for action in done if type(action) is Open and action.scope})


def _go_on(proposal: Proposal, seen: Seen) -> Action:
    scope, marker, pull = proposal.scope, seen.marker, seen.pull
    why = "somebody else has committed to its branch"
    if marker is None:
        return Leave(scope, "its description has lost the bot's mark", proposal, seen)
    if pull.base != scope.base:
        return Leave(scope, f"somebody has turned it to {pull.base}", proposal, seen)
    if not seen.untouched:
        if proposal.ids - marker.ids - seen.told:
            return Comment(scope, f"{why}, and there is something new", proposal, seen)
        return Leave(scope, why, proposal, seen)
    if marker.digest == proposal.digest and marker.head == pull.head_sha and not marker.withdrawn:
        return Leave(scope, "nothing new", proposal, seen)
    return Update(scope, "there is something new", proposal, seen)


def _without_proposal(seen: Seen, look: Look) -> Action:
    """What becomes of an open pull request that nothing would be proposed for."""
    marker = seen.marker
    if marker is None:
        return Leave(None, "its description has lost the bot's mark", seen=seen)
    scope = replace(marker.scope, base=seen.pull.base)
    if not look.covers(scope):
        return Leave(scope, "it is about something that this run does not look after", seen=seen)
    if seen.orphaned:
        return Close(scope, "the fork that it came from was deleted", seen=seen)
    if not seen.untouched:
        return Leave(scope, "somebody else has committed to its branch", seen=seen)
    if not look.complete or marker.files.intersection(map(short, look.unread)):
        return Leave(scope, "not everything could be looked at", seen=seen)
    if look.present & marker.ids:
        return Leave(scope, "its findings are still there, but no fix can be made for them now", seen=seen)
    return Close(scope, "nothing is left to mend", seen=seen)


def _tidy(observed: Observed, needed: set[str]) -> list[Action]:
    """Branches of pull requests that are merged, or that the bot itself closed, where they were left."""
    staged = [name for name in observed.branches if name.startswith(STAGING)]
    done: list[Action] = [
        Tidy(None, "left by a run that was interrupted", branch=name, sha=observed.branches[name]) for name in staged
    ]
    busy = needed | {seen.pull.branch for seen in observed.open()}
    for seen in observed.pulls:
        pull, marker = seen.pull, seen.marker
        over = pull.state is State.MERGED or (pull.state is State.CLOSED and marker and marker.withdrawn)
        if over and pull.branch not in busy and observed.branches.get(pull.branch) == pull.head_sha:
            busy.add(pull.branch)
            done.append(Tidy(marker.scope if marker else None, "it has served", branch=pull.branch, sha=pull.head_sha))
    return done


def _open_for(scope: Scope, observed: Observed) -> Seen | None:
    """Our open pull request for a scope: the one on its branch, or one of another base that was turned to this one.

    The second is what becomes of the first when somebody renames the base branch.
    """
    alive = [seen for seen in observed.open() if not seen.orphaned]
    turned = (each for each in alive if each.scope == scope and each.pull.base == scope.base)
    return next((seen for seen in alive if seen.pull.branch == scope.branch), None) or next(turned, None)


def _why_nothing(choice: Choice) -> str:
    if not choice.ids and choice.declined:
        return "people have said no to all of it"
    return "no fix could be carried out"
