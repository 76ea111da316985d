"""Answers that are not as the API says, whoever gave them: an error with words, no crash, no "there is none"."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from codemods.forge.protocol import ForgeError, RepositoryId, Uncertain
from tests.forges.server import Reply, Request
from tests.forges.worlds import SERVED, TOKEN, Served, house_in

SHAPES: dict[str, object] = {
    "the page of a proxy": "<html>",
    "a list": [],
    "an object": {},
    "a list of objects": [{}],
    "a list of nothing": [None],
    "a text": '"x"',
    "cut off": '{"number": 1, "id": 2, "head"',
    "nothing": None,
}
CALLS: dict[str, Callable[[Served, RepositoryId, int], object]] = {
    "login": lambda world, id, number: world.forge.login(),
    "repository": lambda world, id, number: world.forge.repository(id),
    "repositories": lambda world, id, number: list(world.forge.repositories("acme")),
    "fork": lambda world, id, number: world.forge.fork(id),
    "pull requests": lambda world, id, number: list(world.forge.pull_requests(id, branch_prefix="loopmend/")),
    "update": lambda world, id, number: world.forge.update_pull_request(id, number, title="T", body="B"),
    "close": lambda world, id, number: world.forge.close_pull_request(id, number),
    "comments": lambda world, id, number: list(world.forge.comments(id, number)),
    "checks": lambda world, id, number: world.forge.checks(id, "0" * 40),
    "delete": lambda world, id, number: world.forge.delete_branch(id, "loopmend/two"),
}
LISTS = ("repositories", "pull requests", "comments")


@pytest.fixture(params=sorted(SERVED))
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    with SERVED[request.param](house_in(tmp_path)) as world:
        yield world


@contextmanager
def spoilt(world: Served, which: int, shape: object) -> Iterator[Callable[[], bool]]:
    """The answer ``which``, counted from now, has another shape, after it took effect; whether it came to that."""
    handle, first = world.server.handle, len(world.server.seen)

    def spoil(request: Request) -> Reply | None:
        turn = len(world.server.seen) - first
        reply = handle(request)
        return replace(reply, body=shape) if reply and turn == which else reply

    world.server.handle = spoil  # type: ignore[method-assign]
    yield lambda: len(world.server.seen) - first > which
    world.server.handle = handle  # type: ignore[method-assign]


def outcome(act: Callable[[], object]) -> object:
    """What came of it, be it the forge's fault."""
    try:
        return act()
    except ForgeError as error:
        return error


@pytest.mark.parametrize("call", sorted(CALLS))
def test_no_shape_is_a_crash_and_none_is_an_empty_list(world: Served, call: str) -> None:
    reached = 0
    for number, (what, shape) in enumerate(SHAPES.items()):
        for which in range(2):
            repo = world.house.create(f"acme/app-{number}-{which}")
            pull = world.open(repo).number
            world.house.remark(repo, pull, "ann", "said")
            repo.write("loopmend/two", {"b.py": "new = 1\n"})
            world.forge = world.adapter(world.forge.host)  # it knows nothing yet
            with spoilt(world, which, shape) as was_reached:
                got = outcome(lambda: CALLS[call](world, world.id(repo), pull))  # noqa: B023
            if isinstance(got, ForgeError):
                assert len(str(got)) > 20
                assert TOKEN not in str(got)
            elif call in LISTS and what != "a list":
                assert got != [], f"{what} was taken for no items"
            reached += was_reached()
    assert reached >= len(SHAPES), "some answer of each shape was given"


@pytest.mark.parametrize("what", sorted(SHAPES))
def test_a_pull_request_that_was_opened_with_an_odd_answer_is_uncertain(world: Served, what: str) -> None:
    repo = world.house.create("acme/app")
    wanted = world.propose(repo)
    with spoilt(world, 0, SHAPES[what]), pytest.raises(Uncertain):
        world.forge.open_pull_request(world.id(repo), wanted)
    assert [each.number for each in world.listed(repo)] == [1]


@pytest.mark.parametrize("missing", ["user", "author", "labels", "title", "number", "iid", "head", "draft", "sha"])
def test_a_pull_request_without_one_of_its_parts_is_an_error_with_words(world: Served, missing: str) -> None:
    repo = world.house.create("acme/app")
    world.open(repo)
    handle = world.server.handle

    def without(request: Request) -> Reply | None:
        reply = handle(request)
        assert reply is not None
        return replace(reply, body=[{key: each[key] for key in each if key != missing} for each in reply.body])

    world.server.handle = without  # type: ignore[method-assign]
    got = outcome(lambda: [each.number for each in world.listed(repo)])
    if got != [1]:  # the part is needed on this forge
        assert isinstance(got, ForgeError)
        assert "is there a proxy in between?" in str(got)
