"""The bot from end to end: real git behind a real server, and each forge's adapter against its double."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from codemods.bot.look import Looker
from codemods.bot.policy import Policy
from codemods.bot.visit import Visit
from codemods.forge.protocol import State
from tests.bot.git_server import GitServer
from tests.bot.shop import DANGLING, unclosed
from tests.forges.house import Repo
from tests.forges.worlds import TOKEN, WORLDS, World


@dataclass
class Site:
    """A repository on a forge, and the bot that visits it."""

    world: World
    repo: Repo
    look: Looker

    def visit(self, **policy: object) -> list[str]:
        """What one run does, in words."""
        visit = Visit(self.world.forge, self.world.id(self.repo), Policy(**policy), self.look, sleep=lambda _: None)  # type: ignore[arg-type]
        return sorted(row.what for row in visit.run())

    def states(self) -> list[tuple[str, str]]:
        """The pull requests, oldest first: the rule and the state."""
        pulls = sorted(self.world.listed(self.repo), key=lambda pull: pull.number)
        return [(pull.title.split()[0], pull.state.value) for pull in pulls]


@contextmanager
def _served(name: str, tmp_path: Path, look: Looker) -> Iterator[Site]:
    root = tmp_path / "served"
    root.mkdir()
    served = GitServer(root, TOKEN)
    try:
        with WORLDS[name](root) as world:
            served.username = world.forge.git_login().username
            world.server.clone_url = lambda repo: f"{served.url}/{repo.path}.git"  # type: ignore[method-assign]
            repo = world.house.create("acme/shop")
            repo.write("main", {"app/a.py": unclosed("one"), "app/b.py": unclosed("two"), "beat.py": DANGLING})
            yield Site(world, repo, look)
    finally:
        served.stop()


@pytest.fixture(params=sorted(WORLDS))
def site(request: pytest.FixtureRequest, tmp_path: Path, look: Looker) -> Iterator[Site]:
    with _served(request.param, tmp_path, look) as site:
        yield site


@pytest.fixture
def on_github(tmp_path: Path, look: Looker) -> Iterator[Site]:
    with _served("github", tmp_path, look) as site:
        yield site


def test_what_people_do_between_the_runs(site: Site) -> None:
    assert site.visit(labels=("bot",)) == ["opened", "opened"]
    assert site.states() == [("LM201", "open"), ("LM301", "open")]
    sessions, tasks = sorted(site.world.listed(site.repo), key=lambda pull: pull.number)
    assert "async with" in site.repo.read(sessions.branch, "app/a.py")
    assert site.visit(labels=("bot",)) == ["left", "left"]

    site.repo.write("main", {"app/c.py": unclosed("three")})
    assert site.visit() == ["left", "updated"]
    assert "async with" in site.repo.read(sessions.branch, "app/c.py")

    theirs = site.repo.write(sessions.branch, {"app/a.py": "print('mine')\n"}, "by a person")
    site.repo.write("main", {"app/d.py": unclosed("four")})
    assert site.visit() == ["commented", "left"]
    assert site.visit() == ["left", "left"]
    assert site.repo.heads()[sessions.branch] == theirs
    assert len(list(site.world.forge.comments(site.world.id(site.repo), sessions.number))) == 1

    site.world.house.merge(site.repo, tasks.number)
    site.world.forge.close_pull_request(site.world.id(site.repo), sessions.number)
    site.visit()
    assert site.states() == [("LM201", "closed"), ("LM301", "merged")]
    assert tasks.branch not in site.repo.heads()
    assert site.repo.heads()[sessions.branch] == theirs


def test_without_the_right_to_push_it_works_in_a_fork(site: Site) -> None:
    site.repo.writers = {"somebody"}
    assert site.visit() == ["opened", "opened"]
    assert {pull.head.path for pull in site.world.listed(site.repo)} == {"bot/shop"}
    assert site.visit() == ["left", "left"]
    assert list(site.repo.heads()) == ["main"]


EVERYWHERE = ("401", "403 with Retry-After", "429", "primary limit", "502 before", "502 after", "reset before")
FAULTS = [(operation, fault) for operation in ("repository", "list", "open") for fault in EVERYWHERE]
FAULTS += [("open", "reset after"), ("open", "422 abuse")]


@pytest.mark.parametrize(("operation", "fault"), FAULTS)
def test_a_fault_ends_with_one_pull_request_and_no_more(on_github: Site, operation: str, fault: str) -> None:
    on_github.repo.write("main", {"app/b.py": None, "beat.py": None})
    on_github.world.go_wrong(fault, operation)
    on_github.visit()
    on_github.visit()
    assert on_github.states() == [("LM201", "open")]
    (pull,) = on_github.world.listed(on_github.repo)
    assert sorted(on_github.repo.heads()) == [pull.branch, "main"]
    assert on_github.visit() == ["left"]


def test_a_stale_list_makes_no_second_pull_request(site: Site) -> None:
    site.visit()
    before = site.states()
    for _ in range(3):
        site.world.go_wrong("stale", "list")
    site.visit()
    assert site.states() == before
    assert [pull.state for pull in site.world.listed(site.repo)] == [State.OPEN, State.OPEN]


def test_a_repository_that_was_renamed_is_worked_on_under_its_new_name(site: Site) -> None:
    old = site.world.id(site.repo)
    site.world.house.rename(site.repo, "acme/store")
    site.repo.bare = site.repo.bare.rename(site.repo.bare.with_name("store.git"))
    rows = Visit(site.world.forge, old, Policy(), site.look, sleep=lambda _: None).run()
    assert sorted(row.what for row in rows) == ["opened", "opened"]
    assert site.states() == [("LM201", "open"), ("LM301", "open")]


def test_github_makes_the_commits_where_it_can(on_github: Site) -> None:
    assert on_github.visit(api_commits=True) == ["opened", "opened"]
    assert on_github.world.sent("commit") == 2
    for pull in on_github.world.listed(on_github.repo):
        assert on_github.repo.git("log", "-1", "--format=%cn", pull.head_sha) == "somebody", "not by git"
    assert on_github.visit(api_commits=True) == ["left", "left"]


def test_a_commit_whose_answer_is_lost_is_not_made_twice(on_github: Site) -> None:
    on_github.repo.write("main", {"app/b.py": None, "beat.py": None})
    on_github.world.go_wrong("reset after", "commit")
    on_github.visit(api_commits=True)
    on_github.visit(api_commits=True)
    (pull,) = on_github.world.listed(on_github.repo)
    assert on_github.repo.git("rev-list", "--count", f"main..{pull.branch}") == "1"
