"""Gitea as far as the bot goes, after the source of its API (``routers/api/v1``), held to its own description of it.

Every request and every answer is validated against ``gitea.openapi.json``, which ``scripts/trim_gitea.py`` made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.forges.contract import Breach, Contract
from tests.forges.house import NOBODY, House, Pull, Refused, Repo
from tests.forges.server import ForgeServer, Reply, Request, faults

_ROOT = "/api/v1"
_REPO = "/repos/{owner}/{repo}"

Handler = Callable[["GiteaDouble", Request, dict[str, str], str], Reply]


class GiteaDouble(ForgeServer):
    """See the module. Every repository has the labels that the house knows by number."""

    labels = ("bot", "loops", "x")

    contract = Contract(
        Path(__file__).with_name("gitea.openapi.json"),
        null=("PRBranchInfo/repo", "PullRequest/user", "Comment/user"),
    )

    def __init__(self, house: House, below: str = "") -> None:
        super().__init__(house, below)
        self._routes: dict[tuple[str, str], Handler] = {
            ("GET", "/user"): lambda self, request, given, who: Reply(200, {"id": 1, "login": who}),
            ("GET", "/users/{username}/repos"): GiteaDouble._repos,
            ("GET", "/orgs/{org}/repos"): GiteaDouble._repos,
            ("GET", _REPO): lambda self, request, given, who: Reply(200, self._repo(self._of(given), who)),
            ("GET", _REPO + "/forks"): GiteaDouble._forks,
            ("POST", _REPO + "/forks"): GiteaDouble._fork,
            ("GET", _REPO + "/labels"): GiteaDouble._all_labels,
            ("GET", _REPO + "/pulls"): GiteaDouble._list,
            ("POST", _REPO + "/pulls"): GiteaDouble._open,
            ("GET", _REPO + "/pulls/{index}"): lambda self, request, given, who: Reply(
                200, self._pull(*self._one(given))
            ),
            ("PATCH", _REPO + "/pulls/{index}"): GiteaDouble._change,
            ("POST", _REPO + "/pulls/{index}/requested_reviewers"): GiteaDouble._review,
            ("POST", _REPO + "/issues/{index}/labels"): GiteaDouble._label,
            ("GET", _REPO + "/issues/{index}/comments"): GiteaDouble._remarks,
            ("POST", _REPO + "/issues/{index}/comments"): GiteaDouble._remark,
            ("DELETE", _REPO + "/branches/{branch}"): GiteaDouble._unbranch,
            ("GET", _REPO + "/commits/{ref}/status"): GiteaDouble._status,
        }

    def answer(self, request: Request) -> Reply:
        """See ForgeServer."""
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        account = self.house.tokens.get(token) if kind == "token" else None
        if account is None:
            return Reply(401, {"message": "invalid username, password or token"})
        request = replace(request, path=request.path.removeprefix(_ROOT))
        try:
            self.contract.check_request(request)
            reply = self._dispatch(request, account)
            self.contract.check_reply(request, reply)
        except Breach as breach:
            self.problems.append(str(breach))
            return Reply(422, {"message": str(breach)})
        return reply

    def _dispatch(self, request: Request, account: str) -> Reply:
        template, given = self.contract.find(request.method, request.path)
        moved = self.house.moved.get(f"{given.get('owner')}/{given.get('repo')}")
        if moved is not None:
            rest = request.path.split("/", 4)[4:]
            target = "/".join([f"{self.below}{_ROOT}/repos/{moved.path}", *rest])
            return Reply(307, None, {"Location": target})
        try:
            return self._routes[request.method, template](self, request, given, account)
        except Refused as refused:
            return _told(refused.kind)

    def _of(self, given: dict[str, str]) -> Repo:
        try:
            return self.house.repos[f"{given['owner']}/{given['repo']}"]
        except KeyError:
            raise Refused("missing") from None

    def _one(self, given: dict[str, str]) -> tuple[Repo, Pull]:
        repo = self._of(given)
        return repo, self.house.pull(repo, int(given["index"]))

    def _mine(self, given: dict[str, str], who: str) -> tuple[Repo, Pull]:
        repo, pull = self._one(given)
        if repo.archived or who not in (*repo.writers, pull.author):
            raise Refused("archived" if repo.archived else "forbidden")
        return repo, pull

    def _many(self, request: Request, items: list[Any]) -> Reply:
        items, headers = self.paged(replace(request, path=_ROOT + request.path), items)
        return Reply(200, items, headers)

    def _repos(self, request: Request, given: dict[str, str], who: str) -> Reply:
        owner = given.get("org") or given["username"]
        if (owner in self.house.organisations) != ("org" in given):
            raise Refused("missing")
        return self._many(request, [self._repo(repo, who) for repo in self.house.owned(owner)])

    def _repo(self, repo: Repo, who: str) -> dict[str, Any]:
        return {
            "id": repo.id,
            "full_name": repo.path,
            "owner": {"login": repo.path.split("/")[0]},
            "clone_url": self.clone_url(repo),
            "default_branch": repo.default_branch,
            "archived": repo.archived,
            "permissions": {"admin": False, "push": who in repo.writers, "pull": True},
        }

    def _forks(self, request: Request, given: dict[str, str], who: str) -> Reply:
        repo = self._of(given)
        return self._many(request, [self._repo(each, who) for each in self.house.repos.values() if each.parent is repo])

    def _fork(self, request: Request, given: dict[str, str], who: str) -> Reply:
        if f"{who}/{given['repo']}" in self.house.repos:
            return Reply(409, {"message": "The repository with the same name already exists."})
        return Reply(202, self._repo(self.house.fork(self._of(given), who), who))

    def _all_labels(self, request: Request, given: dict[str, str], who: str) -> Reply:
        return self._many(request, [{"id": number, "name": name} for number, name in enumerate(self.labels, 1)])

    def _list(self, request: Request, given: dict[str, str], who: str) -> Reply:
        assert request.query["state"] == "all"
        repo = self._of(given)
        return self._many(request, [self._pull(repo, pull) for pull in self.house.pulls(repo)[request.stale :]])

    def _open(self, request: Request, given: dict[str, str], who: str) -> Reply:
        repo, body = self._of(given), request.body
        owner, _, branch = body["head"].rpartition(":")
        network = [repo] if not owner else [each for each in self.house.owned(owner) if each.parent is repo]
        if not network or who not in network[0].writers:
            raise Refused("missing")
        pull = Pull(0, body["title"], body.get("body", ""), branch, network[0], body["base"], who)
        return Reply(201, self._pull(repo, self.house.open(repo, pull)))

    def _change(self, request: Request, given: dict[str, str], who: str) -> Reply:
        (repo, pull), body = self._mine(given, who), request.body
        if "state" in body and pull.state == "merged":
            return Reply(412, {"message": "cannot change state of this pull request, it was already merged"})
        pull.title = body.get("title") or pull.title
        pull.body = body.get("body", pull.body)
        pull.state = body.get("state", pull.state)
        pull.assignees = body.get("assignees", pull.assignees)
        return Reply(201, self._pull(repo, pull))

    def _review(self, request: Request, given: dict[str, str], who: str) -> Reply:
        _, pull = self._mine(given, who)
        if pull.author in request.body["reviewers"]:
            return Reply(422, {"message": "poster of pr can't be reviewer"})
        if NOBODY in request.body["reviewers"]:
            return Reply(404, {"message": "user does not exist [uid: 0, name: nobody]"})
        pull.reviewers += [*request.body["reviewers"], *request.body["team_reviewers"]]
        return Reply(201, [])

    def _label(self, request: Request, given: dict[str, str], who: str) -> Reply:
        repo, pull = self._mine(given, who)
        given_now = [self.labels[number - 1] for number in request.body["labels"]]
        pull.labels += [name for name in given_now if name not in pull.labels]
        return Reply(200, self._pull(repo, pull)["labels"])

    def _remarks(self, request: Request, given: dict[str, str], who: str) -> Reply:
        _, pull = self._one(given)
        return Reply(200, [_remark(each.id, each.author, each.body) for each in pull.remarks])

    def _remark(self, request: Request, given: dict[str, str], who: str) -> Reply:
        remark = self.house.remark(self._of(given), int(given["index"]), who, request.body["body"])
        return Reply(201, _remark(remark.id, who, remark.body))

    def _unbranch(self, request: Request, given: dict[str, str], who: str) -> Reply:
        repo = self._of(given)
        if who not in repo.writers:
            raise Refused("forbidden")
        self.house.delete_branch(repo, given["branch"])
        return Reply(204)

    def _status(self, request: Request, given: dict[str, str], who: str) -> Reply:
        state = self._of(given).checks.get(given["ref"])
        word = {"passed": "success", "failed": "failure", "pending": "pending", None: ""}[state]
        return Reply(200, {"state": word, "total_count": int(state is not None), "statuses": []})

    def _pull(self, repo: Repo, pull: Pull) -> dict[str, Any]:
        there = not pull.head.gone and pull.branch in pull.head.heads()
        return {
            "id": repo.id * 1000 + pull.number,
            "number": pull.number,
            "html_url": f"{self.url}/{repo.path}/pulls/{pull.number}",
            "state": "closed" if pull.state == "merged" else pull.state,
            "merged": pull.state == "merged",
            "title": pull.title,
            "body": pull.body,
            "user": _user(pull.author),
            "labels": [{"id": self.labels.index(name) + 1, "name": name} for name in pull.labels],
            "head": {
                "label": pull.branch,
                # As services/convert/pull.go does it once the branch is gone.
                "ref": pull.branch if there else f"refs/pull/{pull.number}/head",
                "sha": pull.sha,
                "repo": None if pull.head.gone else self._repo(pull.head, ""),
            },
            "base": {"label": pull.base, "ref": pull.base, "repo": self._repo(repo, "")},
        }


def _user(login: str) -> dict[str, Any] | None:
    return {"login": login} if login else None


def _remark(id: int, author: str, body: str) -> dict[str, Any]:
    return {"id": id, "body": body, "user": _user(author)}


def _told(kind: str) -> Reply:
    match kind:
        case "missing" | "no ref" | "no head" | "no base":
            return Reply(404, {"message": "The target couldn't be found.", "errors": []})
        case "archived":
            return Reply(423, {"message": "acme/app is archived"})
        case "duplicate":
            return Reply(409, {"message": "pull request already exists for these targets [id: 1]"})
    return Reply(403, {"message": "user should have permission to do this"})


FAULTS = faults(
    **{
        "401": Reply(401, {"message": "invalid username, password or token"}),
        "403": Reply(403, {"message": "token does not have at least one of required scope(s)"}),
        # Gitea has no limits of its own; these are those of the proxies in front of it.
        "403 with Retry-After": Reply(403, "slow down", {"Retry-After": "7"}),
        "primary limit": Reply(429, "slow down", {"Retry-After": "7200"}),
    }
)


@contextmanager
def serving(house: House, below: str = "") -> Iterator[GiteaDouble]:
    """The double, which at the end must have nothing to complain of."""
    double = GiteaDouble(house, below)
    with double.running():
        yield double
    assert not double.problems, double.problems
