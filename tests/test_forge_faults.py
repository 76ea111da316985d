"""What goes wrong on the way to a forge, once each: what creates is sent once, what reads is asked again."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest

from codemods.forge.protocol import (
    Denied,
    ForgeError,
    NewPullRequest,
    NotFound,
    RepositoryId,
    Unavailable,
    Uncertain,
)
from tests.forges.house import Repo
from tests.forges.server import Fault, Reply, Request
from tests.forges.worlds import SERVED, WORLDS, Served, World, house_in


@pytest.fixture(params=sorted(WORLDS))
def any_world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with WORLDS[request.param](house_in(tmp_path)) as world:
        yield world


@pytest.fixture(params=sorted(SERVED))
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    with SERVED[request.param](house_in(tmp_path)) as world:
        yield world


@pytest.fixture
def repo(world: Served) -> Repo:
    return world.house.create("acme/app")


# Lists that change while they are read


def test_one_that_is_opened_between_two_pages_makes_no_double(world: Served, repo: Repo) -> None:
    for number in range(5):
        world.open(repo, f"loopmend/{number}")
    world.server.page_size = 2
    world.server.between_pages = [lambda: _opened_by_hand(world, repo, 5), lambda: _opened_by_hand(world, repo, 6)]
    numbers = [each.number for each in world.listed(repo)]
    assert len(numbers) == len(set(numbers))
    assert {1, 2, 3, 4, 5} <= set(numbers), "those that were there when it began"


def _opened_by_hand(world: Served, repo: Repo, number: int) -> None:
    repo.write(f"loopmend/{number}", {f"{number}.py": "new = 1\n"})
    first = next(iter(repo.pulls.values()))
    copy = type(first)(0, "T", "B", f"loopmend/{number}", repo, "main", "bot")
    world.house.open(repo, copy)


def test_a_comment_that_is_deleted_between_two_pages_takes_no_other_with_it(world: Served, repo: Repo) -> None:
    number = world.open(repo).number
    remarks = repo.pulls[number].remarks
    for body in "abcdef":
        world.house.remark(repo, number, "ann", body)
    world.server.page_size = 2
    world.server.between_pages = [lambda: remarks.pop(0)]
    said = [each.body for each in world.forge.comments(world.id(repo), number)]
    assert [body for body in said if body != "a"] == list("bcdef")


def test_pages_that_lead_in_a_circle_end(world: Served, repo: Repo) -> None:
    for number in range(4):
        world.open(repo, f"loopmend/{number}")
    world.server.page_size = 2
    handle = world.server.handle

    def circle(request: Request) -> Reply | None:
        reply = handle(request)
        assert reply is not None
        query = urlencode({**request.query, "page": "2"})
        return replace(reply, headers={"Link": f'<{world.url}{request.path}?{query}>; rel="next"'})

    world.server.handle = circle  # type: ignore[method-assign]
    with pytest.raises(ForgeError, match="circle"):
        world.listed(repo)


# What goes wrong, once


CREATE: dict[str, Callable[[World, Repo, NewPullRequest, int], object]] = {
    "open": lambda world, repo, new, number: world.forge.open_pull_request(world.id(repo), new),
    "comment": lambda world, repo, new, number: world.forge.comment(world.id(repo), number, "said"),
}
TOLD = {
    "401": Denied,
    "primary limit": Unavailable,
    "429": Unavailable,
    "502 before": Uncertain,
    "502 after": Uncertain,
    "reset before": Uncertain,
    "reset after": Uncertain,
}


@pytest.mark.parametrize("fault", sorted(TOLD))
@pytest.mark.parametrize("operation", ["open", "comment"])
def test_what_creates_is_sent_once_whatever_happens(any_world: World, fault: str, operation: str) -> None:
    world, create = any_world, CREATE[operation]
    repo = world.house.create("acme/app")
    wanted = world.propose(repo, "loopmend/two")
    number = world.open(repo).number
    before = world.sent(operation)
    world.go_wrong(fault, operation)
    with pytest.raises(TOLD[fault]):
        create(world, repo, wanted, number)
    assert world.sent(operation) == before + 1
    assert world.naps == []
    made = len(repo.pulls) - 1 if operation == "open" else len(repo.pulls[number].remarks)
    assert made == (1 if fault.endswith("after") else 0)


def test_a_caller_who_looks_after_an_uncertain_answer_sees_what_was_made(world: Served, repo: Repo) -> None:
    world.go_wrong("502 after", "open")
    with pytest.raises(Uncertain):
        world.open(repo)
    assert [each.branch for each in world.listed(repo)] == ["loopmend/one"]


@pytest.mark.parametrize("fault", ["429", "502 before", "reset before"])
@pytest.mark.parametrize("operation", ["repository", "list"])
def test_reads_are_tried_again(world: Served, repo: Repo, fault: str, operation: str) -> None:
    world.open(repo)
    before = world.sent(operation)
    world.go_wrong(fault, operation)
    if operation == "list":
        assert len(world.listed(repo)) == 1
    else:
        assert world.forge.repository(world.id(repo)).default_branch == "main"
    assert world.sent(operation) == before + 2
    assert world.naps == [7.0 if fault == "429" else 1.0]


def test_a_read_gives_up_in_the_end(world: Served, repo: Repo) -> None:
    for _ in range(4):
        world.go_wrong("502 before", "repository")
    with pytest.raises(Unavailable):
        world.forge.repository(world.id(repo))
    assert world.naps == [1.0, 2.0, 4.0]


@pytest.mark.parametrize("operation", ["repository", "open"])
def test_a_limit_that_lasts_is_told_and_not_slept_through(world: Served, repo: Repo, operation: str) -> None:
    world.go_wrong("primary limit", operation)
    with pytest.raises(Unavailable) as told:
        world.open(repo) if operation == "open" else world.forge.repository(world.id(repo))
    assert told.value.retry_after is not None
    assert told.value.retry_after > 3600
    assert world.naps == []


@pytest.mark.parametrize("fault", ["429", "502 before", "502 after", "reset before", "reset after"])
@pytest.mark.parametrize("operation", ["update", "delete"])
def test_writes_that_may_be_repeated_are(world: Served, repo: Repo, fault: str, operation: str) -> None:
    number = world.open(repo).number
    world.go_wrong(fault, operation)
    if operation == "update":
        assert world.forge.update_pull_request(world.id(repo), number, body="New").body == "New"
        assert repo.pulls[number].body == "New"
    else:
        world.forge.delete_branch(world.id(repo), "loopmend/one")
        assert list(repo.heads()) == ["main"]
    assert not world.server.faults, "the fault was met"


def test_an_update_that_is_never_answered_is_uncertain(world: Served, repo: Repo) -> None:
    number = world.open(repo).number
    for _ in range(4):
        world.go_wrong("reset after", "update")
    with pytest.raises(Uncertain):
        world.forge.update_pull_request(world.id(repo), number, body="New")


def test_a_stale_list_is_what_the_forge_says(world: Served, repo: Repo) -> None:
    """The adapter cannot know; the plan has to live with it, so that the double can show it."""
    world.open(repo)
    world.go_wrong("stale", "list")
    assert world.listed(repo) == []
    assert len(world.listed(repo)) == 1


def test_a_forge_of_another_kind_is_suspected(world: Served, repo: Repo) -> None:
    world.server.faults.append(Fault(*world.operations["repository"], reply=Reply(404, "<html>Not found</html>")))
    with pytest.raises(NotFound, match="is --forge right"):
        world.forge.repository(world.id(repo))


def test_a_forge_that_is_not_there(world: Served) -> None:
    """Nothing listens: the request was never sent, so nothing is uncertain."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{free.getsockname()[1]}"
    nobody = world.adapter(host)
    with pytest.raises(Unavailable, match=r"could not connect: 127\.0\.0\.1 does not answer"):
        nobody.comment(RepositoryId(host, "acme/app"), 1, "said")
