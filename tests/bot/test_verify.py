"""The project's own command before and after, and commits that the forge makes."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from codemods.bot.body import made_by_us
from codemods.bot.deliver import Row
from codemods.bot.policy import Policy
from codemods.bot.verify import Result, Verified, run
from codemods.bot.visit import Visit
from codemods.forge.protocol import FileChange, RepositoryId, State, Uncertain
from tests.bot.forge_memory import Fault, ServedForge
from tests.bot.shop import unclosed


def visit(forge: ServedForge, id: RepositoryId, **policy: object) -> list[Row]:
    return Visit(forge, id, Policy(**policy), forge.look, sleep=lambda seconds: None).run()  # type: ignore[arg-type]


@pytest.fixture
def shop(forge: ServedForge) -> RepositoryId:
    return forge.add("ann/shop", {"a.py": unclosed("one"), "data.txt": "in the checkout, though no look needs it\n"})


def test_both_results_are_in_the_description(forge: ServedForge, shop: RepositoryId) -> None:
    assert [row.what for row in visit(forge, shop, verify="grep -c 'async with' a.py; cat data.txt; exit 3")] == [
        "opened"
    ]
    body = forge.pulls("ann/shop")[0].body
    before, after = body.partition("Before: exit code 3")[2].split("After: exit code 3")
    assert "\n0\nin the checkout" in before
    assert "\n1\nin the checkout" in after


def test_worse_after_it_means_no_pull_request(forge: ServedForge, shop: RepositoryId) -> None:
    (row,) = visit(forge, shop, verify="! grep 'async with' a.py")
    assert (row.what, row.why.split(":")[0]) == ("skipped", "`! grep 'async with' a.py` is worse after it")
    assert sorted(forge.branches("ann/shop")) == ["main"]
    assert forge.pulls("ann/shop") == []


def test_worse_after_an_update_leaves_the_old_one(forge: ServedForge, shop: RepositoryId) -> None:
    visit(forge, shop)
    before = forge.branches("ann/shop")
    forge.commit_files("ann/shop", "main", {"b.py": unclosed("two")})
    assert [row.what for row in visit(forge, shop, verify="! grep 'async with' b.py")] == ["left"]
    assert {**before, "main": ""} == {**forge.branches("ann/shop"), "main": ""}


@pytest.mark.parametrize(
    ("before", "after", "worse"),
    [
        ((0, ""), (0, ""), False),
        ((0, ""), (1, ""), True),
        ((0, ""), (None, ""), True),
        ((1, ""), (None, ""), True),
        ((None, ""), (None, ""), False),
        ((None, ""), (1, ""), False),
        ((1, "== 2 failed, 7 passed in 3s =="), (1, "== 2 failed, 7 passed in 3s =="), False),
        ((1, "== 2 failed, 7 passed in 3s =="), (1, "== 2 failed, 6 passed, 1 error in 3s =="), True),
        ((1, "no counts"), (1, "== 1 failed =="), True),
    ],
)
def test_what_is_worse(before: tuple[int | None, str], after: tuple[int | None, str], worse: bool) -> None:
    assert Verified("cmd", Result(*before, 1.0), Result(*after, 1.0)).worse is worse


def test_a_command_that_does_not_end_is_ended_with_all_it_started(tmp_path: Path) -> None:
    result = run("sleep 600 & echo $! > child; echo started; sleep 600", tmp_path, 0.5)
    assert (result.code, result.output) == (None, "started\n")
    assert _is_gone(int((tmp_path / "child").read_text()))


def test_what_a_command_leaves_behind_is_ended_too(tmp_path: Path) -> None:
    assert run("sleep 600 & echo $! > child", tmp_path, 30).code == 0
    assert _is_gone(int((tmp_path / "child").read_text()))


def test_a_command_gets_no_secret_and_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "secret-secret")
    output = run("env", tmp_path, 30).output
    assert "secret-secret" not in output
    assert f"HOME={os.environ.get('HOME', '/root')}\n" not in output


def test_a_long_output_is_cut_in_the_middle(tmp_path: Path) -> None:
    output = run("echo first; seq 100000; echo last", tmp_path, 30).output
    assert output.startswith("first\n1\n")
    assert output.endswith("100000\nlast\n")
    assert "\n[...]\n" in output
    assert len(output) < 5000


def _is_gone(pid: int) -> bool:
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        if Path(f"/proc/{pid}/stat").exists() and " Z " in Path(f"/proc/{pid}/stat").read_text():
            return True
        time.sleep(0.02)
    return False


# -- commits through the API ------------------------------------------------------------------


class Twisting(ServedForge):
    """Puts something into the commits that it makes."""

    def commit(
        self, id: RepositoryId, *, branch: str, parent: str, message: str, changes: Sequence[FileChange]
    ) -> str | None:
        more = (*changes, FileChange("more.py", b"evil\n"))
        return super().commit(id, branch=branch, parent=parent, message=message, changes=more)


@pytest.fixture
def signing(forge: ServedForge) -> ServedForge:
    """A forge that makes commits itself, as GitHub does for an app."""
    forge.signs = True
    return forge


def author(forge: ServedForge, branch: str) -> str:
    return forge.repo("ann/shop").git("log", "-1", "--format=%cn", branch)


def test_the_forge_makes_the_commit_where_it_can(signing: ServedForge) -> None:
    id = signing.add("ann/shop", {"a.py": unclosed("one")})
    assert [row.what for row in visit(signing, id, api_commits=True)] == ["opened"]
    (pull,) = signing.pulls("ann/shop")
    assert author(signing, pull.branch) == "somebody"
    assert sorted(signing.branches("ann/shop")) == [pull.branch, "main"], "the branch to work on is gone"
    assert [row.what for row in visit(signing, id, api_commits=True)] == ["left"]
    signing.commit_files("ann/shop", "main", {"b.py": unclosed("two")})
    assert [row.what for row in visit(signing, id, api_commits=True)] == ["updated"]
    (pull,) = signing.pulls("ann/shop", State.OPEN)
    assert pull.number == 1
    assert made_by_us(*_tree_and_message(signing, pull.head_sha))


@pytest.mark.parametrize("took_effect", [False, True])
def test_an_answer_about_a_commit_that_is_lost(signing: ServedForge, took_effect: bool) -> None:
    id = signing.add("ann/shop", {"a.py": unclosed("one")})
    signing.faults.append(Fault("commit", Uncertain("lost"), took_effect))
    assert [row.what for row in visit(signing, id, api_commits=True)] == ["opened"]
    (pull,) = signing.pulls("ann/shop")
    assert author(signing, pull.branch) == ("somebody" if took_effect else "loopmend")
    assert sorted(signing.branches("ann/shop")) == [pull.branch, "main"]


def test_a_commit_with_other_contents_is_not_used(forge: ServedForge) -> None:
    twisting = Twisting(forge.server, forge.look)
    twisting.signs = True
    id = twisting.add("ann/shop", {"a.py": unclosed("one")})
    visit(twisting, id, api_commits=True)
    (pull,) = twisting.pulls("ann/shop")
    assert author(twisting, pull.branch) == "loopmend"
    assert "more.py" not in twisting.repo("ann/shop").git("ls-tree", "-r", "--name-only", pull.branch)


def _tree_and_message(forge: ServedForge, sha: str) -> tuple[str, str]:
    tree, _, message = forge.repo("ann/shop").git("log", "-1", "--format=%T%n%B", sha).partition("\n")
    return tree, message
