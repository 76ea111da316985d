"""What only GitHub has: renamed repositories, commits by the API, tokens without a user, GitHub Apps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from codemods.forge.app import AppInstallation
from codemods.forge.credentials import Secret, Token
from codemods.forge.github import GitHub
from codemods.forge.protocol import Denied, FileChange, ForgeError, NotFound, Unavailable, Uncertain
from codemods.forge.wire import ignore
from tests.forges.contract import Breach, Contract
from tests.forges.github_double import GitHubDouble
from tests.forges.house import Repo
from tests.forges.server import Reply, Request
from tests.forges.worlds import Served, github, house_in


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Served]:
    with github(house_in(tmp_path)) as world:
        yield world


@pytest.fixture
def repo(world: Served) -> Repo:
    return world.house.create("acme/app")


def _with_token(world: Served, token: str, account: str) -> GitHub:
    world.house.tokens[token] = account
    host = urlsplit(world.server.url).netloc
    return GitHub(host, f"http://{host}/api/v3", Token(Secret(token)))


def test_pull_requests_from_before_the_bot_are_not_paged_through(world: Served, repo: Repo) -> None:
    for number in range(8):
        made = world.open(repo, f"loopmend/{number}").number
        repo.pulls[made].created = "2026-02-01T00:00:00Z" if number > 4 else "2019-02-01T00:00:00Z"
    world.server.page_size = 2
    assert [each.branch for each in world.listed(repo)] == ["loopmend/7", "loopmend/6", "loopmend/5"]
    assert world.sent("list") == 2


def test_drafts_that_a_repository_does_not_have(world: Served, repo: Repo) -> None:
    world.house.drafts = False
    with pytest.raises(Denied, match="Draft"):
        world.open(repo, draft=True)


def test_two_teams_of_people_review(world: Served, repo: Repo) -> None:
    number = world.open(repo).number
    assert world.furnish(repo, number, reviewers=("ann", "acme/core")) == []
    assert repo.pulls[number].reviewers == ["ann", "core"]


def test_a_fork_in_the_same_organisation_is_named(world: Served, repo: Repo) -> None:
    fork = world.house.create("acme/app-fork")
    fork.parent = repo
    repo.git("push", "-q", str(fork.bare), "+main:main")
    fork.write("loopmend/one", {"a.py": "b = 1\n"})
    made = world.forge.open_pull_request(world.id(repo), world.propose(fork))
    assert made.head == world.id(fork)


# Limits that only GitHub words so


@pytest.mark.parametrize("fault", ["403 with Retry-After", "422 abuse"])
def test_what_creates_is_sent_once_when_github_wants_a_pause(world: Served, repo: Repo, fault: str) -> None:
    world.go_wrong(fault, "open")
    with pytest.raises(Unavailable) as told:
        world.open(repo)
    assert told.value.retry_after == (7 if fault.startswith("403") else 60)
    assert (world.sent("open"), len(repo.pulls), world.naps) == (1, 0, [])


def test_a_read_waits_out_a_secondary_limit(world: Served, repo: Repo) -> None:
    world.go_wrong("403 with Retry-After", "list")
    assert world.listed(repo) == []
    assert world.naps == [7.0]


# Commits that GitHub makes and signs


def _commit(world: Served, repo: Repo, parent: str, *changes: FileChange) -> str | None:
    return world.forge.commit(
        world.id(repo), branch="loopmend/one", parent=parent, message="Mend it\n\nBecause.", changes=changes
    )


def test_a_commit_on_a_protected_branch_is_refused(world: Served, repo: Repo) -> None:
    start = repo.write("loopmend/one", {"a.py": "x = 1\n"})
    repo.protected.add("loopmend/one")
    with pytest.raises(Denied, match="permission to push"):
        _commit(world, repo, start, FileChange("a.py", b"x = 3\n"))


def test_a_file_to_execute_is_left_to_git(world: Served, repo: Repo) -> None:
    start = repo.write("loopmend/one", {"a.py": "x = 1\n"})
    assert _commit(world, repo, start, FileChange("a.py", b"x = 3\n", executable=True)) is None
    assert world.sent("commit") == 0


def test_a_commit_whose_answer_is_lost_is_uncertain_and_sent_once(world: Served, repo: Repo) -> None:
    start = repo.write("loopmend/one", {"a.py": "x = 1\n"})
    world.go_wrong("reset after", "commit")
    with pytest.raises(Uncertain):
        _commit(world, repo, start, FileChange("a.py", b"x = 3\n"))
    assert world.sent("commit") == 1
    assert repo.heads()["loopmend/one"] != start


def test_no_branch_to_commit_on(world: Served, repo: Repo) -> None:
    with pytest.raises(NotFound):
        _commit(world, repo, repo.heads()["main"], FileChange("a.py", b"x = 3\n"))


# Who asks


def test_the_token_of_a_job_has_no_user_but_a_name(world: Served) -> None:
    assert _with_token(world, "ghs_0123456789", "github-actions[bot]").login() == "github-actions[bot]"


def test_the_token_of_a_job_is_taken_to_push(world: Served) -> None:
    repo = world.house.create("acme/app", writers=("github-actions[bot]",))
    forge = _with_token(world, "ghs_0123456789", "github-actions[bot]")
    assert forge.repository(world.id(repo)).can_push


def _key() -> tuple[str, str]:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


@pytest.mark.parametrize("owner", ["acme", "ann"])
def test_an_app_buys_a_token_with_its_key(world: Served, owner: str) -> None:
    private, public = _key()
    assert isinstance(world.server, GitHubDouble)
    world.server.apps["4711"] = public
    app = AppInstallation(world.server.api, "4711", Secret(private), owner)
    host = urlsplit(world.server.url).netloc
    forge = GitHub(host, world.server.api, app)
    assert forge.login() == "loopmend[bot]"
    assert forge.git_login().password == app.secret().reveal()
    assert len(world.server.sent("POST", "/access_tokens$")) == 1


def test_an_app_buys_a_new_token_before_the_old_one_ends(world: Served) -> None:
    import time

    private, public = _key()
    assert isinstance(world.server, GitHubDouble)
    world.server.apps["4711"] = public
    late = [0.0]
    app = AppInstallation(world.server.api, "4711", Secret(private), "acme", clock=lambda: time.time() + late[0])
    first = app.secret().reveal()
    assert app.secret().reveal() == first
    late[0] = 3400
    world.server.apps.clear()
    with pytest.raises(Denied):
        app.secret()


def test_a_key_of_somebody_else_buys_nothing(world: Served) -> None:
    assert isinstance(world.server, GitHubDouble)
    world.server.apps["4711"] = _key()[1]
    app = AppInstallation(world.server.api, "4711", Secret(_key()[0]), "acme")
    with pytest.raises(Denied, match="Bad credentials"):
        app.secret()


def test_what_is_no_key_is_said_without_showing_it(world: Served) -> None:
    assert isinstance(world.server, GitHubDouble)
    app = AppInstallation(world.server.api, "4711", Secret("no key at all"), "acme")
    with pytest.raises(Denied) as told:
        app.secret()
    assert "no key at all" not in str(told.value)


# The double is strict


CONTRACT: Contract = GitHubDouble.contract


@pytest.mark.parametrize(
    ("path", "method", "query", "body"),
    [
        ("/repos/a/b/pulls", "POST", {}, {"title": "t", "head": "h"}),
        ("/repos/a/b/pulls", "POST", {}, {"title": "t", "head": "h", "base": "b", "drafft": True}),
        ("/repos/a/b/pulls", "POST", {}, {"title": "t", "head": "h", "base": "b", "draft": "yes"}),
        ("/repos/a/b/pulls", "GET", {"state": "merged"}, None),
        ("/repos/a/b/pulls", "GET", {"head_prefix": "x"}, None),
        ("/repos/a/b/pulls/x/commits", "GET", {}, None),
        ("/repos/a/b/issues/1/comments", "POST", {}, {"text": "t"}),
    ],
)
def test_a_request_that_github_does_not_describe_is_a_breach(
    path: str, method: str, query: dict[str, str], body: object
) -> None:
    with pytest.raises(Breach):
        CONTRACT.check_request(Request(method, path, query, {}, body))


@pytest.mark.parametrize("reply", [Reply(200, [{"number": 1}]), Reply(201, []), Reply(418, {"oops": 1})])
def test_an_answer_that_github_does_not_describe_is_a_breach(reply: Reply) -> None:
    with pytest.raises(Breach):
        CONTRACT.check_reply(Request("GET", "/repos/a/b/pulls", {}, {}, None), reply)


def test_a_breach_reaches_the_test(world: Served) -> None:
    client = world.forge._client  # type: ignore[attr-defined]
    with pytest.raises(ForgeError, match="drafft"):
        client.create("/repos/acme/app/pulls", {"title": "t", "head": "h", "base": "b", "drafft": True}, ignore)
    assert "drafft" in world.server.problems.pop()
