"""A forge of each kind with the adapter to it, and the one in memory, behind one face for the conformance suite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

from codemods.forge.credentials import Secret, Token
from codemods.forge.gitea import Gitea
from codemods.forge.github import GitHub
from codemods.forge.gitlab import GitLab
from codemods.forge.protocol import (
    Denied,
    Forge,
    NewPullRequest,
    PullRequest,
    RepositoryId,
    Unavailable,
    Uncertain,
)
from tests.forges import gitea_double, github_double, gitlab_double
from tests.forges.house import House, Repo
from tests.forges.memory import Fault as MemoryFault
from tests.forges.memory import MemoryForge
from tests.forges.server import Fault, ForgeServer

TOKEN = "tok_3b1f0f6e2a9d4c55"
Operations = dict[str, tuple[str, ...]]


@dataclass
class World:
    """What the suite needs of a forge: its truth, the way to it, and what to spoil."""

    house: House
    forge: Forge
    url: str
    naps: list[float]
    """How long the adapter has slept."""

    def go_wrong(self, fault: str, operation: str) -> None:
        """The next request of an operation meets a fault."""
        raise NotImplementedError

    def sent(self, operation: str) -> int:
        """How many requests of an operation the forge has seen."""
        raise NotImplementedError

    def page_by(self, size: int) -> None:
        """Let lists come in pages of this size, where they have pages."""

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

    def furnish(self, repo: Repo, number: int, **more: object) -> list[str]:
        """Give it labels and people; what is missing afterwards."""
        return self.forge.furnish(self.id(repo), number, self.propose(repo, **more))

    def listed(self, repo: Repo, prefix: str = "loopmend/") -> list[PullRequest]:
        """What the adapter says there is."""
        return list(self.forge.pull_requests(self.id(repo), branch_prefix=prefix))


@dataclass
class Served(World):
    """A forge behind HTTP. ``operations`` says how the requests of a method look, as ``Fault`` describes them."""

    server: ForgeServer
    operations: Operations
    faults: dict[str, Callable[..., Fault]]
    adapter: Callable[[str], Forge]
    """A new adapter, to whatever is on the given host."""

    def go_wrong(self, fault: str, operation: str) -> None:
        """See World."""
        self.server.faults.append(self.faults[fault](*self.operations[operation]))

    def sent(self, operation: str) -> int:
        """See World."""
        return len(self.server.sent(*self.operations[operation][:2]))

    def page_by(self, size: int) -> None:
        """See World."""
        self.server.page_size = size


@dataclass
class InMemory(World):
    """A forge without HTTP: a fault is an error that the method raises."""

    memory: MemoryForge

    def go_wrong(self, fault: str, operation: str) -> None:
        """See World."""
        error, took_effect = _ERRORS[fault]
        self.memory.faults.append(MemoryFault(_METHODS[operation], error, took_effect))

    def sent(self, operation: str) -> int:
        """See World."""
        return self.memory.calls.count(_METHODS[operation])


_METHODS = {"open": "open_pull_request", "comment": "comment", "commit": "commit"}
_ERRORS = {
    "401": (Denied("bad credentials"), False),
    "primary limit": (Unavailable("limit", 7200), False),
    "429": (Unavailable("too many requests", 7), False),
    "502 before": (Uncertain("502"), False),
    "502 after": (Uncertain("502"), True),
    "reset before": (Uncertain("reset"), False),
    "reset after": (Uncertain("reset"), True),
}


def house_in(root: Path) -> House:
    """One that knows the bot's token."""
    house = House(root, {TOKEN: "bot"})
    house.organisations.add("acme")
    return house


@contextmanager
def _world(
    house: House, kind: ModuleType, adapter_class: Callable[..., Forge], path: str, operations: Operations, **more: str
) -> Iterator[Served]:
    """The world of one double: ``path`` is where its API is on the host."""
    with kind.serving(house, **more) as double:
        naps: list[float] = []

        def adapter(host: str) -> Forge:
            return adapter_class(host, f"http://{host}{path}", Token(Secret(TOKEN)), sleep=naps.append)

        yield Served(
            house=double.house,
            forge=adapter(double.url.removeprefix("http://")),
            url=double.url,
            naps=naps,
            server=double,
            operations=operations,
            faults=kind.FAULTS,
            adapter=adapter,
        )


def github(house: House) -> AbstractContextManager[Served]:
    """GitHub's strict double."""
    operations = {
        "list": ("GET", "/pulls$"),
        "open": ("POST", "/pulls$"),
        "update": ("PATCH", r"/pulls/\d+$", "body"),
        "close": ("PATCH", r"/pulls/\d+$", "state"),
        "comment": ("POST", "/comments$"),
        "comments": ("GET", "/comments$"),
        "delete": ("DELETE", "/git/refs/"),
        "repository": ("GET", "/api/v3/repos/[^/]+/[^/]+$"),
        "label": ("POST", "/labels$"),
        "commit": ("POST", "/graphql$"),
    }
    return _world(house, github_double, GitHub, "/api/v3", operations)


def gitlab(house: House, **more: str) -> AbstractContextManager[Served]:
    """The double of GitLab."""
    operations = {
        "list": ("GET", "/merge_requests$"),
        "open": ("POST", "/merge_requests$"),
        "update": ("PUT", r"/merge_requests/\d+$", "description"),
        "close": ("PUT", r"/merge_requests/\d+$", "state_event"),
        "label": ("PUT", r"/merge_requests/\d+$", "add_labels"),
        "comment": ("POST", "/notes$"),
        "comments": ("GET", "/notes$"),
        "delete": ("DELETE", "/repository/branches/"),
        "repository": ("GET", "/api/v4/projects/[^/]+/[^/]+$"),
    }
    return _world(house, gitlab_double, GitLab, "", operations, **more)


def gitea(house: House, **more: str) -> AbstractContextManager[Served]:
    """The double of Gitea and Forgejo."""
    operations = {
        "list": ("GET", "/pulls$"),
        "open": ("POST", "/pulls$"),
        "update": ("PATCH", r"/pulls/\d+$", "body"),
        "close": ("PATCH", r"/pulls/\d+$", "state"),
        "label": ("POST", "/labels$"),
        "comment": ("POST", "/comments$"),
        "comments": ("GET", "/comments$"),
        "delete": ("DELETE", "/branches/"),
        "repository": ("GET", "/api/v1/repos/[^/]+/[^/]+$"),
    }
    return _world(house, gitea_double, Gitea, "/api/v1", operations, **more)


@contextmanager
def memory(house: House) -> Iterator[InMemory]:
    """The forge without a wire; it makes commits itself, so that these are tried too."""
    url = "http://memory.example.org"
    forge = MemoryForge(house, "memory.example.org", TOKEN, lambda repo: f"{url}/{repo.path}.git")
    forge.signs = True
    yield InMemory(house=house, forge=forge, url=url, naps=[], memory=forge)


SERVED = {"github": github, "gitlab": gitlab, "gitea": gitea}
"""Those with an adapter, for what is about requests."""
FAULTS: dict[str, dict[str, Callable[..., Fault]]] = {
    "github": github_double.FAULTS,
    "gitlab": gitlab_double.FAULTS,
    "gitea": gitea_double.FAULTS,
}
BELOW = {"gitlab below a path": partial(gitlab, below="/gitlab"), "gitea below a path": partial(gitea, below="/a/git")}
WORLDS: dict[str, Callable[[House], AbstractContextManager[World]]] = {**SERVED, **BELOW, "memory": memory}
"""Every forge there is, for what the bot relies on."""
