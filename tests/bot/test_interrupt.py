"""Ctrl-C in the middle of many repositories: a prompt end, no process left, and a run that goes on."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from codemods.bot.journal import Journal
from codemods.forge.credentials import variable_for
from tests.bot.git_server import GitServer
from tests.bot.shop import unclosed
from tests.forges.server import Reply, Request
from tests.forges.worlds import TOKEN, Served, gitea, house_in

PATIENCE = 120
"""Seconds that only a hang uses up."""


class Trap:
    """Holds what falls into it until it is opened."""

    def __init__(self) -> None:
        self.caught = threading.Event()
        self.opened = threading.Event()

    def hold(self) -> None:
        if not self.opened.is_set():
            self.caught.set()
            self.opened.wait(PATIENCE)


class SlowGitServer(GitServer):
    """Holds whoever asks for one repository."""

    def __init__(self, root: Path, slow: str) -> None:
        self.trap, self.slow = Trap(), slow
        super().__init__(root, TOKEN)

    def process_request_thread(self, request, client_address) -> None:  # type: ignore[no-untyped-def]
        asked = request.recv(200, socket.MSG_PEEK).decode("latin-1")
        if self.slow in asked:
            self.trap.hold()
        super().process_request_thread(request, client_address)


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[SlowGitServer]:
    root = tmp_path / "served"
    root.mkdir()
    server = SlowGitServer(root, "slow-git")
    server.username = "bot"
    yield server
    server.trap.opened.set()
    server.stop()


@pytest.fixture
def world(slow: SlowGitServer) -> Iterator[Served]:
    with gitea(house_in(slow.root)) as world:
        world.server.clone_url = lambda repo: f"{slow.url}/{repo.path}.git"  # type: ignore[method-assign]
        yield world


@pytest.mark.skipif(os.name != "posix", reason="signals as a terminal sends them")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_and_the_next_one_goes_on(
    world: Served, slow: SlowGitServer, tmp_path: Path, number: signal.Signals
) -> None:
    for name in ("fine", "slow-git", "slow-api"):
        world.house.create(f"acme/{name}", {"a.py": unclosed("one")})
    trap, handle = Trap(), world.server.handle

    def slowly(request: Request) -> Reply | None:
        if request.path.endswith("/slow-api"):
            trap.hold()
        return handle(request)

    world.server.handle = slowly  # type: ignore[method-assign]
    fleet = tmp_path / "fleet.toml"
    fleet.write_text(f"repositories = {[f'{world.url}/acme/{name}' for name in ('fine', 'slow-git', 'slow-api')]}\n")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    command = [sys.executable, "-c", "import sys; from codemods.cli.main import run; sys.exit(run())"]
    command += ["pr", "--repos", str(fleet), "--forge", "gitea"]
    environment = {**os.environ, "TMPDIR": str(temporary), variable_for(world.forge.host): TOKEN}

    started = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert started.stdout is not None
        assert "opened" in started.stdout.readline()
        assert slow.trap.caught.wait(PATIENCE)
        assert trap.caught.wait(PATIENCE)
        started.send_signal(number)
        _, said = started.communicate(timeout=PATIENCE)
    finally:
        started.kill()
    assert (started.returncode, said) == (130, "interrupted: nothing is half done that the next run does not settle\n")
    assert _with_in_its_arguments(slow.url) == []
    assert list(temporary.iterdir()) == []
    journal = Journal(fleet.with_name("fleet.toml.journal"))
    assert [name for name, visited in journal.visited.items() if visited.done] == [f"{world.forge.host}/acme/fine"]

    slow.trap.opened.set()
    trap.opened.set()
    again = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (again.returncode, again.stderr) == (0, "2 opened.\n")
    assert [len(repo.pulls) for repo in world.house.repos.values()] == [1, 1, 1]


def _with_in_its_arguments(text: str) -> list[str]:
    lines = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout.splitlines()
    return [line for line in lines if text in line and "pytest" not in line]
