"""A git server and a forge in memory for the tests of the bot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from codemods.bot.look import Looker
from tests.bot.forge_memory import ServedForge
from tests.bot.git_server import GitServer


@pytest.fixture(scope="session")
def look() -> Iterator[Looker]:
    with Looker(300) as looker:
        yield looker


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    root = tmp_path / "served"
    root.mkdir()
    running = GitServer(root)
    yield running
    running.stop()


@pytest.fixture
def forge(server: GitServer, look: Looker) -> ServedForge:
    return ServedForge(server, look)
