"""What the user of the bot wants, on top of what a repository says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from codemods.git import Person

PREFIX = "loopmend/"
"""How the name of every branch of the bot starts."""
STAGING = PREFIX + "staging-"
"""How the names of those start on which the forge makes commits; they are there for a moment."""


BOT = Person("loopmend", "loopmend@users.noreply.github.com")


class GroupBy(StrEnum):
    """What belongs into one pull request."""

    RULE = "rule"
    DIRECTORY = "directory"
    OWNERS = "codeowners"


@dataclass(frozen=True)
class Policy:
    """How pull requests are made. Every field has a default that is polite."""

    select: tuple[str, ...] = ()
    """Rules to run, in place of what the repository's config selects; empty leaves it to that."""
    ignore: tuple[str, ...] = ()
    """Rules not to run, besides those that the repository's config ignores."""
    unsafe_fixes: bool | None = None
    """None: as the repository's config says."""
    group_by: GroupBy = GroupBy.RULE
    depth: int = 1
    """How many folders of a path make a group by directory."""
    base: str = ""
    """The branch to work against; empty for the default branch."""
    max_open: int = 3
    """Pull requests of ours that are open in one repository at a time."""
    max_files: int = 20
    """Files in one pull request; the others follow when it is merged."""
    per_hour: int = 10
    """Pull requests that are opened in an hour, everywhere."""
    labels: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()
    draft: bool = False
    """Safe ones too. Unsafe ones always are."""
    fork: bool = False
    """Work in a fork even where the token may push."""
    verify: str = ""
    """A command of the project, run before and after the change; it runs the repository's code."""
    verify_seconds: float = 600
    pages: str = ""
    """Where the pages of the rules are on the web, as ``https://host/docs/rules``; empty: they are quoted."""
    author: Person = BOT
    api_commits: bool = False
    """Let the forge make the commits, so that they are verified, where it can."""
    seconds: float = 300
    """How long git, and the look at one repository, may take."""
