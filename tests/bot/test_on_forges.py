"""The bot from end to end: real git behind a real server, and each forge's adapter against its double."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from codemods.bot.look import Looker
from codemods.bot.overview import close_all
from codemods.bot.policy import Policy
from codemods.bot.visit import Visit
from codemods.forge.protocol import State
from tests.bot.shop import DANGLING, unclosed
from tests.bot.sites import Site, served
from tests.forges.house import House, Pull
from tests.forges.server import Reply, Request
from tests.forges.worlds import FAULTS, SERVED, house_in

FILES = {"app/a.py": unclosed("one"), "app/b.py": unclosed("two"), "beat.py": DANGLING}


def _house(root: Path) -> House:
    house = house_in(root)
    house.create("acme/shop", FILES)
    return house


@pytest.fixture(params=sorted(SERVED))
def site(request: pytest.FixtureRequest, tmp_path: Path, look: Looker) -> Iterator[Site]:
    with served(request.param, _house(tmp_path), look) as site:
        yield site


@pytest.fixture
def on_github(tmp_path: Path, look: Looker) -> Iterator[Site]:
    with served("github", _house(tmp_path), look) as site:
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


READS = [(operation, fault) for operation in ("repository", "list") for fault in FAULTS["github"] if fault != "stale"]


@pytest.mark.parametrize(("operation", "fault"), READS)
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


def test_a_default_branch_that_is_renamed_takes_its_pull_requests_along(site: Site) -> None:
    assert site.visit() == ["opened", "opened"]
    site.world.house.rename_default_branch(site.repo, "trunk")
    assert site.visit() == ["left", "left"]
    site.repo.write("trunk", {"app/c.py": unclosed("three")})
    assert site.visit() == ["left", "updated"]
    assert site.visit() == ["left", "left"]
    site.repo.write("trunk", {"app/a.py": None, "app/b.py": None, "app/c.py": None})
    assert site.visit() == ["closed", "left"]
    assert site.states() == [("LM201", "closed"), ("LM301", "open")]


def test_a_default_branch_that_is_renamed_during_the_run(site: Site) -> None:
    handle = site.world.server.handle

    def meanwhile(request: Request) -> Reply | None:
        if request.method == "POST" and site.repo.default_branch == "main":
            site.world.house.rename_default_branch(site.repo, "trunk")
        return handle(request)

    site.world.server.handle = meanwhile  # type: ignore[method-assign]
    rows = site.rows()
    assert [row.what for row in rows] == ["failed", "failed"]
    assert "branch" in rows[0].why
    assert site.visit() == ["opened", "opened"]
    assert {pull.base for pull in site.world.listed(site.repo)} == {"trunk"}
    assert len(site.repo.heads()) == 3


def test_an_archived_repository_during_the_run(site: Site) -> None:
    handle = site.world.server.handle

    def meanwhile(request: Request) -> Reply | None:
        site.repo.archived = site.repo.archived or request.method == "POST"
        return handle(request)

    site.world.server.handle = meanwhile  # type: ignore[method-assign]
    rows = site.rows()
    assert [row.what for row in rows] == ["failed", "failed"]
    assert "archived" in rows[0].why
    assert [(row.what, row.why) for row in site.rows()] == [("skipped", "it is archived")]
    assert site.states() == []


def test_a_protected_branch_is_asked_for_once_and_told(site: Site) -> None:
    (branch, _) = (row.where for row in site.rows())
    for pull in site.world.listed(site.repo):
        site.world.forge.close_pull_request(site.world.id(site.repo), pull.number)
    site.repo.git("update-ref", "-d", f"refs/heads/{branch}")
    site.repo.pulls.clear()
    site.repo.protect(branch)
    slept: list[float] = []
    (row, _) = Visit(site.world.forge, site.world.id(site.repo), Policy(), site.look, sleep=slept.append).run()
    assert (row.what, slept) == ("failed", [])
    assert row.why == f"the server does not take a push to {branch} (pre-receive hook declined)"
    assert [title for title, _ in site.states()] == ["LM301"]


def test_a_fork_that_was_deleted_gives_way_to_a_new_one(site: Site) -> None:
    site.repo.writers = {"somebody"}
    assert site.visit() == ["opened", "opened"]
    site.world.house.delete(site.world.house.repos["bot/shop"])
    assert site.visit() == ["closed", "closed", "opened", "opened"]
    assert site.states() == [("LM201", "closed"), ("LM301", "closed"), ("LM201", "open"), ("LM301", "open")]
    assert site.visit() == ["left", "left"]


def test_taking_back_what_came_out_of_a_deleted_fork(site: Site) -> None:
    site.repo.writers = {"somebody"}
    site.visit()
    site.world.house.delete(site.world.house.repos["bot/shop"])
    rows = close_all(site.world.forge, site.world.id(site.repo), Policy())
    assert [row.what for row in rows] == ["closed", "closed"]
    assert {state for _, state in site.states()} == {"closed"}


def test_pages_that_change_while_they_are_read_make_no_second_pull_request(site: Site) -> None:
    site.world.page_by(1)
    assert site.visit() == ["opened", "opened"]
    site.world.server.between_pages = [lambda: site.repo.write("feature/x", {"x.py": "x = 1\n"}) and _by_hand(site)]
    assert site.visit() == ["left", "left"]
    assert sorted(pull.title.split()[0] for pull in site.repo.pulls.values()) == ["LM201", "LM301", "Mine"]


def _by_hand(site: Site) -> None:
    site.world.house.open(site.repo, Pull(0, "Mine", "", "feature/x", site.repo, "main", "ann"))
