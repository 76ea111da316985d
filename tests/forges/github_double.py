"""GitHub as far as the bot goes, held to GitHub's own description of it.

Every request and every answer is validated against ``github.openapi.json`` and ``github.graphql``,
which ``scripts/trim_openapi.py`` and ``scripts/trim_graphql.py`` cut out of what GitHub publishes.
Served like GitHub Enterprise Server: REST below ``/api/v3``, GraphQL at ``/api/graphql``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.forges.contract import Breach, Contract
from tests.forges.github_graphql import GraphQL
from tests.forges.house import NOBODY, House, Pull, Refused, Remark, Repo
from tests.forges.server import ForgeServer, Reply, Request, faults

_ROOT = "/api/v3"
_DOCS = "https://docs.github.com/rest"


@dataclass(frozen=True)
class Call:
    """A request that was understood."""

    request: Request
    account: str
    parameters: dict[str, str]

    @property
    def body(self) -> dict[str, Any]:
        """The JSON of the request."""
        return self.request.body or {}


Handler = Callable[["GitHubDouble", Call], tuple[int, Any]]


class GitHubDouble(ForgeServer):
    """See the module. ``apps`` maps the id of a GitHub App to its public key in PEM format."""

    contract = Contract(
        Path(__file__).with_name("github.openapi.json"),
        null=("pull-request/head/repo", "pull-request-simple/head/repo", "pull-request/user"),
    )

    def __init__(self, house: House) -> None:
        super().__init__(house)
        self.apps: dict[str, str] = {}
        self.graphql = GraphQL(house)
        self._routes: dict[tuple[str, str], Handler] = {
            ("GET", "/user"): GitHubDouble._user,
            ("GET", "/user/repos"): lambda self, call: self._repos(call, call.account),
            ("GET", "/orgs/{org}/repos"): lambda self, call: self._repos(call, call.parameters["org"]),
            ("GET", "/users/{username}/repos"): lambda self, call: self._repos(call, call.parameters["username"]),
            ("GET", "/repos/{owner}/{repo}"): lambda self, call: (200, self._repo(self._of(call), call.account)),
            ("GET", "/repos/{owner}/{repo}/branches/{branch}"): GitHubDouble._branch,
            ("POST", "/repos/{owner}/{repo}/forks"): GitHubDouble._fork,
            ("GET", "/repos/{owner}/{repo}/pulls"): GitHubDouble._pulls,
            ("POST", "/repos/{owner}/{repo}/pulls"): GitHubDouble._open,
            ("PATCH", "/repos/{owner}/{repo}/pulls/{pull_number}"): GitHubDouble._change,
            ("POST", "/repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers"): GitHubDouble._review,
            ("GET", "/repos/{owner}/{repo}/issues/{issue_number}/comments"): GitHubDouble._remarks,
            ("POST", "/repos/{owner}/{repo}/issues/{issue_number}/comments"): GitHubDouble._remark,
            ("POST", "/repos/{owner}/{repo}/issues/{issue_number}/labels"): GitHubDouble._label,
            ("POST", "/repos/{owner}/{repo}/issues/{issue_number}/assignees"): GitHubDouble._assign,
            ("DELETE", "/repos/{owner}/{repo}/git/refs/{ref}"): GitHubDouble._unref,
            ("GET", "/repos/{owner}/{repo}/commits/{ref}/check-runs"): GitHubDouble._runs,
            ("GET", "/repos/{owner}/{repo}/commits/{ref}/status"): GitHubDouble._status,
            ("GET", "/orgs/{org}/installation"): GitHubDouble._installation,
            ("GET", "/users/{username}/installation"): GitHubDouble._installation,
            ("POST", "/app/installations/{installation_id}/access_tokens"): GitHubDouble._buy,
        }

    @property
    def api(self) -> str:
        """The REST root."""
        return self.url + _ROOT

    def answer(self, request: Request) -> Reply:
        """See ForgeServer."""
        if not request.headers.get("user-agent"):
            return _refusal(403, "Request forbidden by administrative rules.")
        if request.path == "/api/graphql":
            account = self._account(request)
            return _refusal(401, "Bad credentials") if account is None else self.graphql.answer(request, account)
        if not request.path.startswith(_ROOT):
            return _refusal(404, "Not Found")
        request = self._resolved(replace(request, path=request.path.removeprefix(_ROOT)))
        try:
            self.contract.check_request(request)
            reply = self._moved(request) or self._dispatch(request)
            self.contract.check_reply(request, reply)
        except Breach as breach:
            self.problems.append(str(breach))
            return _refusal(400, str(breach))
        return reply

    def _resolved(self, request: Request) -> Request:
        """``/repositories/<id>``, where a 301 leads, is the repository with that number."""
        for repo in self.house.repos.values():
            if request.path == f"/repositories/{repo.id}":
                return replace(request, path=f"/repos/{repo.path}")
        return request

    def _moved(self, request: Request) -> Reply | None:
        _, parameters = self.contract.find(request.method, request.path)
        old = f"{parameters.get('owner')}/{parameters.get('repo')}"
        if old not in self.house.moved:
            return None
        rest = request.path.removeprefix(f"/repos/{old}")
        target = f"{self.api}/repositories/{self.house.moved[old].id}{rest}"
        status = 301 if request.method == "GET" else 307
        body = {"message": "Moved Permanently", "url": target, "documentation_url": _DOCS}
        return Reply(status, body, {"Location": target})

    def _dispatch(self, request: Request) -> Reply:
        template, parameters = self.contract.find(request.method, request.path)
        account = self._account(request)
        if account is None:
            return _refusal(401, "Bad credentials")
        try:
            status, given = self._routes[request.method, template](self, Call(request, account, parameters))
        except Refused as refused:
            return _told(refused.kind)
        if given is None:
            return Reply(status)
        schema = self.contract.resolve(self.contract.schema(request.method, template, status))
        headers: dict[str, str] = {}
        if isinstance(given, dict) and "check_runs" in given:
            given["check_runs"], headers = self.paged(request, given["check_runs"])
        elif schema.get("type") == "array" and request.method == "GET":
            given, headers = self.paged(replace(request, path=_ROOT + request.path), given)
        return Reply(status, self.contract.filled(schema, given), headers)

    def _account(self, request: Request) -> str | None:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind != "Bearer":
            return None
        return self.house.tokens.get(token) or self._app(token)

    def _app(self, token: str) -> str | None:
        import jwt

        for app, key in self.apps.items():
            try:
                jwt.decode(token, key, algorithms=["RS256"], issuer=app, options={"require": ["exp", "iat", "iss"]})
            except jwt.PyJWTError:
                continue
            return f"app/{app}"
        return None

    def _of(self, call: Call) -> Repo:
        try:
            return self.house.repos[f"{call.parameters['owner']}/{call.parameters['repo']}"]
        except KeyError:
            raise Refused("missing") from None

    def _writable(self, call: Call, *, pull: Pull | None = None) -> Repo:
        repo = self._of(call)
        if repo.archived:
            raise Refused("archived")
        if call.account not in repo.writers and (pull is None or pull.author != call.account):
            raise Refused("forbidden")
        return repo

    def _user(self, call: Call) -> tuple[int, Any]:
        if call.account.endswith("[bot]"):
            raise Refused("integration")
        return 200, {"login": call.account, "user_view_type": "private"}

    def _repos(self, call: Call, owner: str) -> tuple[int, Any]:
        if (owner in self.house.organisations) != call.request.path.startswith("/orgs/"):
            raise Refused("missing")
        return 200, [self._repo(repo, call.account) for repo in self.house.owned(owner)]

    def _repo(self, repo: Repo, account: str) -> dict[str, Any]:
        push = account in repo.writers and not account.endswith("[bot]")
        return {
            "id": repo.id,
            "name": repo.path.split("/")[1],
            "full_name": repo.path,
            "clone_url": self.clone_url(repo),
            "default_branch": repo.default_branch,
            "archived": repo.archived,
            "fork": repo.parent is not None,
            "permissions": {"admin": False, "push": push, "pull": True},
        }

    def _branch(self, call: Call) -> tuple[int, Any]:
        heads = self._of(call).heads()
        if call.parameters["branch"] not in heads:
            raise Refused("missing")
        return 200, {"name": call.parameters["branch"], "protected": False}

    def _fork(self, call: Call) -> tuple[int, Any]:
        return 202, self._repo(self.house.fork(self._of(call), call.account), call.account)

    def _pulls(self, call: Call) -> tuple[int, Any]:
        query = call.request.query
        pulls = [each for each in self.house.pulls(self._of(call)) if query.get("state", "open") in (each.state, "all")]
        if query.get("sort", "created") != "created" or query.get("direction", "desc") != "desc":
            raise Breach("the double lists by creation, newest first, only")
        return 200, [self._pull(self._of(call), pull) for pull in pulls[call.request.stale :]]

    def _open(self, call: Call) -> tuple[int, Any]:
        repo, body = self._of(call), call.body
        owner, _, branch = body["head"].rpartition(":")
        pull = Pull(
            number=0,
            title=body["title"],
            body=body.get("body") or "",
            branch=branch,
            head=self._head(repo, owner, body.get("head_repo")),
            base=body["base"],
            author=call.account,
            draft=body.get("draft", False),
        )
        if call.account not in pull.head.writers:
            raise Refused("forbidden")
        return 201, self._pull(repo, self.house.open(repo, pull), full=True)

    def _head(self, repo: Repo, owner: str, name: str | None) -> Repo:
        network = [each for each in self.house.repos.values() if each is repo or each.parent is repo]
        for each in network:
            if (not owner and each is repo) or (name and each.path == f"{owner}/{name}"):
                return each
            if owner and not name and each.path.startswith(f"{owner}/"):
                return each
        raise Refused("no head")

    def _change(self, call: Call) -> tuple[int, Any]:
        pull = self.house.pull(self._of(call), int(call.parameters["pull_number"]))
        repo = self._writable(call, pull=pull)
        pull.title = call.body.get("title", pull.title)
        pull.body = call.body.get("body", pull.body)
        if "state" in call.body and pull.state != "merged":
            pull.state = call.body["state"]
        return 200, self._pull(repo, pull, full=True)

    def _review(self, call: Call) -> tuple[int, Any]:
        repo = self._writable(call)
        pull = self.house.pull(repo, int(call.parameters["pull_number"]))
        if {pull.author, NOBODY} & set(call.body["reviewers"]):
            raise Refused("own review" if pull.author in call.body["reviewers"] else "no collaborator")
        pull.reviewers += [*call.body["reviewers"], *call.body["team_reviewers"]]
        return 201, self._pull(repo, pull)

    def _remarks(self, call: Call) -> tuple[int, Any]:
        remarks = self.house.pull(self._of(call), int(call.parameters["issue_number"])).remarks
        return 200, [self._comment(remark) for remark in remarks]

    def _remark(self, call: Call) -> tuple[int, Any]:
        number = int(call.parameters["issue_number"])
        return 201, self._comment(self.house.remark(self._of(call), number, call.account, call.body["body"]))

    @staticmethod
    def _comment(remark: Remark) -> dict[str, Any]:
        return {"id": remark.id, "body": remark.body, "user": _user(remark.author)}

    def _label(self, call: Call) -> tuple[int, Any]:
        pull = self.house.pull(self._writable(call), int(call.parameters["issue_number"]))
        pull.labels += [name for name in call.body["labels"] if name not in pull.labels]
        return 200, [{"name": name} for name in pull.labels]

    def _assign(self, call: Call) -> tuple[int, Any]:
        pull = self.house.pull(self._writable(call), int(call.parameters["issue_number"]))
        pull.assignees += [name for name in call.body["assignees"] if name not in pull.assignees]
        return 201, {"number": pull.number, "assignees": [{"login": name} for name in pull.assignees]}

    def _unref(self, call: Call) -> tuple[int, Any]:
        self.house.delete_branch(self._writable(call), call.parameters["ref"].removeprefix("heads/"))
        return 204, None

    def _runs(self, call: Call) -> tuple[int, Any]:
        state = self._of(call).checks.get(call.parameters["ref"])
        if state is None:
            return 200, {"total_count": 0, "check_runs": []}
        conclusion = {"passed": "success", "failed": "failure", "pending": None}[state]
        status = "in_progress" if conclusion is None else "completed"
        return 200, {"total_count": 1, "check_runs": [{"id": 1, "status": status, "conclusion": conclusion}]}

    def _status(self, call: Call) -> tuple[int, Any]:
        # What GitHub says where nobody has set a status: pending, of none.
        return 200, {"state": "pending", "total_count": 0, "sha": call.parameters["ref"], "statuses": []}

    def _head_repo(self, pull: Pull) -> dict[str, Any] | None:
        return None if pull.head.gone else self._repo(pull.head, "")

    def _installation(self, call: Call) -> tuple[int, Any]:
        owner = call.parameters.get("org") or call.parameters["username"]
        organisation = "org" in call.parameters
        if not call.account.startswith("app/") or (owner in self.house.organisations) != organisation:
            raise Refused("missing")
        return 200, {"id": 7, "app_id": int(call.account[4:])}

    def _buy(self, call: Call) -> tuple[int, Any]:
        token = f"ghs_{self.house.number():036d}"
        self.house.tokens[token] = "loopmend[bot]"
        until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
        return 201, {"token": token, "expires_at": until}

    def _pull(self, repo: Repo, pull: Pull, *, full: bool = False) -> dict[str, Any]:
        merged = pull.state == "merged"
        same = pull.head is repo
        data: dict[str, Any] = {
            "id": repo.id * 1000 + pull.number,
            "number": pull.number,
            "state": "closed" if merged else pull.state,
            "title": pull.title,
            "body": pull.body,
            "html_url": f"{self.url}/{repo.path}/pull/{pull.number}",
            "draft": pull.draft,
            "created_at": pull.created or self.house.started,
            "merged_at": self.house.started if merged else None,
            "user": _user(pull.author),
            "labels": [{"name": name} for name in pull.labels],
            "head": {"ref": pull.branch, "sha": pull.sha, "repo": self._head_repo(pull)},
            "base": {"ref": pull.base, "sha": repo.heads().get(pull.base, "0" * 40), "repo": self._repo(repo, "")},
        }
        data["head"]["label"] = f"{pull.head.path.split('/')[0]}:{pull.branch}" if not same else pull.branch
        return data | ({"merged": merged} if full else {})


@contextmanager
def serving(house: House) -> Iterator[GitHubDouble]:
    """The double, which at the end must have nothing to complain of."""
    double = GitHubDouble(house)
    with double.running():
        yield double
    assert not double.problems, double.problems


def _user(login: str) -> dict[str, Any] | None:
    return {"login": login} if login else None


def _refusal(status: int, message: str, **more: Any) -> Reply:
    return Reply(status, {"message": message, "documentation_url": _DOCS, **more})


def _invalid(**error: str) -> Reply:
    return _refusal(422, "Validation Failed", errors=[{"resource": "PullRequest", "code": "custom", **error}])


def _told(kind: str) -> Reply:
    match kind:
        case "missing":
            return _refusal(404, "Not Found")
        case "archived":
            return _refusal(403, "Repository was archived so is read-only.")
        case "integration":
            return _refusal(403, "Resource not accessible by integration")
        case "no head" | "no base":
            return _invalid(field=kind[3:], code="invalid")
        case "duplicate":
            return _invalid(message="A pull request already exists for owner:branch.")
        case "no commits":
            return _invalid(message="No commits between main and branch")
        case "no drafts":
            return _refusal(422, "Draft pull requests are not supported in this repository.")
        case "no ref":
            return _refusal(422, "Reference does not exist")
        case "protected":
            return _refusal(422, "Cannot delete this protected branch")
        case "own review":
            return _refusal(422, "Review cannot be requested from pull request author.")
        case "no collaborator":
            return _refusal(422, "Reviews may only be requested from collaborators.")
    return _refusal(403, "Must have push access to the repository.")


SECONDARY = Reply(
    403,
    {"message": "You have exceeded a secondary rate limit.", "documentation_url": _DOCS},
    {"Retry-After": "7"},
)
PRIMARY = Reply(
    403,
    {"message": "API rate limit exceeded for user ID 1.", "documentation_url": _DOCS},
    {"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "4102444800"},
)
ABUSE = _refusal(
    422,
    "Validation Failed",
    errors=[{"resource": "PullRequest", "code": "custom", "field": "base", "message": "was submitted too quickly"}],
)
FAULTS = faults(
    **{
        "401": _refusal(401, "Bad credentials"),
        "403": _refusal(403, "Resource not accessible by personal access token"),
        "403 with Retry-After": SECONDARY,
        "primary limit": PRIMARY,
        "422 abuse": ABUSE,
    }
)
