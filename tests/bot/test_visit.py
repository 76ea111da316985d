"""One repository over several runs, with real git: what people do in between comes out as promised."""

from __future__ import annotations

import pytest

from codemods.bot.marker import read
from codemods.bot.policy import GroupBy, Policy
from codemods.bot.visit import Visit
from codemods.forge.protocol import RepositoryId, State
from tests.bot.forge_memory import ServedForge, table
from tests.bot.shop import DANGLING, MAYBE_TWO_RUNS, unclosed

Outcome = dict[str, list[str]]


def visit(forge: ServedForge, id: RepositoryId, **policy: object) -> Outcome:
    """One run: the start of each branch's name, by what became of it."""
    rows = Visit(forge, id, Policy(**policy), forge.look, sleep=lambda seconds: None).run()  # type: ignore[arg-type]
    outcome: Outcome = {}
    for row in rows:
        outcome.setdefault(row.what, []).append(row.where.removeprefix("loopmend/").rpartition("-")[0] or row.why)
    return outcome


@pytest.fixture
def shop(forge: ServedForge) -> RepositoryId:
    return forge.add("ann/shop", {"app/a.py": unclosed("one"), "app/b.py": unclosed("two"), "beat.py": DANGLING})


def test_a_second_run_changes_nothing(forge: ServedForge, shop: RepositoryId) -> None:
    assert visit(forge, shop) == {"opened": ["lm201", "lm301"]}
    sessions, tasks = forge.pulls("ann/shop")
    assert "async with" in forge.show("ann/shop", f"{sessions.branch}:app/a.py")
    assert "alive.cancel()" in forge.show("ann/shop", f"{tasks.branch}:beat.py")
    assert forge.show("ann/shop", f"{tasks.branch}:app/a.py") == unclosed("one").strip()
    assert sessions.title == "LM201 unclosed-resource: mend 2 places in 2 files"
    assert len(table(sessions.body)) == 2

    forge.calls.clear()
    before = forge.branches("ann/shop")
    assert visit(forge, shop) == {"left": ["lm201", "lm301"]}
    assert set(forge.calls) == {"repository", "pull_requests"}
    assert forge.branches("ann/shop") == before


def test_new_findings_update_the_same_pull_request(forge: ServedForge, shop: RepositoryId) -> None:
    visit(forge, shop)
    (old, _) = forge.pulls("ann/shop")
    forge.commit_files("ann/shop", "main", {"app/c.py": unclosed("three")})
    assert visit(forge, shop) == {"updated": ["lm201"], "left": ["lm301"]}
    new = forge.pulls("ann/shop")[0]
    assert (new.number, new.branch) == (old.number, old.branch)
    assert len(table(new.body)) == 3
    assert read(new.body).head == new.head_sha == forge.head("ann/shop", new.branch)  # type: ignore[union-attr]
    assert forge.show("ann/shop", f"{new.head_sha}^:app/c.py") == unclosed("three").strip(), "the base is the new one"
    assert visit(forge, shop) == {"left": ["lm201", "lm301"]}


def test_a_title_that_somebody_has_changed_stays(forge: ServedForge, shop: RepositoryId) -> None:
    visit(forge, shop)
    forge.repo("ann/shop").pulls[2].title = "fix(beat): end the task"
    more = {"app/c.py": unclosed("three"), "more.py": DANGLING}
    forge.commit_files("ann/shop", "main", more)
    assert visit(forge, shop) == {"updated": ["lm201", "lm301"]}
    assert [pull.title for pull in forge.pulls("ann/shop")] == [
        "LM201 unclosed-resource: mend 3 places in 3 files",
        "fix(beat): end the task",
    ]


def test_a_base_that_moves_elsewhere_is_nothing_new(forge: ServedForge, shop: RepositoryId) -> None:
    visit(forge, shop)
    before = forge.branches("ann/shop")
    moved = "# a comment far from the finding\n" * 10 + unclosed("one")
    forge.commit_files("ann/shop", "main", {"app/a.py": moved, "other.py": "print(1)\n"})
    assert visit(forge, shop) == {"left": ["lm201", "lm301"]}
    assert {**before, "main": ""} == {**forge.branches("ann/shop"), "main": ""}


def test_a_conflict_is_solved_by_starting_from_the_base(forge: ServedForge, shop: RepositoryId) -> None:
    visit(forge, shop)
    changed = unclosed("one").replace("print(await response.json())", "print(await response.text())")
    base = forge.commit_files("ann/shop", "main", {"app/a.py": changed})
    assert visit(forge, shop) == {"updated": ["lm201"], "left": ["lm301"]}
    sessions = forge.pulls("ann/shop")[0]
    assert "        print(await response.text())" in forge.show("ann/shop", f"{sessions.branch}:app/a.py")
    assert forge.show("ann/shop", f"--format=%P --no-patch {sessions.branch}".split()[-1]).startswith("commit ")
    assert base in forge.branches("ann/shop").values()


def test_a_persons_commit_is_never_overwritten(forge: ServedForge, shop: RepositoryId) -> None:
    visit(forge, shop)
    sessions = forge.pulls("ann/shop")[0]
    theirs = forge.commit_files("ann/shop", sessions.branch, {"app/a.py": "print('mine')\n"})
    assert visit(forge, shop) == {"left": ["lm201", "lm301"]}
    assert forge.repo("ann/shop").pulls[1].remarks == [], "nothing new, nothing to say"

    forge.commit_files("ann/shop", "main", {"app/c.py": unclosed("three")})
    assert visit(forge, shop) == {"commented": ["lm201"], "left": ["lm301"]}
    (said,) = forge.repo("ann/shop").pulls[sessions.number].remarks
    assert "+    async with aiohttp.ClientSession() as session:" in said.body
    assert visit(forge, shop) == {"left": ["lm201", "lm301"]}, "it is said once"
    assert forge.head("ann/shop", sessions.branch) == theirs

    forge.commit_files("ann/shop", "main", {"app/d.py": unclosed("four")})
    assert visit(forge, shop) == {"commented": ["lm201"], "left": ["lm301"]}
    assert forge.head("ann/shop", sessions.branch) == theirs


def test_an_amended_commit_is_a_persons_too(forge: ServedForge, shop: RepositoryId) -> None:
    visit(forge, shop)
    sessions = forge.pulls("ann/shop")[0]
    message = forge.show("ann/shop", f"{sessions.branch}:").strip() and "LM201\n\nLoopmend-Tree: " + "0" * 40
    theirs = forge.commit_files("ann/shop", sessions.branch, {"app/a.py": "print('mine')\n"}, message=message)
    forge.commit_files("ann/shop", "main", {"app/c.py": unclosed("three")})
    assert visit(forge, shop) == {"commented": ["lm201"], "left": ["lm301"]}
    assert forge.head("ann/shop", sessions.branch) == theirs


def test_closed_is_no_to_these_findings_and_to_no_others(forge: ServedForge, shop: RepositoryId) -> None:
    visit(forge, shop)
    forge.set_state("ann/shop", 1, State.CLOSED)
    assert visit(forge, shop) == {"skipped": ["lm201"], "left": ["lm301"]}
    forge.commit_files("ann/shop", "main", {"app/c.py": unclosed("three")})
    assert visit(forge, shop) == {"opened": ["lm201"], "left": ["lm301"]}
    (again,) = [pull for pull in forge.pulls("ann/shop", State.OPEN) if pull.number > 2]
    assert [row.count("app/c.py") for row in table(again.body)] == [1]
    assert forge.show("ann/shop", f"{again.branch}:app/a.py") == unclosed("one").strip()

    forge.set_state("ann/shop", again.number, State.CLOSED)
    assert visit(forge, shop) == {"skipped": ["lm201"], "left": ["lm301"]}


def test_reopening_takes_the_no_back(forge: ServedForge, shop: RepositoryId) -> None:
    visit(forge, shop)
    forge.set_state("ann/shop", 1, State.CLOSED)
    visit(forge, shop)
    forge.set_state("ann/shop", 1, State.OPEN)
    forge.commit_files("ann/shop", "main", {"app/c.py": unclosed("three")})
    assert visit(forge, shop) == {"updated": ["lm201"], "left": ["lm301"]}


def test_a_merged_branch_is_deleted(forge: ServedForge, shop: RepositoryId) -> None:
    visit(forge, shop)
    forge.merge("ann/shop", 1)
    assert visit(forge, shop) == {"left": ["lm301"], "tidied": ["lm201"]}
    assert [name[:14] for name in forge.branches("ann/shop")] == ["loopmend/lm301", "main"]
    assert visit(forge, shop) == {"left": ["lm301"]}


def test_what_was_fixed_elsewhere_is_closed_and_that_is_no_no(forge: ServedForge, shop: RepositoryId) -> None:
    visit(forge, shop)
    forge.commit_files("ann/shop", "main", {"app/a.py": "print(1)\n", "app/b.py": None})
    assert visit(forge, shop) == {"closed": ["lm201"], "left": ["lm301"]}
    closed = forge.pulls("ann/shop", State.CLOSED)[0]
    assert "> Closed by the bot: nothing is left to mend." in closed.body
    assert closed.branch not in forge.branches("ann/shop")

    forge.commit_files("ann/shop", "main", {"app/a.py": unclosed("one")})
    assert visit(forge, shop) == {"opened": ["lm201"], "left": ["lm301"]}


def test_a_file_that_cannot_be_read_closes_nothing(forge: ServedForge, shop: RepositoryId) -> None:
    visit(forge, shop)
    forge.commit_files("ann/shop", "main", {"beat.py": DANGLING + "def (:\n"})
    assert visit(forge, shop) == {"left": ["lm201", "lm301"]}
    assert len(forge.pulls("ann/shop", State.OPEN)) == 2


def test_a_run_for_one_rule_leaves_the_pull_requests_of_others(forge: ServedForge, shop: RepositoryId) -> None:
    visit(forge, shop)
    forge.commit_files("ann/shop", "main", {"app/a.py": None, "app/b.py": None})
    assert visit(forge, shop, select=("LM301",)) == {"left": ["lm301", "lm201"]}
    assert visit(forge, shop, ignore=("LM201",)) == {"left": ["lm301", "lm201"]}
    assert visit(forge, shop, group_by=GroupBy.DIRECTORY)["left"] == ["lm301", "lm201"]
    assert visit(forge, shop)["closed"] == ["lm201"]


def test_unsafe_fixes_have_drafts_of_their_own(forge: ServedForge) -> None:
    id = forge.add("ann/shop", {"a.py": MAYBE_TWO_RUNS, "b.py": unclosed("one")})
    left_out = ["nothing to mend in 2 files: 1 finding without a fix that may be made, 1 with an unsafe one"]
    assert visit(forge, id, select=("LM101",)) == {"clean": left_out}
    assert visit(forge, id) == {"opened": ["lm201"]}
    assert visit(forge, id, unsafe_fixes=True) == {"left": ["lm201"], "opened": ["lm101-unsafe"]}
    safe, unsafe = forge.pulls("ann/shop")
    assert (safe.draft, unsafe.draft) == (False, True)
    assert "**unsafe**: " in table(unsafe.body)[0]
    assert visit(forge, id) == {"left": ["lm201", "lm101-unsafe"]}, "a run without them does not close it"


def test_the_repositorys_config_counts(forge: ServedForge) -> None:
    config = '[tool.loopmend]\nignore = ["LM301"]\nextend-exclude = ["old/"]\n'
    files = {"pyproject.toml": config, "old/a.py": unclosed("one"), "beat.py": DANGLING, "new.py": unclosed("two")}
    id = forge.add("ann/shop", files)
    assert visit(forge, id, select=("ALL",)) == {"opened": ["lm201"]}
    assert "new.py" in table(forge.pulls("ann/shop")[0].body)[0]


def test_a_config_that_makes_no_sense_is_a_row(forge: ServedForge) -> None:
    id = forge.add("ann/shop", {"pyproject.toml": '[tool.loopmend]\nselekt = ["LM301"]\n', "a.py": DANGLING})
    assert visit(forge, id) == {"failed": ["pyproject.toml: unknown key 'selekt'; did you mean 'select'?"]}


def test_groups_by_directory_and_by_owner(forge: ServedForge, shop: RepositoryId) -> None:
    assert visit(forge, shop, group_by=GroupBy.DIRECTORY) == {"opened": ["top", "app"]}
    owners = {".github/CODEOWNERS": "* @everybody\n/app/ @ann @ben/team # the shop\napp/b.py\n"}
    id = forge.add("ann/owned", {"app/a.py": unclosed("one"), "app/b.py": unclosed("two"), "c.py": DANGLING, **owners})
    assert visit(forge, id, group_by=GroupBy.OWNERS) == {"opened": ["ann-ben-team", "everybody", "nobody"]}


def test_the_limits_hold(forge: ServedForge, shop: RepositoryId) -> None:
    assert visit(forge, shop, max_open=1, max_files=1) == {"opened": ["lm201"], "skipped": ["lm301"]}
    (sessions,) = forge.pulls("ann/shop")
    assert [row.count("app/a.py") for row in table(sessions.body)] == [1]
    assert "1 more finding in other files will follow" in sessions.body
    forge.commit_files("ann/shop", "main", {"aaa.py": unclosed("zero")})
    assert visit(forge, shop, max_open=1, max_files=1) == {"left": ["lm201"], "skipped": ["lm301"]}
    forge.merge("ann/shop", 1)
    assert visit(forge, shop, max_open=1, max_files=1) == {"opened": ["lm201"], "skipped": ["lm301"]}


def test_a_fork_where_the_token_may_not_push(forge: ServedForge, shop: RepositoryId) -> None:
    forge.repo("ann/shop").writers.clear()
    assert visit(forge, shop) == {"opened": ["lm201", "lm301"]}
    assert sorted(forge.branches("ann/shop")) == ["main"]
    assert {pull.head.path for pull in forge.pulls("ann/shop")} == {"loopmend-bot/shop"}
    previews = Visit(forge, shop, Policy(), forge.look).preview()
    assert [each.row.what for each in previews] == ["would leave", "would leave"]
    for number in range(3):  # the fork falls behind
        forge.commit_files("ann/shop", "main", {f"other{number}.py": "print(1)\n"})
    forge.commit_files("ann/shop", "main", {"app/c.py": unclosed("three")})
    assert visit(forge, shop) == {"updated": ["lm201"], "left": ["lm301"]}
    forge.merge("ann/shop", 1)
    assert visit(forge, shop) == {"left": ["lm301"], "tidied": ["lm201"]}


def test_a_clean_repository_is_not_forked(forge: ServedForge) -> None:
    id = forge.add("ann/clean", {"a.py": "print(1)\n"})
    forge.repo("ann/clean").writers.clear()
    assert visit(forge, id) == {"clean": ["nothing to mend in 1 file"]}
    assert "fork" not in forge.calls


def test_a_strangers_pull_request_decides_nothing(forge: ServedForge, shop: RepositoryId) -> None:
    visit(forge, shop)
    stranger = forge.house.fork(forge.repo("ann/shop"), "eve")
    for pull in forge.repo("ann/shop").pulls.values():
        pull.head, pull.author, pull.state = stranger, "eve", "closed"
    assert visit(forge, shop) == {"opened": ["lm201", "lm301"]}


def test_an_archived_and_an_empty_repository_are_rows(forge: ServedForge) -> None:
    archived = forge.add("ann/old", {"a.py": DANGLING})
    forge.repo("ann/old").archived = True
    assert visit(forge, archived) == {"skipped": ["it is archived"]}
    assert "main not found" in visit(forge, forge.add("ann/empty", {}))["failed"][0]
    assert "there is no ann/gone" in visit(forge, RepositoryId(forge.host, "ann/gone"))["failed"][0]


def test_another_base(forge: ServedForge, shop: RepositoryId) -> None:
    other = {"app/a.py": None, "app/b.py": None, "beat.py": None}
    forge.commit_files("ann/shop", "stable", {"s.py": unclosed("old"), **other})
    assert visit(forge, shop, base="stable") == {"opened": ["lm201"]}
    assert visit(forge, shop) == {"opened": ["lm201", "lm301"], "left": ["lm201"]}
    assert [pull.base for pull in forge.pulls("ann/shop")] == ["stable", "main", "main"]


def test_a_dry_run_shows_everything_and_touches_nothing(forge: ServedForge, shop: RepositoryId) -> None:
    visit(forge, shop, select=("LM301",))
    before = forge.branches("ann/shop"), forge.pulls("ann/shop")
    forge.calls.clear()
    first, second = Visit(forge, shop, Policy(), forge.look).preview()
    assert (first.row.what, second.row.what) == ("would open", "would leave")
    assert first.title.startswith("LM201 ")
    assert len(table(first.body)) == 2
    assert "+    async with" in first.patch
    assert (forge.branches("ann/shop"), forge.pulls("ann/shop")) == before
    assert set(forge.calls) == {"repository", "pull_requests"}
