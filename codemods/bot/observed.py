"""What the forge shows of the bot: its pull requests and its branches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from codemods.bot.groups import Scope
from codemods.bot.marker import Marker
from codemods.forge.protocol import PullRequest, State


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
