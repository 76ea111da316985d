"""The forge in memory, whose repositories a real git server serves, with hands for what people do there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from codemods.bot.look import Look
from codemods.forge.protocol import PullRequest, RepositoryId, State
from tests.bot.git_server import GitServer
from tests.forges.house import House, Repo
from tests.forges.memory import Fault, MemoryForge

BOT = "loopmend-bot"


def git(directory: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=Ann", "-c", "user.email=ann@example.org", *arguments],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class ServedForge(MemoryForge):
    """A forge in memory; repositories are spoken of by their paths."""

    def __init__(self, server: GitServer, look: Look) -> None:
        house = House(server.root, {server.token: BOT})
        host = server.url.removeprefix("http://")
        super().__init__(house, host, server.token, lambda repo: f"{server.url}/{repo.path}.git")
        self.server = server
        self.look = look
        """Not a part of a forge: what the tests hand on to a visit."""

    def add(self, path: str, files: dict[str, str | None]) -> RepositoryId:
        self.house.create(path, files, writers=(BOT,))
        return self.id(path)

    def repo(self, path: str) -> Repo:
        return self.house.repos[path]

    def commit_files(self, path: str, branch: str, files: dict[str, str | None], *, message: str = "change") -> str:
        return self.repo(path).write(branch, files, message)

    def head(self, path: str, branch: str) -> str:
        return self.branches(path).get(branch, "")

    def branches(self, path: str) -> dict[str, str]:
        return self.repo(path).heads()

    def show(self, path: str, spec: str) -> str:
        return self.repo(path).git("show", spec)

    def merge(self, path: str, number: int) -> None:
        self.house.merge(self.repo(path), number)

    def set_state(self, path: str, number: int, state: State) -> None:
        self.house.pull(self.repo(path), number).state = state.value

    def check(self, path: str, state: str) -> None:
        """What the continuous integration says of every commit that a branch is at."""
        repo = self.repo(path)
        repo.checks |= dict.fromkeys(repo.heads().values(), state)

    def pulls(self, path: str, state: State | None = None) -> list[PullRequest]:
        """The oldest first."""
        repo = self.repo(path)
        said = [self.said(repo, pull) for pull in reversed(self.house.pulls(repo))]
        return [pull for pull in said if state in (None, pull.state)]


def table(body: str) -> list[str]:
    """The rows of the table in a description."""
    return re.findall(r"^\| [`<].*$", body, re.MULTILINE)


__all__ = ["BOT", "Fault", "ServedForge", "git", "table"]
