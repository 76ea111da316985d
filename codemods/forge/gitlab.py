"""GitLab: what the bot asks, in the words of its REST API. Its merge requests are spoken of as pull requests."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import quote

from codemods.forge.credentials import Credential
from codemods.forge.gitlab_wire import PythonGitlabWire, explain
from codemods.forge.protocol import (
    Checks,
    Comment,
    Denied,
    Exists,
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

_DEVELOPER = 30
"""The least access level that pushes branches."""
_DRAFT = "Draft: "


class GitLab:
    """A Forge. ``api`` is the root of the instance, ``https://gitlab.com``."""

    def __init__(
        self, host: str, api: str, credential: Credential, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.host = host
        self._credential = credential
        self._client = Client(
            PythonGitlabWire(api, credential), explain, hide=lambda text: credential.secret().hide(text), sleep=sleep
        )
        self._sleep = sleep
        self._login: str | None = None
        self._paths: dict[int, str] = {}

    def login(self) -> str:
        """See Forge."""
        if self._login is None:
            self._login = self._client.read("/user", _username)
        return self._login

    def git_login(self) -> GitLogin:
        """See Forge. GitLab takes any name beside a token; this one goes for OAuth tokens too."""
        return GitLogin("oauth2", self._credential.secret().reveal())

    def repository(self, id: RepositoryId) -> Repository:
        """See Forge. One that was moved comes back under its new path, which the rest has to use."""
        return self._client.read_moved(_project(id), self._repository)

    def repositories(self, owner: str) -> Iterator[Repository]:
        """See Forge. Those of subgroups as well."""
        query = {"order_by": "id", "sort": "asc"}
        try:
            path = f"/groups/{quote(owner, safe='')}/projects"
            found = self._client.read_all(path, self._repository, include_subgroups=True, **query)
        except NotFound:
            found = self._client.read_all(f"/users/{quote(owner, safe='')}/projects", self._repository, **query)
        yield from sorted(found, key=lambda repository: repository.id.path)

    def fork(self, id: RepositoryId) -> Repository:
        """See Forge."""
        fork = self._own_fork(id)
        if fork is None:
            try:
                fork = self._client.settle("POST", f"{_project(id)}/fork", {}, self._repository)
            except Exists:
                # Made by a request whose answer was lost; or something else has the name.
                fork = self._own_fork(id)
                if fork is None:
                    raise
        for wait in (1, 2, 4, 8, 16, 32, 0):
            if self._client.read(_project(fork.id), _is_ready):
                return self.repository(fork.id)
            self._sleep(wait)
        raise Unavailable(f"the fork {fork.id} is still being made", 60)

    def pull_requests(self, id: RepositoryId, *, branch_prefix: str) -> Iterator[PullRequest]:
        """See Forge."""
        path = f"{_project(id)}/merge_requests"

        def ours(data: Any) -> PullRequest | None:
            return self._pull_request(data) if data["source_branch"].startswith(branch_prefix) else None

        found = self._client.read_all(path, ours, state="all", scope="all", order_by="created_at", sort="desc")
        yield from sorted(found, key=lambda pull: -pull.number)

    def open_pull_request(self, id: RepositoryId, new: NewPullRequest) -> PullRequest:
        """See Forge. Asked of the project that the branch is in."""
        wanted: dict[str, Any] = {
            "source_branch": new.branch,
            "target_branch": new.base,
            "title": _DRAFT + new.title if new.draft else new.title,
            "description": new.body,
        }
        if new.head != id:
            wanted["target_project_id"] = self._client.read(_project(id), lambda data: int(data["id"]))
            wanted["allow_collaboration"] = True
        try:
            return self._client.create(f"{_project(new.head)}/merge_requests", wanted, self._pull_request)
        except Denied as error:
            # GitLab does not say why.
            raise Denied(f"the project is archived: {error}" if self.repository(id).archived else str(error)) from None

    def furnish(self, id: RepositoryId, number: int, new: NewPullRequest) -> list[str]:
        """See Forge."""
        missing: list[str] = []
        path = f"{_project(id)}/merge_requests/{number}"
        if new.labels:
            with best_effort(missing, "labels"):
                self._client.settle("PUT", path, {"add_labels": ",".join(new.labels)}, ignore)
        for field, names in {"assignee_ids": new.assignees, "reviewer_ids": new.reviewers}.items():
            if names:
                with best_effort(missing, field.removesuffix("_ids") + "s"):
                    self._client.settle("PUT", path, {field: [self._user(name) for name in names]}, ignore)
        return missing

    def update_pull_request(
        self, id: RepositoryId, number: int, *, title: str | None = None, body: str | None = None
    ) -> PullRequest:
        """See Forge."""
        path = f"{_project(id)}/merge_requests/{number}"
        fields = {} if body is None else {"description": body}
        if title is not None:
            # Draft is a word in the title here.
            fields["title"] = _DRAFT + title if self._client.read(path, lambda data: data["draft"]) else title
        return self._client.settle("PUT", path, fields, self._pull_request)

    def close_pull_request(self, id: RepositoryId, number: int) -> None:
        """See Forge."""
        self._client.settle("PUT", f"{_project(id)}/merge_requests/{number}", {"state_event": "close"}, ignore)

    def comments(self, id: RepositoryId, number: int) -> Iterator[Comment]:
        """See Forge. Without the notes that GitLab writes by itself."""
        path = f"{_project(id)}/merge_requests/{number}/notes"
        yield from self._client.read_all(path, _note, order_by="created_at", sort="asc")

    def comment(self, id: RepositoryId, number: int, body: str) -> None:
        """See Forge."""
        self._client.create(f"{_project(id)}/merge_requests/{number}/notes", {"body": body}, ignore)

    def delete_branch(self, id: RepositoryId, branch: str) -> None:
        """See Forge."""
        try:
            self._client.settle("DELETE", f"{_project(id)}/repository/branches/{quote(branch, safe='')}", None, ignore)
        except NotFound:
            return

    def checks(self, id: RepositoryId, sha: str) -> Checks:
        """See Forge. The state of the commit's last pipeline."""
        return self._client.read(f"{_project(id)}/repository/commits/{sha}", _checks)

    def commit(
        self, id: RepositoryId, *, branch: str, parent: str, message: str, changes: Sequence[FileChange]
    ) -> str | None:
        """See Forge. None: the commits API knows no expected head, so it could write over a person's push."""
        return None

    def _own_fork(self, id: RepositoryId) -> Repository | None:
        mine = self.login()
        forks = self._client.read_all(f"{_project(id)}/forks", self._repository, owned=True)
        return next((fork for fork in forks if fork.id.path.rpartition("/")[0] == mine), None)

    def _user(self, name: str) -> int:
        found = self._client.read_all("/users", lambda data: int(data["id"]), username=name)
        if not found:
            raise NotFound(f"there is no user {name}")
        return found[0]

    def _repository(self, data: Any) -> Repository:
        self._paths[data["id"]] = data["path_with_namespace"]
        access = (data.get("permissions") or {}).values()
        return Repository(
            id=RepositoryId(self.host, data["path_with_namespace"]),
            clone_url=data["http_url_to_repo"],
            default_branch=data.get("default_branch") or "",
            archived=bool(data.get("archived")),
            can_push=any(each and each["access_level"] >= _DEVELOPER for each in access),
        )

    def _pull_request(self, data: Any) -> PullRequest:
        return PullRequest(
            number=data["iid"],
            url=data["web_url"],
            state=State(data["state"]) if data["state"] in list(State) else State.OPEN,
            title=data["title"].removeprefix(_DRAFT) if data["draft"] else data["title"],
            body=data["description"] or "",
            branch=data["source_branch"],
            head=RepositoryId(self.host, self._path(data["source_project_id"])),
            head_sha=data["sha"] or "",
            base=data["target_branch"],
            draft=data["draft"],
            labels=tuple(data["labels"]),
            author=_username(data["author"]),
        )

    def _path(self, project: int | None) -> str:
        """Of a project by its number; empty once it is deleted."""
        if project is None:
            return ""
        if project not in self._paths:
            try:
                self._client.read(f"/projects/{project}", self._repository)
            except NotFound:
                self._paths[project] = ""
        return self._paths[project]


_PIPELINE = {
    "success": Checks.PASSED,
    "failed": Checks.FAILED,
    "canceled": Checks.FAILED,
    "skipped": Checks.NONE,
}


def _checks(commit: Any) -> Checks:
    pipeline = commit.get("last_pipeline")
    return _PIPELINE.get(pipeline["status"], Checks.PENDING) if pipeline else Checks.NONE


def _is_ready(project: Any) -> bool:
    """Whether a fork has been filled."""
    return project.get("import_status") in (None, "none", "finished")


def _username(user: Any) -> str:
    """Of an account; empty where there is none any more."""
    return str(user["username"]) if user else ""


def _note(data: Any) -> Comment | None:
    return None if data["system"] else Comment(_username(data["author"]), data["body"])


def _project(id: RepositoryId) -> str:
    return f"/projects/{quote(id.path, safe='')}"
