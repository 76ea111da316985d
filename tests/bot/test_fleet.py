"""Fifty repositories, two of them broken; and what a run over many remembers."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from codemods.bot.deliver import Row
from codemods.bot.fleet import Fleet, HeldError, Target
from codemods.bot.journal import Journal
from codemods.bot.policy import Policy
from codemods.forge.protocol import State, Unavailable
from tests.bot.forge_memory import Fault, ServedForge
from tests.bot.shop import unclosed


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def fleet(
    forge: ServedForge, journal: Journal, *, policy: Policy | None = None, first: int = 0, jobs: int = 2
) -> Fleet:
    wanted = policy or Policy(per_hour=1000)
    targets = [Target(forge.id(path), wanted) for path in forge.house.repos]
    return Fleet(
        targets, lambda target: forge, journal, jobs=jobs, first=first, seconds=300, sleep=lambda seconds: None
    )


def run(fleet: Fleet) -> Counter[str]:
    return Counter(row.what for rows in fleet.run() for row in rows)


def grow(forge: ServedForge, count: int, *, every: int = 1) -> None:
    """So many repositories, of which each ``every``-th has a bug."""
    for number in range(count):
        files = {"a.py": unclosed("one")} if number % every == 0 else {"a.py": "print(1)\n"}
        forge.add(f"ann/r{number:02}", files)


def test_fifty_repositories_two_of_them_broken(forge: ServedForge, tmp_path: Path) -> None:
    grow(forge, 48, every=8)
    forge.add("ann/no-config", {"pyproject.toml": "[tool.loopmend]\nselect = 1\n", "a.py": unclosed("one")})
    forge.add("ann/no-git", {"a.py": unclosed("one")})
    (forge.repo("ann/no-git").bare / "HEAD").write_text("nonsense\n")
    journal = Journal(tmp_path / "journal")
    rows = [row for rows in fleet(forge, journal).run() for row in rows]
    assert Counter(row.what for row in rows) == {"clean": 42, "opened": 6, "failed": 2}
    why = {row.repository.rpartition("/")[2]: row.why for row in rows if row.what == "failed"}
    assert "expected a list of strings" in why["no-config"]
    assert "git clone" in why["no-git"]

    again = Journal(tmp_path / "journal")
    assert run(fleet(forge, again)) == {"failed": 2}, "what is done is not done again"


def test_an_interrupted_run_goes_on_where_it_was(forge: ServedForge, tmp_path: Path) -> None:
    grow(forge, 4)
    path = tmp_path / "journal"
    going = fleet(forge, Journal(path), jobs=1).run()
    assert [row.what for row in next(going)] == ["opened"]
    going.close()
    with path.open("a") as file:
        file.write('{"visited": "torn')
    done = len(Journal(path).visited)
    assert done in (1, 2)
    assert run(fleet(forge, Journal(path))) == {"opened": 4 - done}
    assert [len(repo.pulls) for repo in forge.house.repos.values()] == [1, 1, 1, 1]
    assert run(fleet(forge, Journal(path))) == {"left": 4}, "all are done, so a new round starts"


def test_the_others_wait_until_the_first_few_are_green(forge: ServedForge, tmp_path: Path) -> None:
    forge.add("ann/clean", {"a.py": "print(1)\n"})
    grow(forge, 4)
    path = tmp_path / "journal"
    assert run(fleet(forge, Journal(path), first=2)) == {"clean": 1, "opened": 2}

    forge.check("ann/r00", "pending")
    with pytest.raises(HeldError, match=r"wait for the checks of .*/ann/r00/pull/1"):
        run(fleet(forge, Journal(path), first=2))
    forge.check("ann/r00", "failed")
    with pytest.raises(HeldError, match=r"these failed or were closed: .*/ann/r00/pull/1"):
        run(fleet(forge, Journal(path), first=2))
    forge.set_state("ann/r01", 1, State.CLOSED)
    with pytest.raises(HeldError, match=r"r00/pull/1, .*r01/pull/1"):
        run(fleet(forge, Journal(path), first=2))

    forge.check("ann/r00", "passed")
    forge.set_state("ann/r01", 1, State.MERGED)
    assert run(fleet(forge, Journal(path), first=2)) == {"opened": 2}


def test_the_limit_by_the_hour_holds_for_all_of_them_and_across_runs(forge: ServedForge, tmp_path: Path) -> None:
    grow(forge, 5)
    clock, path, policy = Clock(), tmp_path / "journal", Policy(per_hour=2)
    assert run(fleet(forge, Journal(path, clock), policy=policy)) == {"opened": 2, "waiting": 3}
    assert run(fleet(forge, Journal(path, clock), policy=policy)) == {"waiting": 3}
    clock.now += 3601
    assert run(fleet(forge, Journal(path, clock), policy=policy)) == {"opened": 2, "waiting": 1}


def test_a_forge_that_fails_and_a_bug_of_ours_are_rows(forge: ServedForge) -> None:
    grow(forge, 3)
    forge.faults.append(Fault("repository", Unavailable("502")))

    def connect(target: Target) -> ServedForge:
        if target.id.path == "ann/r01":
            raise ZeroDivisionError("a bug")
        return forge

    made = fleet(forge, Journal(), jobs=1)
    made.connect = connect
    rows: list[Row] = [row for rows in made.run() for row in rows]
    assert [(row.what, row.why) for row in rows] == [
        ("failed", "502"),
        ("failed", "the bot crashed: ZeroDivisionError: a bug"),
        ("opened", "found"),
    ]
