"""Gitea and Forgejo through their REST API, with the standard library: no client of theirs is well kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import quote

from codemods.forge.credentials import Credential
from codemods.forge.plain import PlainWire
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
from codemods.forge.wire import Answer, Client, best_effort, ignore

_DRAFT = "WIP: "


class Gitea:
    """A Forge. ``api`` is the root of the API, ``https://codeberg.org/api/v1``."""

    def __init__(
        self, host: str, api: str, credential: Credential, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.host = host
        self._credential = credential
        self._client = Client(
            PlainWire(api, lambda: f"token {credential.secret().reveal()}"),
            explain,
            hide=lambda text: credential.secret().hide(text),
            sleep=sleep,
            page_size="limit",
        )
        self._login: str | None = None

    def login(self) -> str:
        """See Forge."""
        if self._login is None:
            self._login = self._client.read("/user", _login)
        return self._login

    def git_login(self) -> GitLogin:
        """See Forge."""
        return GitLogin(self.login(), self._credential.secret().reveal())

    def repository(self, id: RepositoryId) -> Repository:
        """See Forge. One that was renamed comes back under its new name, which the rest has to use."""
        return self._client.read_moved(_repo(id), self._repository)

    def repositories(self, owner: str) -> Iterator[Repository]:
        """See Forge."""
        try:
            found = self._client.read_all(f"/orgs/{quote(owner)}/repos", self._repository)
        except NotFound:
            found = self._client.read_all(f"/users/{quote(owner)}/repos", self._repository)
        yield from sorted(found, key=lambda repository: repository.id.path)

    def fork(self, id: RepositoryId) -> Repository:
        """See Forge. Gitea answers when the fork is there, so it is ready."""
        if fork := self._own_fork(id):
            return fork
        try:
            return self._client.settle("POST", f"{_repo(id)}/forks", {}, self._repository)
        except Exists:
            # Made by a request whose answer was lost; or something else has the name.
            if fork := self._own_fork(id):
                return fork
            raise

    def pull_requests(self, id: RepositoryId, *, branch_prefix: str) -> Iterator[PullRequest]:
        """See Forge."""

        def ours(data: Any) -> PullRequest | None:
            return self._pull_request(data) if data["head"]["label"].startswith(branch_prefix) else None

        found = self._client.read_all(f"{_repo(id)}/pulls", ours, state="all")
        yield from sorted(found, key=lambda pull: -pull.number)

    def open_pull_request(self, id: RepositoryId, new: NewPullRequest) -> PullRequest:
        """See Forge."""
        head = new.branch if new.head == id else f"{new.head.path.split('/')[0]}:{new.branch}"
        title = _DRAFT + new.title if new.draft else new.title
        wanted = {"title": title, "body": new.body, "head": head, "base": new.base}
        try:
            return self._client.create(f"{_repo(id)}/pulls", wanted, self._pull_request)
        except NotFound as error:
            # Gitea does not say what it is that is not there.
            raise NotFound(f"there is no such branch, {head} or {new.base}: {error}") from None

    def furnish(self, id: RepositoryId, number: int, new: NewPullRequest) -> list[str]:
        """See Forge."""
        missing: list[str] = []
        path = f"{_repo(id)}/pulls/{number}"
        if new.labels:
            with best_effort(missing, "labels"):
                missing += self._label(id, number, new.labels)
        if new.assignees:
            with best_effort(missing, "assignees"):
                self._client.settle("PATCH", path, {"assignees": list(new.assignees)}, ignore)
        if new.reviewers:
            with best_effort(missing, "reviewers"):
                teams = [name.rpartition("/")[2] for name in new.reviewers if "/" in name]
                people = [name for name in new.reviewers if "/" not in name]
                asked = {"reviewers": people, "team_reviewers": teams}
                self._client.settle("POST", f"{path}/requested_reviewers", asked, ignore)
        return missing

    def update_pull_request(
        self, id: RepositoryId, number: int, *, title: str | None = None, body: str | None = None
    ) -> PullRequest:
        """See Forge."""
        path = f"{_repo(id)}/pulls/{number}"
        fields = {} if body is None else {"body": body}
        if title is not None:
            # Draft is a word in the title here.
            fields["title"] = _DRAFT + title if self._client.read(path, _is_draft) else title
        return self._client.settle("PATCH", path, fields, self._pull_request)

    def close_pull_request(self, id: RepositoryId, number: int) -> None:
        """See Forge. Closing a merged one is refused by Gitea, and is nothing to do."""
        path = f"{_repo(id)}/pulls/{number}"
        if self._client.read(path, lambda data: data["state"] == "open"):
            self._client.settle("PATCH", path, {"state": "closed"}, ignore)

    def comments(self, id: RepositoryId, number: int) -> Iterator[Comment]:
        """See Forge. This list has no pages."""
        yield from self._client.read(f"{_repo(id)}/issues/{number}/comments", _comments)

    def comment(self, id: RepositoryId, number: int, body: str) -> None:
        """See Forge."""
        self._client.create(f"{_repo(id)}/issues/{number}/comments", {"body": body}, ignore)

    def delete_branch(self, id: RepositoryId, branch: str) -> None:
        """See Forge."""
        try:
            self._client.settle("DELETE", f"{_repo(id)}/branches/{quote(branch)}", None, ignore)
        except NotFound:
            return

    def checks(self, id: RepositoryId, sha: str) -> Checks:
        """See Forge. Gitea's own Actions report as statuses of the commit too."""
        return self._client.read(f"{_repo(id)}/commits/{sha}/status", _statuses)

    def commit(
        self, id: RepositoryId, *, branch: str, parent: str, message: str, changes: Sequence[FileChange]
    ) -> str | None:
        """See Forge. None: the contents API knows no expected head, so it could write over a person's push."""
        return None

    def _label(self, id: RepositoryId, number: int, names: Sequence[str]) -> list[str]:
        """Labels go by their numbers here, and one that the repository does not have cannot be given."""
        known = dict(self._client.read_all(f"{_repo(id)}/labels", lambda label: (label["name"], label["id"])))
        chosen = {"labels": [known[name] for name in names if name in known]}
        self._client.settle("POST", f"{_repo(id)}/issues/{number}/labels", chosen, ignore)
        return [f"label {name}: the repository has none of this name" for name in names if name not in known]

    def _own_fork(self, id: RepositoryId) -> Repository | None:
        mine = self.login()
        forks = self._client.read_all(f"{_repo(id)}/forks", self._repository)
        return next((fork for fork in forks if fork.id.path.split("/")[0] == mine), None)

    def _repository(self, data: Any) -> Repository:
        return Repository(
            id=RepositoryId(self.host, data["full_name"]),
            clone_url=data["clone_url"],
            default_branch=data["default_branch"],
            archived=data["archived"],
            can_push=bool((data.get("permissions") or {}).get("push")),
        )

    def _pull_request(self, data: Any) -> PullRequest:
        draft = _is_draft(data)
        return PullRequest(
            number=data["number"],
            url=data["html_url"],
            state=State.MERGED if data["merged"] else State(data["state"]),
            title=data["title"].removeprefix(_DRAFT) if draft else data["title"],
            body=data["body"] or "",
            # Not "ref": that is refs/pull/<number>/head once the branch is gone.
            branch=data["head"]["label"],
            head=RepositoryId(self.host, (data["head"]["repo"] or {}).get("full_name", "")),
            head_sha=data["head"]["sha"],
            base=data["base"]["ref"],
            draft=draft,
            labels=tuple(label["name"] for label in data["labels"] or ()),
            author=_login(data["user"]),
        )


def explain(answer: Answer) -> ForgeError | None:
    """What Gitea means by an answer where the status alone does not say it."""
    if answer.status == 423:
        return Denied(answer.message or "the repository is archived")
    return None


_STATUS = {
    "success": Checks.PASSED,
    "warning": Checks.PASSED,
    "skipped": Checks.PASSED,
    "failure": Checks.FAILED,
    "error": Checks.FAILED,
}


def _is_draft(data: Any) -> bool:
    return str(data["title"]).startswith(_DRAFT)


def _statuses(data: Any) -> Checks:
    return _STATUS.get(data["state"], Checks.PENDING) if data["total_count"] else Checks.NONE


def _login(user: Any) -> str:
    """Of an account; empty where there is none any more."""
    return str(user["login"]) if user else ""


def _comments(data: Any) -> list[Comment]:
    if not isinstance(data, list):
        raise TypeError("no list")
    return [Comment(_login(each["user"]), each["body"]) for each in sorted(data, key=lambda each: int(each["id"]))]


def _repo(id: RepositoryId) -> str:
    return f"/repos/{quote(id.path)}"
