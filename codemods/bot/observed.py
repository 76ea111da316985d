"""What the forge shows of the bot: its pull requests and its branches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from codemods.bot import body as bodies
from codemods.bot import marker as markers
from codemods.bot.groups import Scope
from codemods.bot.marker import Marker
from codemods.bot.policy import PREFIX
from codemods.forge.protocol import Forge, PullRequest, RepositoryId, State
from codemods.git import Clone, GitError, Remote


@dataclass(frozen=True)
class Seen:
    """A pull request of the bot, as it was observed."""

    pull: PullRequest
    marker: Marker | None
    untouched: bool = True
    """The newest commit of its branch is one that the bot made."""
    told: frozenset[str] = frozenset()
    """The findings that comments of the bot have spoken of."""

    @property
    def scope(self) -> Scope | None:
        """What it is about, and into which branch: forges turn it to another when its base is renamed."""
        return replace(self.marker.scope, base=self.pull.base) if self.marker else None

    @property
    def orphaned(self) -> bool:
        """Whether the fork that it came from was deleted."""
        return not self.pull.head.path


@dataclass(frozen=True)
class Observed:
    """What the forge shows."""

    pulls: Sequence[Seen] = ()
    branches: Mapping[str, str] = field(default_factory=dict)
    """Where the branches of the bot stand."""
    foreign: frozenset[str] = frozenset()
    """Branches without an open pull request whose newest commit is not the bot's."""

    def open(self) -> list[Seen]:
        """The pull requests that are open."""
        return [seen for seen in self.pulls if seen.pull.state is State.OPEN]


def trusted(forge: Forge, repository: RepositoryId, home: RepositoryId) -> Iterator[PullRequest]:
    """The bot's pull requests, newest first, and no stranger's that looks like one.

    Its branch is in the repository itself or in a fork of the bot's, or the bot has opened it.
    """
    login = forge.login()
    for pull in forge.pull_requests(repository, branch_prefix=PREFIX):
        ours = pull.head in (repository, home) or pull.head.path.rpartition("/")[0] == login
        if ours or (pull.author and pull.author == login):
            yield pull


def observe(forge: Forge, repository: RepositoryId, home: RepositoryId, clone: Clone, remote: Remote) -> Observed:
    """Look at all of it; ``home``, behind ``remote``, has our branches. Raises ForgeError and GitError."""
    branches = clone.branches(PREFIX, of=remote)
    known: set[str] = set()
    pulls: list[Seen] = []

    def ours(sha: str) -> bool:
        return sha in known or _is_ours(clone, sha, remote)

    for pull in trusted(forge, repository, home):
        mark = markers.read(pull.body)
        if mark and pull.head == home:
            known.add(mark.head)
        pulls.append(Seen(pull, mark))
    seen = [
        _closer(forge, repository, each, each.pull.head == home and ours(each.pull.head_sha))
        if each.pull.state is State.OPEN
        else each
        for each in pulls
    ]
    busy = {each.pull.branch for each in seen if each.pull.state is State.OPEN}
    foreign = frozenset(name for name, sha in branches.items() if name not in busy and not ours(sha))
    return Observed(seen, branches, foreign)


def _closer(forge: Forge, repository: RepositoryId, seen: Seen, untouched: bool) -> Seen:
    """An open pull request; where somebody else works on it, with what was said to them."""
    if untouched:
        return seen
    said = forge.comments(repository, seen.pull.number)
    told = frozenset(id_ for comment in said for id_ in markers.read_told(comment.body))
    return Seen(seen.pull, seen.marker, False, told)


def _is_ours(clone: Clone, sha: str, remote: Remote) -> bool:
    """Whether a commit was made by the bot and by nobody after it: its message names its tree."""
    try:
        if not clone.has(sha):
            clone.fetch(sha, of=remote)
        return bodies.made_by_us(*clone.tree_and_message(sha))
    except GitError:
        return False
