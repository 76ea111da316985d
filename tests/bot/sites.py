"""A repository on a forge, real git behind a real server, and the bot that visits it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from codemods.bot.deliver import Row
from codemods.bot.look import Look
from codemods.bot.policy import Policy
from codemods.bot.visit import Visit
from tests.bot.git_server import GitServer
from tests.forges.house import House, Repo
from tests.forges.worlds import SERVED, TOKEN, Served


@dataclass
class Site:
    """A repository on a forge, and the bot that visits it."""

    world: Served
    repo: Repo
    look: Look

    def rows(self, **policy: object) -> list[Row]:
        """What one run does."""
        wanted = Policy(**policy)  # type: ignore[arg-type]
        return Visit(self.world.forge, self.world.id(self.repo), wanted, self.look, sleep=lambda _: None).run()

    def visit(self, **policy: object) -> list[str]:
        """What one run does, in words."""
        return sorted(row.what for row in self.rows(**policy))

    def states(self) -> list[tuple[str, str]]:
        """The pull requests, oldest first: the rule and the state."""
        pulls = sorted(self.world.listed(self.repo), key=lambda pull: pull.number)
        return [(pull.title.split()[0], pull.state.value) for pull in pulls]


@contextmanager
def served(name: str, house: House, look: Look) -> Iterator[Site]:
    """The repository ``acme/shop`` of a house, on the forge of this name."""
    server = GitServer(house.root, TOKEN)
    try:
        with SERVED[name](house) as world:
            server.username = world.forge.git_login().username
            world.server.clone_url = lambda repo: f"{server.url}/{repo.path}.git"  # type: ignore[method-assign]
            yield Site(world, house.repos["acme/shop"], look)
    finally:
        server.stop()
