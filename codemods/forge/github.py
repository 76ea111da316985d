"""GitHub and GitHub Enterprise Server: what the bot asks, in the words of their REST API and of GraphQL."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import quote

from codemods.forge.credentials import Credential
from codemods.forge.github_wire import GRAPHQL, PyGithubWire, explain
from codemods.forge.protocol import (
    Checks,
    Comment,
    Denied,
    FileChange,
    GitLogin,
    NewPullRequest,
    NotFound,
    PullRequest,
    Repository,
    RepositoryId,
    State,
    Unavailable,
)
from codemods.forge.wire import Client, best_effort, ignore

_BORN = "2026-01-01T00:00:00Z"
"""No pull request of the bot is older than the bot. Big repositories have tens of thousands that are."""
_COMMIT = """
mutation($input: CreateCommitOnBranchInput!) {
  createCommitOnBranch(input: $input) { commit { oid } }
}
"""


class GitHub:
    """A Forge. ``api`` is the REST root, ``https://api.github.com`` or ``https://<host>/api/v3``."""

    def __init__(
        self, host: str, api: str, credential: Credential, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.host = host
        self._credential = credential
        self._client = Client(
            PyGithubWire(api, credential), explain, hide=lambda text: credential.secret().hide(text), sleep=sleep
        )
        self._sleep = sleep
        self._login: str | None = None

    def login(self) -> str:
        """See Forge. An app's token has no user; ``viewer`` knows its name all the same."""
        if self._login is None:
            try:
                self._login = self._client.read("/user", _login)
            except Denied:
                asked = {"query": "query { viewer { login } }", "variables": {}}
                self._login = self._client.settle("POST", GRAPHQL, asked, lambda data: _login(data["data"]["viewer"]))
        return self._login

    def git_login(self) -> GitLogin:
        """See Forge."""
        return GitLogin("x-access-token", self._credential.secret().reveal())

    def repository(self, id: RepositoryId) -> Repository:
        """See Forge. One that was renamed comes back under its new name, which the rest has to use."""
        return self._client.read_moved(_repo(id), self._repository)

    def repositories(self, owner: str) -> Iterator[Repository]:
        """See Forge."""
        try:
            found = self._client.read_all(f"/orgs/{quote(owner)}/repos", self._repository, type="all")
        except NotFound:
            if owner == self.login():
                found = self._client.read_all("/user/repos", self._repository, affiliation="owner")
            else:
                found = self._client.read_all(f"/users/{quote(owner)}/repos", self._repository, type="owner")
        yield from sorted(found, key=lambda repository: repository.id.path)

    def fork(self, id: RepositoryId) -> Repository:
        """See Forge. Asking again for a fork that is there answers with it."""
        fork = self._client.settle("POST", f"{_repo(id)}/forks", {"default_branch_only": True}, self._repository)
        for wait in (1, 2, 4, 8, 16, 32, 0):
            try:
                self._client.read(f"{_repo(fork.id)}/branches/{quote(fork.default_branch, safe='')}", ignore)
            except NotFound:
                self._sleep(wait)
            else:
                return fork
        raise Unavailable(f"the fork {fork.id} is still being made", 60)

    def pull_requests(self, id: RepositoryId, *, branch_prefix: str) -> Iterator[PullRequest]:
        """See Forge. A list, not a search: the index is minutes late, and late means a second one."""
        path, order = f"{_repo(id)}/pulls", {"sort": "created", "direction": "desc"}

        def ours(data: Any) -> PullRequest | None:
            return self._pull_request(data) if data["head"]["ref"].startswith(branch_prefix) else None

        found = self._client.read_since(path, ours, _BORN, state="all", **order)
        yield from sorted(found, key=lambda pull: -pull.number)

    def open_pull_request(self, id: RepositoryId, new: NewPullRequest) -> PullRequest:
        """See Forge."""
        owner, name = new.head.path.split("/")
        wanted = {"title": new.title, "body": new.body, "base": new.base, "draft": new.draft}
        wanted["head"] = new.branch if new.head == id else f"{owner}:{new.branch}"
        if new.head != id and id.path.startswith(f"{owner}/"):
            wanted["head_repo"] = name
        return self._client.create(f"{_repo(id)}/pulls", wanted, self._pull_request)

    def furnish(self, id: RepositoryId, number: int, new: NewPullRequest) -> list[str]:
        """See Forge."""
        missing: list[str] = []
        issue = f"{_repo(id)}/issues/{number}"
        if new.labels:
            with best_effort(missing, "labels"):
                self._client.settle("POST", f"{issue}/labels", {"labels": list(new.labels)}, ignore)
        if new.assignees:
            with best_effort(missing, "assignees"):
                self._client.settle("POST", f"{issue}/assignees", {"assignees": list(new.assignees)}, ignore)
        if new.reviewers:
            with best_effort(missing, "reviewers"):
                path = f"{_repo(id)}/pulls/{number}/requested_reviewers"
                self._client.settle("POST", path, _reviewers(new.reviewers), ignore)
        return missing

    def update_pull_request(
        self, id: RepositoryId, number: int, *, title: str | None = None, body: str | None = None
    ) -> PullRequest:
        """See Forge."""
        fields = {"title": title, "body": body}
        changes = {key: value for key, value in fields.items() if value is not None}
        return self._client.settle("PATCH", f"{_repo(id)}/pulls/{number}", changes, self._pull_request)

    def close_pull_request(self, id: RepositoryId, number: int) -> None:
        """See Forge."""
        self._client.settle("PATCH", f"{_repo(id)}/pulls/{number}", {"state": "closed"}, ignore)

    def comments(self, id: RepositoryId, number: int) -> Iterator[Comment]:
        """See Forge."""
        yield from self._client.read_all(f"{_repo(id)}/issues/{number}/comments", _comment)

    def comment(self, id: RepositoryId, number: int, body: str) -> None:
        """See Forge."""
        self._client.create(f"{_repo(id)}/issues/{number}/comments", {"body": body}, ignore)

    def delete_branch(self, id: RepositoryId, branch: str) -> None:
        """See Forge."""
        try:
            self._client.settle("DELETE", f"{_repo(id)}/git/refs/heads/{quote(branch)}", None, ignore)
        except NotFound:
            return

    def checks(self, id: RepositoryId, sha: str) -> Checks:
        """See Forge. Both kinds: the older statuses and the check runs of apps and Actions."""
        statuses = self._client.read(f"{_repo(id)}/commits/{sha}/status", _statuses)
        runs = self._client.read_all(f"{_repo(id)}/commits/{sha}/check-runs", _check, within="check_runs")
        for worst in (Checks.FAILED, Checks.PENDING, Checks.PASSED):
            if worst in (statuses, *runs):
                return worst
        return Checks.NONE

    def commit(
        self, id: RepositoryId, *, branch: str, parent: str, message: str, changes: Sequence[FileChange]
    ) -> str | None:
        """See Forge. The API knows no file modes, so a commit with a file to execute is left to git."""
        if any(change.executable for change in changes):
            return None
        headline, _, body = message.partition("\n")
        additions = [
            {"path": change.path, "contents": base64.b64encode(change.content).decode()}
            for change in changes
            if change.content is not None
        ]
        deletions = [{"path": change.path} for change in changes if change.content is None]
        about = {
            "branch": {"repositoryNameWithOwner": id.path, "branchName": branch},
            "message": {"headline": headline, "body": body.strip()},
            "expectedHeadOid": parent,
            "fileChanges": {"additions": additions, "deletions": deletions},
        }
        return self._client.create(
            GRAPHQL,
            {"query": _COMMIT, "variables": {"input": about}},
            lambda data: str(data["data"]["createCommitOnBranch"]["commit"]["oid"]),
        )

    def _repository(self, data: Any) -> Repository:
        # An app's token reports no permissions of a user, and it could not fork either: git push will tell.
        app = self._credential.secret().reveal().startswith("ghs_")
        return Repository(
            id=RepositoryId(self.host, data["full_name"]),
            clone_url=data["clone_url"],
            default_branch=data["default_branch"],
            archived=data["archived"],
            can_push=app or bool((data.get("permissions") or {}).get("push")),
        )

    def _pull_request(self, data: Any) -> PullRequest:
        merged = data.get("merged_at") is not None
        # The repository of a head is null once the fork is deleted.
        head = (data["head"]["repo"] or {}).get("full_name", "")
        return PullRequest(
            number=data["number"],
            url=data["html_url"],
            state=State.MERGED if merged else State(data["state"]),
            title=data["title"],
            body=data["body"] or "",
            branch=data["head"]["ref"],
            head=RepositoryId(self.host, head),
            head_sha=data["head"]["sha"],
            base=data["base"]["ref"],
            draft=bool(data.get("draft")),
            labels=tuple(label["name"] for label in data["labels"]),
            author=_login(data["user"]),
        )


_STATUS = {"success": Checks.PASSED, "pending": Checks.PENDING, "failure": Checks.FAILED, "error": Checks.FAILED}


def _statuses(data: Any) -> Checks:
    """The combined one says "pending" where nobody has set any."""
    return _STATUS[data["state"]] if data["total_count"] else Checks.NONE


def _check(run: Any) -> Checks:
    if run["status"] != "completed":
        return Checks.PENDING
    return Checks.PASSED if run["conclusion"] in ("success", "neutral", "skipped") else Checks.FAILED


def _reviewers(names: Sequence[str]) -> dict[str, list[str]]:
    """``owner/team`` is a team, anything else a person."""
    teams = [name.rpartition("/")[2] for name in names if "/" in name]
    return {"reviewers": [name for name in names if "/" not in name], "team_reviewers": teams}


def _login(user: Any) -> str:
    """Of an account; empty where it is null, because the account was deleted."""
    return str(user["login"]) if user else ""


def _comment(data: Any) -> Comment:
    return Comment(_login(data["user"]), data["body"] or "")


def _repo(id: RepositoryId) -> str:
    return f"/repos/{quote(id.path)}"
