"""What the bot asks of a forge: repositories, pull requests, comments, and nothing about findings.

The word is "pull request" on every forge. An adapter translates, it decides nothing. No method
that creates something is ever sent twice blindly: an adapter that cannot tell whether its request
took effect raises ``Uncertain``, and the caller looks before it tries again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class ForgeError(Exception):
    """The forge said no, or could not be asked. The text holds no token."""


class NotFound(ForgeError):
    """There is no such repository, branch or pull request, or the token may not see it."""


class Denied(ForgeError):
    """The token may not do this."""


class Exists(ForgeError):
    """What was to be created is there already."""


class Unavailable(ForgeError):
    """The forge cannot answer now; nothing was changed by the request.

    ``retry_after`` is the number of seconds the forge asks to wait; None when it names none.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Uncertain(ForgeError):
    """A request that writes was sent and its answer was lost: it may have taken effect or not."""


@dataclass(frozen=True, slots=True)
class RepositoryId:
    """A repository on some forge: ``host`` without scheme, ``path`` as ``owner/name``.

    A server that is not at the top of its host has its path in ``host``: ``git.example.org/gitlab``.
    On GitLab the owner may hold further slashes.
    """

    host: str
    path: str

    def __str__(self) -> str:
        return f"{self.host}/{self.path}"


@dataclass(frozen=True, slots=True)
class Repository:
    """What the forge says of a repository."""

    id: RepositoryId
    clone_url: str
    """Over HTTP(S), without credentials."""
    default_branch: str
    archived: bool = False
    can_push: bool = True
    """Whether the token may push branches; otherwise the bot works in a fork."""


class State(StrEnum):
    """What became of a pull request."""

    OPEN = "open"
    CLOSED = "closed"
    MERGED = "merged"


@dataclass(frozen=True, slots=True)
class PullRequest:
    """A pull request as the forge has it."""

    number: int
    """What people and URLs call it; GitLab's ``iid``."""
    url: str
    state: State
    title: str
    body: str
    branch: str
    head: RepositoryId
    """The repository that ``branch`` is in: the fork's, or the same one."""
    head_sha: str
    base: str
    draft: bool = False
    labels: tuple[str, ...] = ()
    author: str = ""
    """The login of who opened it, as ``Forge.login`` spells it."""


@dataclass(frozen=True, slots=True)
class NewPullRequest:
    """A pull request to be opened."""

    title: str
    body: str
    branch: str
    head: RepositoryId
    base: str
    draft: bool = False
    labels: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    assignees: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Comment:
    """What somebody said on a pull request."""

    author: str
    body: str


class Checks(StrEnum):
    """What the forge's own continuous integration says of a commit."""

    NONE = "none"
    PENDING = "pending"
    PASSED = "passed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file in a commit that is made through the API: ``content`` None deletes it."""

    path: str
    content: bytes | None
    executable: bool = False


@dataclass(frozen=True, slots=True)
class GitLogin:
    """What git over HTTP logs in with. The password is never printed."""

    username: str
    password: str = field(repr=False)


class Forge(Protocol):
    """One forge with one identity. Every method raises ForgeError, the more exact kinds where it can.

    Reads are retried by the adapter; of writes only those whose repetition changes nothing.
    """

    host: str

    def login(self) -> str:
        """The name of the account that the token belongs to."""

    def git_login(self) -> GitLogin:
        """For cloning and pushing; asked for before every use, since an app's token lives for an hour."""

    def repository(self, id: RepositoryId) -> Repository:
        """Raises NotFound."""

    def repositories(self, owner: str) -> Iterator[Repository]:
        """Every repository of an organisation, a group or a user that the token can see."""

    def fork(self, id: RepositoryId) -> Repository:
        """The account's fork of a repository, made when there is none, ready to be pushed to."""

    def pull_requests(self, id: RepositoryId, *, branch_prefix: str) -> Iterator[PullRequest]:
        """Those into this repository, open, closed and merged, whose branch starts so; newest first."""

    def open_pull_request(self, id: RepositoryId, new: NewPullRequest) -> PullRequest:
        """Sent once, without labels and people. Raises Exists, Denied, Uncertain."""

    def furnish(self, id: RepositoryId, number: int, new: NewPullRequest) -> list[str]:
        """Add the labels and people of a new pull request; doing it again changes nothing.

        They are nice to have: what could not be set is told, a line each, and no error.
        """

    def update_pull_request(
        self, id: RepositoryId, number: int, *, title: str | None = None, body: str | None = None
    ) -> PullRequest:
        """Set the title or the body."""

    def close_pull_request(self, id: RepositoryId, number: int) -> None:
        """Close without merging; closing a closed one does nothing."""

    def comments(self, id: RepositoryId, number: int) -> Iterator[Comment]:
        """In the order in which they were written."""

    def comment(self, id: RepositoryId, number: int, body: str) -> None:
        """Sent once. Raises Uncertain."""

    def delete_branch(self, id: RepositoryId, branch: str) -> None:
        """Deleting a branch that is gone does nothing."""

    def checks(self, id: RepositoryId, sha: str) -> Checks:
        """The combined state of a commit's checks."""

    def commit(
        self, id: RepositoryId, *, branch: str, parent: str, message: str, changes: Sequence[FileChange]
    ) -> str | None:
        """Make a commit that the forge signs, on ``branch`` that stands at ``parent``; the new sha.

        None where the forge or the credentials cannot: the caller then pushes with git.
        Raises Uncertain, and Denied when the branch has moved.
        """
