"""GitLab as far as the bot goes, after its REST API documentation and the source of its API (``lib/api``).

GitLab publishes a description too, but under no licence that lets a copy be kept here (CC BY-SA), so requests
are held to a table made by hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from tests.forges.contract import Breach
from tests.forges.house import NOBODY, House, Pull, Refused, Repo
from tests.forges.server import ForgeServer, Reply, Request, faults
from tests.forges.table import Table, takes

_ROOT = "/api/v4"
_PAGES = "page per_page "
_MERGE_REQUEST = "/projects/{id}/merge_requests/{iid}"

Handler = Callable[["GitLabDouble", Request, dict[str, str], str], Reply]


class GitLabDouble(ForgeServer):
    """See the module."""

    table = Table(
        {
            ("GET", "/user"): takes(),
            ("GET", "/users"): takes(_PAGES + "username"),
            ("GET", "/users/{owner}/projects"): takes(_PAGES + "order_by sort"),
            ("GET", "/groups/{owner}/projects"): takes(_PAGES + "order_by sort include_subgroups"),
            ("GET", "/projects/{id}"): takes(),
            ("GET", "/projects/{id}/forks"): takes(_PAGES + "owned"),
            ("POST", "/projects/{id}/fork"): takes(),
            ("GET", "/projects/{id}/merge_requests"): takes(_PAGES + "state scope order_by sort"),
            ("POST", "/projects/{id}/merge_requests"): takes(
                source_branch_=str,
                target_branch_=str,
                title_=str,
                description=str,
                target_project_id=int,
                allow_collaboration=bool,
            ),
            ("GET", _MERGE_REQUEST): takes(),
            ("PUT", _MERGE_REQUEST): takes(
                title=str, description=str, state_event=str, add_labels=str, assignee_ids=list, reviewer_ids=list
            ),
            ("GET", _MERGE_REQUEST + "/notes"): takes(_PAGES + "order_by sort"),
            ("POST", _MERGE_REQUEST + "/notes"): takes(body_=str),
            ("DELETE", "/projects/{id}/repository/branches/{branch}"): takes(),
            ("GET", "/projects/{id}/repository/commits/{sha}"): takes(),
        }
    )

    def __init__(self, house: House, below: str = "") -> None:
        super().__init__(house, below)
        self._routes: dict[tuple[str, str], Handler] = {
            ("GET", "/user"): lambda self, request, given, who: Reply(200, {"id": 1, "username": who}),
            ("GET", "/users"): GitLabDouble._users,
            ("GET", "/users/{owner}/projects"): GitLabDouble._projects,
            ("GET", "/groups/{owner}/projects"): GitLabDouble._projects,
            ("GET", "/projects/{id}"): lambda self, request, given, who: Reply(
                200, self._project(self._of(given), who)
            ),
            ("GET", "/projects/{id}/forks"): GitLabDouble._forks,
            ("POST", "/projects/{id}/fork"): GitLabDouble._fork,
            ("GET", "/projects/{id}/merge_requests"): GitLabDouble._list,
            ("POST", "/projects/{id}/merge_requests"): GitLabDouble._open,
            ("GET", _MERGE_REQUEST): lambda self, request, given, who: Reply(200, self._pull(*self._one(given))),
            ("PUT", _MERGE_REQUEST): GitLabDouble._change,
            ("GET", _MERGE_REQUEST + "/notes"): GitLabDouble._notes,
            ("POST", _MERGE_REQUEST + "/notes"): GitLabDouble._note,
            ("DELETE", "/projects/{id}/repository/branches/{branch}"): GitLabDouble._unbranch,
            ("GET", "/projects/{id}/repository/commits/{sha}"): GitLabDouble._commit,
        }

    def answer(self, request: Request) -> Reply:
        """See ForgeServer."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        account = self.house.tokens.get(token) if kind == "Bearer" else None
        if account is None:
            return Reply(401, {"message": "401 Unauthorized"})
        request = replace(request, path=request.path.removeprefix(_ROOT))
        try:
            self.table.check(request)
        except Breach as breach:
            self.problems.append(str(breach))
            return Reply(400, {"error": str(breach)})
        key, given = self.table.find(request)
        moved = self.house.moved.get(given.get("id", ""))
        if moved is not None and request.method == "GET":
            rest = request.path.split("/", 3)[3:]
            target = "/".join([f"{self.url}{_ROOT}/projects/{moved.id}", *rest])
            return Reply(301, {"message": "This resource has been moved"}, {"Location": target})
        try:
            return self._routes[key](self, request, given, account)
        except Refused as refused:
            return _told(refused.kind)

    def _of(self, given: dict[str, str]) -> Repo:
        for repo in self.house.repos.values():
            if given["id"] in (repo.path, str(repo.id)):
                return repo
        raise Refused("missing")

    def _one(self, given: dict[str, str]) -> tuple[Repo, Pull]:
        repo = self._of(given)
        return repo, self.house.pull(repo, int(given["iid"]))

    def _many(self, request: Request, items: list[Any]) -> Reply:
        items, headers = self.paged(replace(request, path=_ROOT + request.path), items)
        return Reply(200, items, headers)

    def _users(self, request: Request, given: dict[str, str], who: str) -> Reply:
        # Numbers that spell the name, so that the house can keep names.
        name = request.query["username"]
        known = [] if name == NOBODY else [{"id": int.from_bytes(name.encode()), "username": name}]
        return Reply(200, known)

    def _projects(self, request: Request, given: dict[str, str], who: str) -> Reply:
        if (given["owner"] in self.house.organisations) != request.path.startswith("/groups/"):
            raise Refused("missing")
        return self._many(request, [self._project(repo, who) for repo in self.house.owned(given["owner"])])

    def _project(self, repo: Repo, who: str) -> dict[str, Any]:
        direct = {"access_level": 40} if who in repo.writers else None
        return {
            "id": repo.id,
            "path_with_namespace": repo.path,
            "namespace": {"full_path": repo.path.rpartition("/")[0]},
            "http_url_to_repo": self.clone_url(repo),
            "default_branch": repo.default_branch,
            "archived": repo.archived,
            "import_status": "finished" if repo.parent else "none",
            "permissions": {"project_access": direct, "group_access": None},
        }

    def _one_project(self, request: Request, given: dict[str, str], who: str) -> Reply:
        return Reply(200, self._project(self._of(given), who))

    def _forks(self, request: Request, given: dict[str, str], who: str) -> Reply:
        mine = [each for each in self.house.repos.values() if each.parent is self._of(given) and who in each.writers]
        return self._many(request, [self._project(each, who) for each in mine])

    def _fork(self, request: Request, given: dict[str, str], who: str) -> Reply:
        repo = self._of(given)
        if f"{who}/{repo.path.split('/')[-1]}" in self.house.repos:
            return Reply(409, {"message": {"name": ["has already been taken"]}})
        return Reply(201, self._project(self.house.fork(repo, who), who))

    def _list(self, request: Request, given: dict[str, str], who: str) -> Reply:
        if (request.query["order_by"], request.query["sort"], request.query["state"]) != ("created_at", "desc", "all"):
            raise AssertionError("the double lists all, newest first, only")
        repo = self._of(given)
        return self._many(request, [self._pull(repo, pull) for pull in self.house.pulls(repo)[request.stale :]])

    def _open(self, request: Request, given: dict[str, str], who: str) -> Reply:
        source, body = self._of(given), request.body
        target = self._of({"id": str(body.get("target_project_id", source.id))})
        if who not in source.writers:
            raise Refused("forbidden")
        pull = Pull(
            number=0,
            title=body["title"],
            body=body.get("description", ""),
            branch=body["source_branch"],
            head=source,
            base=body["target_branch"],
            author=who,
        )
        return Reply(201, self._pull(target, self.house.open(target, pull)))

    def _change(self, request: Request, given: dict[str, str], who: str) -> Reply:
        (repo, pull), body = self._one(given), request.body
        if repo.archived or (who not in repo.writers and pull.author != who):
            raise Refused("archived" if repo.archived else "forbidden")
        pull.title = body.get("title", pull.title)
        pull.body = body.get("description", pull.body)
        added = body.get("add_labels", "").split(",")
        pull.labels += [name for name in added if name and name not in pull.labels]
        pull.assignees = [_name(number) for number in body.get("assignee_ids", ())] or pull.assignees
        pull.reviewers = [_name(number) for number in body.get("reviewer_ids", ())] or pull.reviewers
        if body.get("state_event") == "close" and pull.state == "open":
            pull.state = "closed"
        return Reply(200, self._pull(repo, pull))

    def _notes(self, request: Request, given: dict[str, str], who: str) -> Reply:
        _, pull = self._one(given)
        notes = [_note(each.id, each.author, each.body) for each in pull.remarks]
        # GitLab keeps the history of a merge request among its comments.
        return self._many(request, [_note(1, pull.author, "added 1 commit", system=True), *notes])

    def _note(self, request: Request, given: dict[str, str], who: str) -> Reply:
        remark = self.house.remark(self._of(given), int(given["iid"]), who, request.body["body"])
        return Reply(201, _note(remark.id, who, remark.body))

    def _unbranch(self, request: Request, given: dict[str, str], who: str) -> Reply:
        repo = self._of(given)
        if who not in repo.writers:
            raise Refused("forbidden")
        self.house.delete_branch(repo, unquote(given["branch"]))
        return Reply(204)

    def _commit(self, request: Request, given: dict[str, str], who: str) -> Reply:
        state = self._of(given).checks.get(given["sha"])
        status = {"passed": "success", "failed": "failed", "pending": "running", None: None}[state]
        return Reply(200, {"id": given["sha"], "last_pipeline": status and {"id": 1, "status": status}})

    def _pull(self, repo: Repo, pull: Pull) -> dict[str, Any]:
        return {
            "id": repo.id * 1000 + pull.number,
            "iid": pull.number,
            "web_url": f"{self.url}/{repo.path}/-/merge_requests/{pull.number}",
            "state": "opened" if pull.state == "open" else pull.state,
            "title": pull.title,
            "description": pull.body,
            "draft": pull.title.startswith("Draft: "),
            "source_branch": pull.branch,
            "target_branch": pull.base,
            "source_project_id": None if pull.head.gone else pull.head.id,
            "target_project_id": repo.id,
            "sha": pull.sha,
            "labels": pull.labels,
            "author": _user(pull.author),
        }


def _name(number: int) -> str:
    return number.to_bytes((number.bit_length() + 7) // 8).decode()


def _user(name: str) -> dict[str, Any] | None:
    return {"username": name} if name else None


def _note(id: int, author: str, body: str, *, system: bool = False) -> dict[str, Any]:
    return {"id": id, "body": body, "author": _user(author), "system": system}


def _told(kind: str) -> Reply:
    match kind:
        case "missing":
            return Reply(404, {"message": "404 Project Not Found"})
        case "no ref":
            return Reply(404, {"message": "404 Branch Not Found"})
        case "duplicate":
            told = "Another open merge request already exists for this source branch: !1"
            return Reply(409, {"message": [told]})
        case "no head" | "no base":
            return Reply(422, {"message": [f"{kind[3:]} branch does not exist"]})
    return Reply(403, {"message": "403 Forbidden"})


LIMIT = Reply(429, {"message": "429 Too Many Requests"}, {"RateLimit-Remaining": "0", "RateLimit-Reset": "4102444800"})
FAULTS = faults(
    **{
        "401": Reply(401, {"message": "401 Unauthorized"}),
        "403": Reply(403, {"message": "403 Forbidden"}),
        "403 with Retry-After": Reply(403, "slow down", {"Retry-After": "7"}),
        "primary limit": LIMIT,
    }
)


@contextmanager
def serving(house: House, below: str = "") -> Iterator[GitLabDouble]:
    """The double, which at the end must have nothing to complain of."""
    double = GitLabDouble(house, below)
    with double.running():
        yield double
    assert not double.problems, double.problems
