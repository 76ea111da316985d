"""Every fault once, before and after it took effect: no duplicate, nothing lost, once a later run has settled it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from codemods.bot.deliver import Row
from codemods.bot.marker import read
from codemods.bot.policy import Policy
from codemods.bot.visit import Visit
from codemods.forge.protocol import Denied, Exists, ForgeError, RepositoryId, State, Unavailable, Uncertain
from tests.bot.forge_memory import Fault, ServedForge
from tests.bot.shop import unclosed

LOST = Uncertain("the answer was lost")


@dataclass
class Shop:
    forge: ServedForge
    id: RepositoryId
    slept: list[float]

    def visit(self) -> list[Row]:
        return Visit(self.forge, self.id, Policy(), self.forge.look, sleep=self.slept.append).run()

    def whats(self) -> list[str]:
        return [row.what for row in self.visit()]


@pytest.fixture
def shop(forge: ServedForge) -> Shop:
    return Shop(forge, forge.add("ann/shop", {"a.py": unclosed("one")}), [])


def settled(shop: Shop) -> None:
    """One open pull request, whose mark tells the truth, and no branch besides its own."""
    (pull,) = shop.forge.pulls("ann/shop", State.OPEN)
    assert sorted(shop.forge.branches("ann/shop")) == [pull.branch, "main"]
    mark = read(pull.body)
    assert mark is not None
    assert mark.head == pull.head_sha == shop.forge.head("ann/shop", pull.branch)


def of(method: str, *errors: tuple[ForgeError, bool]) -> list[object]:
    names = [f"{method} {type(error).__name__}{' after it took effect' * took}" for error, took in errors]
    return [
        pytest.param(Fault(method, error, took), id=name) for (error, took), name in zip(errors, names, strict=True)
    ]


USUAL = ((LOST, False), (LOST, True), (Unavailable("502", 7), False), (Denied("403"), False))


@pytest.mark.parametrize("fault", of("open_pull_request", *USUAL, (Exists("422"), False), (Exists("422"), True)))
def test_opening(shop: Shop, fault: Fault) -> None:
    shop.forge.faults.append(fault)
    first = shop.whats()
    assert first == (["failed"] if isinstance(fault.error, Denied) else ["opened"])
    if isinstance(fault.error, Unavailable):
        assert shop.slept == [7]
    if isinstance(fault.error, Denied):
        assert sorted(shop.forge.branches("ann/shop")) == ["main"], "nothing is left behind"
        assert shop.whats() == ["opened"]
    settled(shop)
    assert len(shop.forge.repo("ann/shop").pulls) == 1
    assert shop.whats() == ["left"]


def test_a_look_that_lags_behind_makes_no_second_one(shop: Shop) -> None:
    """The answer of the opening was lost, and the list does not show it yet."""
    shop.forge.faults.append(Fault("open_pull_request", LOST, took_effect=True))
    shop.forge.stale = 2
    assert shop.whats() == ["opened"]
    settled(shop)
    assert len(shop.forge.repo("ann/shop").pulls) == 1


def test_a_forge_that_is_away_for_long_is_left_alone(shop: Shop) -> None:
    shop.forge.faults.append(Fault("open_pull_request", Unavailable("limit", 3600)))
    assert shop.whats() == ["failed"]
    assert shop.slept == []
    assert shop.whats() == ["opened"], "the branch that was left behind is taken up"
    settled(shop)


@pytest.mark.parametrize("fault", of("update_pull_request", *USUAL))
def test_updating(shop: Shop, fault: Fault) -> None:
    shop.visit()
    shop.forge.commit_files("ann/shop", "main", {"b.py": unclosed("two")})
    shop.forge.faults.append(fault)
    assert shop.whats() == (["failed"] if isinstance(fault.error, Denied) else ["updated"])
    if isinstance(fault.error, Denied):
        assert shop.whats() == ["updated"], "the branch was pushed, and it is known to be the bot's"
    settled(shop)
    assert shop.whats() == ["left"]


@pytest.mark.parametrize("fault", of("comment", *USUAL))
def test_commenting(shop: Shop, fault: Fault) -> None:
    shop.visit()
    (pull,) = shop.forge.pulls("ann/shop")
    shop.forge.commit_files("ann/shop", pull.branch, {"a.py": "print(1)\n"})
    shop.forge.commit_files("ann/shop", "main", {"b.py": unclosed("two")})
    shop.forge.faults.append(fault)
    not_said = isinstance(fault.error, Denied) or (fault.error is LOST and not fault.took_effect)
    assert shop.whats() == (["failed"] if not_said else ["commented"])
    assert shop.whats() == (["commented"] if not_said else ["left"]), "no forge takes two comments for one"
    assert len(shop.forge.repo("ann/shop").pulls[1].remarks) == 1


@pytest.mark.parametrize("fault", [*of("close_pull_request", *USUAL), *of("update_pull_request", *USUAL)])
def test_closing(shop: Shop, fault: Fault) -> None:
    shop.visit()
    shop.forge.commit_files("ann/shop", "main", {"a.py": "print(1)\n"})
    shop.forge.faults.append(fault)
    assert shop.whats() == (["failed"] if isinstance(fault.error, Denied) else ["closed"])
    if isinstance(fault.error, Denied):
        assert shop.whats() == ["closed"]
    assert sorted(shop.forge.branches("ann/shop")) == ["main"]
    (pull,) = shop.forge.pulls("ann/shop")
    assert (pull.state, pull.body.count("Closed by the bot")) == (State.CLOSED, 1)


@pytest.mark.parametrize("broken", ["POST /ann/shop.git/git-receive-pack", "GET /ann/shop.git/info/refs?service=git-r"])
def test_a_push_whose_answer_is_lost(shop: Shop, broken: str) -> None:
    shop.forge.server.broken[broken] = 1
    assert shop.whats() == ["opened"]
    settled(shop)


def interfering(shop: Shop, method: str, act: Callable[[], object]) -> None:
    """Let somebody do something just before the first call of a method."""

    def before(called: str) -> None:
        if called == method:
            shop.forge.before = lambda _: None
            act()

    shop.forge.before = before


def test_a_push_of_a_person_in_the_last_moment_wins(shop: Shop) -> None:
    shop.visit()
    (pull,) = shop.forge.pulls("ann/shop")
    shop.forge.commit_files("ann/shop", "main", {"b.py": unclosed("two")})
    theirs: list[str] = []
    push = shop.forge.look

    def look(wishes):  # type: ignore[no-untyped-def]
        if wishes.fix and not theirs:
            theirs.append(shop.forge.commit_files("ann/shop", pull.branch, {"a.py": "print('mine')\n"}))
        return push(wishes)

    shop.forge.look = look
    rows = shop.visit()
    assert [(row.what, row.why) for row in rows] == [("skipped", "somebody has pushed to the branch just now")]
    assert shop.forge.head("ann/shop", pull.branch) == theirs[0]
    assert shop.whats() == ["commented"]


def test_the_bot_of_somebody_else_at_the_same_time(shop: Shop) -> None:
    """Two runs at once: what the other one opened in between is found and taken."""
    other = Shop(shop.forge, shop.id, [])
    interfering(shop, "open_pull_request", lambda: other.visit())
    shop.visit()
    assert len(shop.forge.repo("ann/shop").pulls) == 1
    assert shop.whats() in (["left"], ["updated"])
    settled(shop)
