"""A forge without a wire: what a house knows, in the words of the protocol."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from codemods.forge.protocol import (
    Checks,
    Comment,
    Denied,
    Exists,
    FileChange,
    ForgeError,
    GitLogin,
    NewPullRequest,
    NotFound,
    PullRequest,
    Repository,
    RepositoryId,
    State,
)
from tests.forges.house import NOBODY, House, Pull, Refused, Repo


@dataclass
class Fault:
    """The next call of a method fails, before or after it took effect."""

    method: str
    error: ForgeError
    took_effect: bool = False


class MemoryForge:
    """A Forge for the account that ``token`` belongs to."""

    def __init__(self, house: House, host: str, token: str, clone_url: Callable[[Repo], str]) -> None:
        self.house = house
        self.host = host
        self.faults: list[Fault] = []
        self.calls: list[str] = []
        self.before: Callable[[str], None] = lambda method: None
        """Called at the start of every call: for what somebody else does in the meantime."""
        self.stale = 0
        """So many lists of pull requests show what was there before the last one was opened."""
        self.signs = False
        """Whether it makes commits itself."""
        self._token = token
        self._account = house.tokens[token]
        self._clone_url = clone_url
        self._lock = threading.RLock()

    def id(self, path: str) -> RepositoryId:
        """As the bot calls a repository."""
        return RepositoryId(self.host, path)

    def login(self) -> str:
        """See Forge."""
        return self._account

    def git_login(self) -> GitLogin:
        """See Forge."""
        return GitLogin("x-access-token", self._token)

    def repository(self, id: RepositoryId) -> Repository:
        """See Forge."""
        with self._call("repository"):
            return self._repository(self.house.moved.get(id.path) or self._of(id))

    def repositories(self, owner: str) -> Iterator[Repository]:
        """See Forge."""
        with self._call("repositories"):
            return iter([self._repository(repo) for repo in self.house.owned(owner)])

    def fork(self, id: RepositoryId) -> Repository:
        """See Forge."""
        with self._call("fork"):
            return self._repository(self.house.fork(self._of(id), self._account))

    def pull_requests(self, id: RepositoryId, *, branch_prefix: str) -> Iterator[PullRequest]:
        """See Forge."""
        with self._call("pull_requests"):
            repo = self._of(id)
            pulls = self.house.pulls(repo)[1 if self.stale else 0 :]
            self.stale = max(0, self.stale - 1)
            return iter([self.said(repo, pull) for pull in pulls if pull.branch.startswith(branch_prefix)])

    def open_pull_request(self, id: RepositoryId, new: NewPullRequest) -> PullRequest:
        """See Forge."""
        with self._call("open_pull_request"):
            repo, head = self._of(id), self._of(new.head)
            self._may_write(head)
            pull = Pull(0, new.title, new.body, new.branch, head, new.base, self._account, new.draft)
            return self.said(repo, self.house.open(repo, pull))

    def furnish(self, id: RepositoryId, number: int, new: NewPullRequest) -> list[str]:
        """See Forge."""
        with self._call("furnish"):
            _, pull = self._mine(id, number)
            pull.labels, pull.assignees = list(new.labels), list(new.assignees)
            pull.reviewers = [name for name in new.reviewers if name != NOBODY]
            return [f"reviewers: there is no {NOBODY}"] if NOBODY in new.reviewers else []

    def update_pull_request(
        self, id: RepositoryId, number: int, *, title: str | None = None, body: str | None = None
    ) -> PullRequest:
        """See Forge."""
        with self._call("update_pull_request"):
            repo, pull = self._mine(id, number)
            pull.title = pull.title if title is None else title
            pull.body = pull.body if body is None else body
            return self.said(repo, pull)

    def close_pull_request(self, id: RepositoryId, number: int) -> None:
        """See Forge."""
        with self._call("close_pull_request"):
            _, pull = self._mine(id, number)
            pull.state = "closed" if pull.state == "open" else pull.state

    def comments(self, id: RepositoryId, number: int) -> Iterator[Comment]:
        """See Forge."""
        with self._call("comments"):
            remarks = self.house.pull(self._of(id), number).remarks
            return iter([Comment(each.author, each.body) for each in remarks])

    def comment(self, id: RepositoryId, number: int, body: str) -> None:
        """See Forge."""
        with self._call("comment"):
            self.house.remark(self._of(id), number, self._account, body)

    def delete_branch(self, id: RepositoryId, branch: str) -> None:
        """See Forge."""
        with self._call("delete_branch"):
            repo = self._of(id)
            self._may_write(repo)
            if branch in repo.heads():
                self.house.delete_branch(repo, branch)

    def checks(self, id: RepositoryId, sha: str) -> Checks:
        """See Forge."""
        with self._call("checks"):
            return Checks(self._of(id).checks.get(sha, "none"))

    def commit(
        self, id: RepositoryId, *, branch: str, parent: str, message: str, changes: Sequence[FileChange]
    ) -> str | None:
        """See Forge."""
        with self._call("commit"):
            repo = self._of(id)
            if not self.signs or any(change.executable for change in changes):
                return None
            if branch in repo.protected or repo.heads().get(branch) != parent:
                raise Denied("Expected branch to point to another commit")
            files = {each.path: None if each.content is None else each.content.decode() for each in changes}
            return repo.write(branch, files, message.strip())

    def said(self, repo: Repo, pull: Pull) -> PullRequest:
        """A pull request of the house."""
        return PullRequest(
            number=pull.number,
            url=f"http://{self.host}/{repo.path}/pull/{pull.number}",
            state=State(pull.state),
            title=pull.title,
            body=pull.body,
            branch=pull.branch,
            head=RepositoryId(self.host, "" if pull.head.gone else pull.head.path),
            head_sha=pull.sha,
            base=pull.base,
            draft=pull.draft,
            labels=tuple(pull.labels),
            author=pull.author,
        )

    @contextmanager
    def _call(self, method: str) -> Iterator[None]:
        """One call: it fails where a fault says so, before or after its effect."""
        self.before(method)
        self.calls.append(method)
        fault = next((fault for fault in self.faults if fault.method == method), None)
        if fault:
            self.faults.remove(fault)
            if not fault.took_effect:
                raise fault.error
        try:
            with self._lock:
                yield
        except Refused as refused:
            raise _told(refused.kind) from None
        if fault:
            raise fault.error

    def _of(self, id: RepositoryId) -> Repo:
        if id.path in self.house.moved:
            raise NotFound(f"{id.path} was renamed or moved")
        if id.path not in self.house.repos:
            raise NotFound(f"there is no {id.path}")
        return self.house.repos[id.path]

    def _mine(self, id: RepositoryId, number: int) -> tuple[Repo, Pull]:
        repo = self._of(id)
        pull = self.house.pull(repo, number)
        if pull.author != self._account:
            self._may_write(repo)
        if repo.archived:
            raise Refused("archived")
        return repo, pull

    def _may_write(self, repo: Repo) -> None:
        if self._account not in repo.writers:
            raise Refused("forbidden")

    def _repository(self, repo: Repo) -> Repository:
        return Repository(
            id=RepositoryId(self.host, repo.path),
            clone_url=self._clone_url(repo),
            default_branch=repo.default_branch,
            archived=repo.archived,
            can_push=self._account in repo.writers,
        )


def _told(kind: str) -> ForgeError:
    match kind:
        case "missing":
            return NotFound("there is no such pull request")
        case "no head" | "no base":
            return NotFound(f"there is no such branch ({kind[3:]})")
        case "duplicate":
            return Exists("a pull request already exists")
        case "archived":
            return Denied("the repository is archived")
        case "forbidden" | "protected":
            return Denied("the token may not do this")
    return ForgeError(kind)
