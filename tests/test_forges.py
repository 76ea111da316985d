"""One suite for every forge: what the bot relies on when all is well. What goes wrong is in test_forge_faults."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from codemods.forge.protocol import (
    Checks,
    Denied,
    Exists,
    FileChange,
    ForgeError,
    NotFound,
    RepositoryId,
    State,
)
from tests.forges.house import GHOST, NOBODY, Repo
from tests.forges.worlds import WORLDS, World, house_in


@pytest.fixture(params=sorted(WORLDS))
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    with WORLDS[request.param](house_in(tmp_path)) as world:
        yield world


@pytest.fixture
def repo(world: World) -> Repo:
    return world.house.create("acme/app")


def test_says_who_it_is(world: World) -> None:
    assert world.forge.login() == "bot"


def test_describes_a_repository(world: World, repo: Repo) -> None:
    described = world.forge.repository(world.id(repo))
    assert described.id == world.id(repo)
    assert described.default_branch == "main"
    assert described.clone_url == f"{world.url}/acme/app.git"
    assert (described.archived, described.can_push) == (False, True)


def test_a_repository_that_is_not_there(world: World) -> None:
    with pytest.raises(NotFound):
        world.forge.repository(RepositoryId(world.forge.host, "acme/nothing"))


def test_tells_what_it_may_not_push_to_and_what_is_archived(world: World) -> None:
    theirs = world.house.create("acme/theirs", writers=("somebody",))
    theirs.archived = True
    described = world.forge.repository(world.id(theirs))
    assert (described.archived, described.can_push) == (True, False)


def test_tells_the_default_branch_of_today(world: World, repo: Repo) -> None:
    world.house.rename_default_branch(repo, "trunk")
    assert world.forge.repository(world.id(repo)).default_branch == "trunk"


def test_a_renamed_repository_is_found_under_its_new_name(world: World, repo: Repo) -> None:
    old = world.id(repo)
    world.house.rename(repo, "acme/application")
    assert world.forge.repository(old).id == RepositoryId(world.forge.host, "acme/application")


def test_a_write_to_the_old_name_of_a_repository_makes_nothing(world: World, repo: Repo) -> None:
    old, wanted = world.id(repo), world.propose(repo)
    world.house.rename(repo, "acme/application")
    with pytest.raises(NotFound):
        world.forge.open_pull_request(old, replace(wanted, head=old))
    assert world.sent("open") == 1


def test_the_list_of_the_old_name_is_not_taken_for_an_answer(world: World, repo: Repo) -> None:
    """It would be without what was closed, and a no would be forgotten."""
    old, number = world.id(repo), world.open(repo).number
    world.forge.close_pull_request(old, number)
    world.house.rename(repo, "acme/application")
    with pytest.raises(NotFound, match="moved"):
        list(world.forge.pull_requests(old, branch_prefix="loopmend/"))


@pytest.mark.parametrize("owner", ["acme", "bot", "somebody"])
def test_lists_the_repositories_of_an_owner(world: World, owner: str) -> None:
    world.page_by(2)
    for name in ("a", "b", "c"):
        world.house.create(f"{owner}/{name}")
    world.house.create("other/d")
    found = list(world.forge.repositories(owner))
    assert [each.id.path for each in found] == [f"{owner}/a", f"{owner}/b", f"{owner}/c"]


def test_an_opened_pull_request_is_found_again_as_it_was_made(world: World, repo: Repo) -> None:
    made = world.open(repo, title="Ünï", body="a\n\n- b", draft=True)
    assert made.state is State.OPEN
    assert (made.title, made.body, made.draft) == ("Ünï", "a\n\n- b", True)
    assert (made.branch, made.base, made.head) == ("loopmend/one", "main", world.id(repo))
    assert made.head_sha == repo.heads()["loopmend/one"]
    assert made.author == world.forge.login()
    assert world.listed(repo) == [made]


def test_labels_and_people_are_added_once(world: World, repo: Repo) -> None:
    number = world.open(repo).number
    for _ in range(2):
        assert world.furnish(repo, number, labels=("bot", "loops"), reviewers=("ann",), assignees=("ben",)) == []
    (listed,) = world.listed(repo)
    assert sorted(listed.labels) == ["bot", "loops"]
    pull = repo.pulls[number]
    assert (set(pull.reviewers), set(pull.assignees)) == ({"ann"}, {"ben"})


def test_people_that_the_forge_refuses_are_told_and_spoil_nothing(world: World, repo: Repo) -> None:
    made = world.open(repo)
    missing = world.furnish(repo, made.number, reviewers=(NOBODY,), labels=("x",))
    assert [each.partition(":")[0] for each in missing] == ["reviewers"]
    assert [(each.number, each.labels) for each in world.listed(repo)] == [(made.number, ("x",))]


def test_only_branches_with_the_prefix_newest_first(world: World, repo: Repo) -> None:
    for branch in ("loopmend/a", "feature/loopmend/b", "loopmend/c"):
        world.open(repo, branch)
    assert [each.branch for each in world.listed(repo)] == ["loopmend/c", "loopmend/a"]


def test_a_second_one_for_the_same_branch_exists_already(world: World, repo: Repo) -> None:
    world.open(repo)
    with pytest.raises(Exists):
        world.open(repo, title="Another title")
    assert len(repo.pulls) == 1


def test_a_closed_one_does_not_stand_in_the_way(world: World, repo: Repo) -> None:
    first = world.open(repo)
    world.forge.close_pull_request(world.id(repo), first.number)
    second = world.open(repo)
    assert [(each.number, each.state) for each in world.listed(repo)] == [
        (second.number, State.OPEN),
        (first.number, State.CLOSED),
    ]


def test_no_such_branch(world: World, repo: Repo) -> None:
    wanted = world.propose(repo)
    world.house.delete_branch(repo, "loopmend/one")
    with pytest.raises(NotFound, match="branch"):
        world.forge.open_pull_request(world.id(repo), wanted)


def test_no_such_base_since_the_default_branch_was_renamed(world: World, repo: Repo) -> None:
    wanted = world.propose(repo)
    world.house.rename_default_branch(repo, "trunk")
    with pytest.raises(NotFound, match="branch"):
        world.forge.open_pull_request(world.id(repo), wanted)


def test_an_archived_repository_says_so(world: World, repo: Repo) -> None:
    wanted = world.propose(repo)
    repo.archived = True
    with pytest.raises(Denied, match="archived"):
        world.forge.open_pull_request(world.id(repo), wanted)


def test_changes_title_and_body(world: World, repo: Repo) -> None:
    number = world.open(repo).number
    changed = world.forge.update_pull_request(world.id(repo), number, title="New")
    assert (changed.title, changed.body) == ("New", "Body")
    changed = world.forge.update_pull_request(world.id(repo), number, body="Newer")
    assert (changed.title, changed.body) == ("New", "Newer")


def test_a_draft_stays_one_when_its_title_is_changed(world: World, repo: Repo) -> None:
    number = world.open(repo, draft=True).number
    changed = world.forge.update_pull_request(world.id(repo), number, title="New")
    assert (changed.title, changed.draft) == ("New", True)


def test_closes_and_closes_again(world: World, repo: Repo) -> None:
    number = world.open(repo).number
    world.forge.close_pull_request(world.id(repo), number)
    world.forge.close_pull_request(world.id(repo), number)
    assert [each.state for each in world.listed(repo)] == [State.CLOSED]


def test_merged_is_not_closed(world: World, repo: Repo) -> None:
    number = world.open(repo).number
    world.house.merge(repo, number)
    assert [each.state for each in world.listed(repo)] == [State.MERGED]
    world.house.delete_branch(repo, "loopmend/one")
    assert [each.state for each in world.listed(repo)] == [State.MERGED]


def test_the_head_follows_pushes(world: World, repo: Repo) -> None:
    world.open(repo)
    sha = repo.write("loopmend/one", {"more.py": "x = 1\n"})
    assert [each.head_sha for each in world.listed(repo)] == [sha]


def test_comments_come_in_order(world: World, repo: Repo) -> None:
    world.page_by(2)
    number = world.open(repo).number
    for body in ("one", "two", "three"):
        world.forge.comment(world.id(repo), number, body)
    world.house.remark(repo, number, "ann", "four")
    said = [(each.author, each.body) for each in world.forge.comments(world.id(repo), number)]
    assert said == [("bot", "one"), ("bot", "two"), ("bot", "three"), ("ann", "four")]


def test_deletes_a_branch_and_again(world: World, repo: Repo) -> None:
    repo.write("loopmend/deep/er", {"a": "b"})
    world.forge.delete_branch(world.id(repo), "loopmend/deep/er")
    world.forge.delete_branch(world.id(repo), "loopmend/deep/er")
    assert list(repo.heads()) == ["main"]


def test_a_closed_one_without_its_branch_is_still_known_by_it(world: World, repo: Repo) -> None:
    number = world.open(repo).number
    world.forge.close_pull_request(world.id(repo), number)
    world.forge.delete_branch(world.id(repo), "loopmend/one")
    assert [(each.branch, each.state) for each in world.listed(repo)] == [("loopmend/one", State.CLOSED)]


def test_a_protected_branch_stays(world: World, repo: Repo) -> None:
    repo.protected.add("main")
    with pytest.raises(ForgeError):
        world.forge.delete_branch(world.id(repo), "main")
    assert "main" in repo.heads()


def test_a_pull_request_out_of_a_fork(world: World) -> None:
    theirs = world.house.create("acme/theirs", writers=("somebody",))
    described = world.forge.fork(world.id(theirs))
    assert described.id.path == "bot/theirs"
    assert described.can_push
    assert world.forge.fork(world.id(theirs)).id == described.id
    fork = world.house.repos["bot/theirs"]
    fork.write("loopmend/one", {"a.py": "b = 1\n"})
    made = world.forge.open_pull_request(world.id(theirs), world.propose(fork))
    assert made.head == described.id
    assert world.listed(theirs) == [made]
    assert world.listed(fork) == []
    world.forge.close_pull_request(world.id(theirs), made.number)
    assert [each.state for each in world.listed(theirs)] == [State.CLOSED]


@pytest.mark.parametrize("state", [None, "passed", "failed", "pending"])
def test_checks(world: World, repo: Repo, state: str | None) -> None:
    sha = repo.heads()["main"]
    if state:
        repo.checks[sha] = state
    assert world.forge.checks(world.id(repo), sha) is Checks(state or "none")


def test_a_commit_of_the_forge_is_on_the_branch_or_there_is_none(world: World, repo: Repo) -> None:
    start = repo.write("loopmend/one", {"old.py": "x = 1\n"})
    changes = FileChange("src/new.py", "é = 1\n".encode()), FileChange("old.py", None)
    sha = world.forge.commit(
        world.id(repo), branch="loopmend/one", parent=start, message="Mend it\n\nBecause.", changes=changes
    )
    assert repo.heads()["loopmend/one"] == (sha or start)
    if sha:
        assert repo.git("diff-tree", "-r", "--name-status", start, sha) == "D\told.py\nA\tsrc/new.py"
        assert repo.git("log", "-1", "--format=%B", sha) == "Mend it\n\nBecause."


def test_a_commit_of_the_forge_overwrites_nobody(world: World, repo: Repo) -> None:
    start = repo.write("loopmend/one", {"a.py": "x = 1\n"})
    theirs = repo.write("loopmend/one", {"a.py": "x = 2\n"}, "by a person")
    try:
        made = world.forge.commit(
            world.id(repo), branch="loopmend/one", parent=start, message="m", changes=[FileChange("a.py", b"x = 3\n")]
        )
    except Denied:
        made = None
    assert made is None
    assert repo.heads()["loopmend/one"] == theirs


def test_a_pull_request_whose_fork_was_deleted(world: World) -> None:
    theirs = world.house.create("acme/theirs", writers=("somebody",))
    world.forge.fork(world.id(theirs))
    fork = world.house.repos["bot/theirs"]
    fork.write("loopmend/one", {"a.py": "b = 1\n"})
    made = world.forge.open_pull_request(world.id(theirs), world.propose(fork))
    world.house.delete(fork)
    (left,) = world.listed(theirs)
    assert (left.number, left.head.path, left.branch, left.author) == (made.number, "", "loopmend/one", "bot")
    world.forge.close_pull_request(world.id(theirs), made.number)
    assert [each.state for each in world.listed(theirs)] == [State.CLOSED]


def test_what_somebody_said_whose_account_was_deleted(world: World, repo: Repo) -> None:
    number = world.open(repo).number
    world.house.remark(repo, number, GHOST, "said")
    repo.pulls[number].author = GHOST
    assert [(each.author, each.body) for each in world.forge.comments(world.id(repo), number)] == [("", "said")]
    assert [each.author for each in world.listed(repo)] == [""]


def test_git_logs_in_with_the_token_and_prints_none(world: World) -> None:
    login = world.forge.git_login()
    assert login.password in world.house.tokens
    assert login.password not in repr(login)
