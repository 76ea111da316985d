"""Every fault, once, at every request of the bot that writes, on every forge: no duplicate, nothing lost.

A run meets the fault; where it failed, a second one, on a forge that is well again, brings things to their end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from codemods.bot.look import Looker
from codemods.bot.marker import read
from codemods.bot.policy import Policy
from codemods.bot.visit import Visit
from tests.bot.forge_memory import table
from tests.bot.git_server import GitServer
from tests.bot.shop import unclosed
from tests.bot.sites import Site, served
from tests.forges.house import House, Pull
from tests.forges.memory import MemoryForge
from tests.forges.worlds import FAULTS, SERVED, TOKEN, house_in

MAIN = {"a.py": unclosed("one")}


@pytest.fixture(scope="session")
def opened(tmp_path_factory: pytest.TempPathFactory, look: Looker) -> House:
    """A house with one pull request of the bot, to be copied."""
    house = house_in(tmp_path_factory.mktemp("opened"))
    house.create("acme/shop", MAIN)
    server = GitServer(house.root, TOKEN)
    try:
        forge = MemoryForge(house, "example.org", TOKEN, lambda repo: f"{server.url}/{repo.path}.git")
        visit = Visit(forge, forge.id("acme/shop"), Policy(labels=("bot",)), look)
        assert [row.what for row in visit.run()] == ["opened"]
    finally:
        server.stop()
    return house


@dataclass(frozen=True)
class Story:
    """``before`` is what people do, ``what`` is what the bot does then, ``after`` is how it has to be in the end."""

    what: str
    before: Callable[[Site], object]
    after: Callable[[Site, Pull], object]


def _new_finding(site: Site) -> None:
    site.repo.write("main", {"b.py": unclosed("two")})


def _nothing_left(site: Site) -> None:
    site.repo.write("main", {"a.py": "print(1)\n"})


def _a_person_works_on_it(site: Site) -> None:
    site.repo.write(site.repo.pulls[1].branch, {"a.py": "print('mine')\n"})
    _new_finding(site)


def _is_up_to_date(site: Site, pull: Pull, rows: int = 1) -> None:
    mark = read(pull.body)
    assert mark is not None
    assert mark.head == pull.sha == site.repo.heads()[pull.branch]
    assert (pull.state, len(table(pull.body))) == ("open", rows)
    assert sorted(site.repo.heads()) == [pull.branch, "main"]


def _is_complete(site: Site, pull: Pull) -> None:
    _is_up_to_date(site, pull)
    assert pull.labels == ["bot"], "also where the answer was lost"


def _is_taken_back(site: Site, pull: Pull) -> None:
    assert (pull.state, pull.body.count("Closed by the bot")) == ("closed", 1)
    assert list(site.repo.heads()) == ["main"]


def _is_commented_once(site: Site, pull: Pull) -> None:
    assert [remark.author for remark in pull.remarks] == ["bot"]
    assert "print('mine')" in site.repo.read(pull.branch, "a.py")


STORIES = {
    "open": Story("opened", lambda site: None, _is_complete),
    "label": Story("opened", lambda site: None, _is_up_to_date),
    "update": Story("updated", _new_finding, lambda site, pull: _is_up_to_date(site, pull, 2)),
    "comment": Story("commented", _a_person_works_on_it, _is_commented_once),
    "close": Story("closed", _nothing_left, _is_taken_back),
}
TABLE = [
    (name, operation, fault)
    for name in sorted(SERVED)
    for operation in STORIES
    for fault in sorted(FAULTS[name])
    if fault != "stale"
]


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path: Path, look: Looker) -> Iterator[Site]:
    name, operation = request.param
    if operation in ("open", "label"):
        house = house_in(tmp_path / "served")
        house.create("acme/shop", MAIN)
    else:
        opened: House = request.getfixturevalue("opened")
        house = opened.copy(tmp_path / "served")
    with served(name, house, look) as site:
        yield site


@pytest.mark.parametrize(
    ("site", "operation", "fault"),
    [
        pytest.param((name, operation), operation, fault, id=f"{name}-{operation}-{fault}")
        for name, operation, fault in TABLE
    ],
    indirect=["site"],
)
def test_a_fault_at_a_write(site: Site, operation: str, fault: str) -> None:
    story = STORIES[operation]
    story.before(site)
    site.world.go_wrong(fault, operation)
    (row,) = site.rows(labels=("bot",))
    assert not site.world.server.faults, "the fault was met"
    assert TOKEN not in str(row)
    assert "Traceback" not in row.why
    if operation == "label":
        assert row.what == "opened"
        assert ("labels: " in row.why) == (site.repo.pulls[1].labels == []), "what is missing is told"
    elif row.what == "failed":
        assert row.why
        (row,) = site.rows(labels=("bot",))
        assert row.what in (story.what, "left", "tidied"), "a run on a forge that is well settles it"
    else:
        assert row.what == story.what
    (pull,) = site.world.house.pulls(site.repo)
    story.after(site, pull)
