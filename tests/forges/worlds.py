"""A forge of each kind, with a bot's adapter to it, behind one face for the conformance suite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

from codemods.forge.credentials import Secret, Token
from codemods.forge.gitea import Gitea
from codemods.forge.github import GitHub
from codemods.forge.gitlab import GitLab
from codemods.forge.protocol import Forge, NewPullRequest, PullRequest, RepositoryId
from tests.forges import gitea_double, github_double, gitlab_double
from tests.forges.house import House, Repo
from tests.forges.server import Fault, ForgeServer

TOKEN = "tok_3b1f0f6e2a9d4c55"
Operations = dict[str, tuple[str, str]]


@dataclass
class World:
    """``operations`` says how the requests of a method look on this forge: HTTP method and path."""

    house: House
    server: ForgeServer
    forge: Forge
    operations: Operations
    faults: dict[str, Callable[[str, str], Fault]]
    adapter: Callable[[str], Forge]
    """A new adapter, to whatever is on the given host."""
    naps: list[float]

    def go_wrong(self, fault: str, operation: str) -> None:
        """The next request of an operation meets a fault."""
        self.server.faults.append(self.faults[fault](*self.operations[operation]))

    def sent(self, operation: str) -> int:
        """How many requests of an operation the forge has seen."""
        return len(self.server.sent(*self.operations[operation]))

    def id(self, repo: Repo) -> RepositoryId:
        """As the adapter calls it."""
        return RepositoryId(self.forge.host, repo.path)

    def propose(self, repo: Repo, branch: str = "loopmend/one", **more: object) -> NewPullRequest:
        """A branch with a change, and the pull request that could be opened for it."""
        if branch not in repo.heads():
            repo.write(branch, {f"{branch.replace('/', '-')}.py": "new = 1\n"})
        fields = {"title": "Title", "body": "Body", "branch": branch, "head": self.id(repo), "base": "main", **more}
        return NewPullRequest(**fields)  # type: ignore[arg-type]

    def open(self, repo: Repo, branch: str = "loopmend/one", **more: object) -> PullRequest:
        """A pull request that the bot has opened."""
        return self.forge.open_pull_request(self.id(repo), self.propose(repo, branch, **more))

    def listed(self, repo: Repo, prefix: str = "loopmend/") -> list[PullRequest]:
        """What the adapter says there is."""
        return list(self.forge.pull_requests(self.id(repo), branch_prefix=prefix))


def _house(root: Path) -> House:
    house = House(root, {TOKEN: "bot"})
    house.organisations.add("acme")
    return house


@contextmanager
def _world(
    root: Path, kind: ModuleType, adapter_class: Callable[..., Forge], path: str, operations: Operations
) -> Iterator[World]:
    """The world of one double: ``path`` is where its API is on the host."""
    with kind.serving(_house(root)) as double:
        naps: list[float] = []

        def adapter(host: str) -> Forge:
            return adapter_class(host, f"http://{host}{path}", Token(Secret(TOKEN)), sleep=naps.append)

        yield World(
            house=double.house,
            server=double,
            forge=adapter(urlsplit(double.url).netloc),
            operations=operations,
            faults=kind.FAULTS,
            adapter=adapter,
            naps=naps,
        )


def github(root: Path) -> AbstractContextManager[World]:
    """GitHub's strict double."""
    operations = {
        "list": ("GET", "/pulls$"),
        "open": ("POST", "/pulls$"),
        "update": ("PATCH", r"/pulls/\d+$"),
        "comment": ("POST", "/comments$"),
        "comments": ("GET", "/comments$"),
        "delete": ("DELETE", "/git/refs/"),
        "repository": ("GET", "/api/v3/repos/[^/]+/[^/]+$"),
        "label": ("POST", "/labels$"),
        "commit": ("POST", "/graphql$"),
    }
    return _world(root, github_double, GitHub, "/api/v3", operations)


def gitlab(root: Path) -> AbstractContextManager[World]:
    """The double of GitLab."""
    operations = {
        "list": ("GET", "/merge_requests$"),
        "open": ("POST", "/merge_requests$"),
        "update": ("PUT", r"/merge_requests/\d+$"),
        "comment": ("POST", "/notes$"),
        "comments": ("GET", "/notes$"),
        "delete": ("DELETE", "/repository/branches/"),
        "repository": ("GET", "/api/v4/projects/[^/]+/[^/]+$"),
    }
    return _world(root, gitlab_double, GitLab, "", operations)


def gitea(root: Path) -> AbstractContextManager[World]:
    """The double of Gitea and Forgejo."""
    operations = {
        "list": ("GET", "/pulls$"),
        "open": ("POST", "/pulls$"),
        "update": ("PATCH", r"/pulls/\d+$"),
        "comment": ("POST", "/comments$"),
        "comments": ("GET", "/comments$"),
        "delete": ("DELETE", "/branches/"),
        "repository": ("GET", "/api/v1/repos/[^/]+/[^/]+$"),
    }
    return _world(root, gitea_double, Gitea, "/api/v1", operations)


WORLDS = {"github": github, "gitlab": gitlab, "gitea": gitea}
