"""Where tokens come from, for whom they are, and that they never show."""

from __future__ import annotations

import copy
import logging
import os
import pickle
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from codemods.forge import credentials, select
from codemods.forge.credentials import Secret, Token
from codemods.forge.gitea import Gitea
from codemods.forge.protocol import Denied, ForgeError, RepositoryId
from codemods.forge.select import Kind
from tests.forges.server import Fault, Reply
from tests.forges.worlds import BELOW, SERVED, TOKEN, Served, house_in

GITHUB = RepositoryId("github.com", "a/b")
GITLAB_CI = {"CI_SERVER_URL": "https://git.example.org/gitlab"}


@pytest.mark.parametrize(
    ("host", "environ", "token"),
    [
        ("github.com", {"GITHUB_TOKEN": "one-token"}, "one-token"),
        ("github.com", {"GITHUB_TOKEN": "one-token", "GH_TOKEN": "two-token"}, "two-token"),
        ("github.com", {"GITHUB_TOKEN": "one-token", "LOOPMEND_TOKEN_GITHUB_COM": "own-token"}, "own-token"),
        ("github.com", {"GITHUB_TOKEN": "one-token", "GITHUB_SERVER_URL": "https://ghe.example.org"}, None),
        ("ghe.example.org", {"GITHUB_TOKEN": "one-token", "GITHUB_SERVER_URL": "https://ghe.example.org"}, "one-token"),
        ("evil.example.org", {"GITHUB_TOKEN": "one-token", "GITLAB_TOKEN": "two-token"}, None),
        ("gitlab.com", {"GITHUB_TOKEN": "one-token", "GITLAB_TOKEN": "two-token"}, "two-token"),
        ("git.example.org", {"GITLAB_TOKEN": "two-token", "CI_SERVER_URL": "https://git.example.org"}, "two-token"),
        ("codeberg.org", {"FORGEJO_TOKEN": "own-token"}, "own-token"),
        ("gitea.example.org", {"GITEA_TOKEN": "own-token"}, None),
        ("git.example.org:8443", {"LOOPMEND_TOKEN_GIT_EXAMPLE_ORG___8443": "own-token\n"}, "own-token"),
        ("git-example.org", {"LOOPMEND_TOKEN_GIT__EXAMPLE_ORG": "own-token"}, "own-token"),
        ("git-example.org", {"LOOPMEND_TOKEN_GIT_EXAMPLE_ORG": "own-token"}, None),
        ("github.com", {"GITHUB_TOKEN": ""}, None),
        ("git.example.org/gitlab", {"LOOPMEND_TOKEN_GIT_EXAMPLE_ORG_____GITLAB": "own-token"}, "own-token"),
        ("git.example.org/gitlab", {"LOOPMEND_TOKEN_GIT_EXAMPLE_ORG": "own-token"}, None),
        ("git.example.org/gitlab", {"GITLAB_TOKEN": "two-token", **GITLAB_CI}, "two-token"),
        ("git.example.org", {"GITLAB_TOKEN": "two-token", **GITLAB_CI}, None),
    ],
)
def test_a_token_is_for_one_host(host: str, environ: dict[str, str], token: str | None) -> None:
    secret = credentials.from_environment(host, environ)
    assert (secret and secret.reveal()) == token


@pytest.mark.parametrize("value", ["two words here", "line\nbreak-in-it", "short", "naïve-token-of-mine"])
def test_what_cannot_be_a_token_is_refused_without_showing_it(value: str) -> None:
    with pytest.raises(Denied) as told:
        credentials.from_environment("github.com", {"GITHUB_TOKEN": value})
    assert value not in str(told.value)


def _file(folder: Path, text: str, mode: int) -> Path:
    path = folder / "token"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_file_that_is_closed_to_others(tmp_path: Path) -> None:
    assert credentials.from_file(_file(tmp_path, f"{TOKEN}\n", 0o600)).reveal() == TOKEN


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(Denied, match="chmod 600"):
        credentials.from_file(_file(tmp_path, TOKEN, mode))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(Denied, match="FileNotFoundError"):
        credentials.from_file(tmp_path / "nothing")


def test_a_secret_does_not_print() -> None:
    secret = Secret(TOKEN)
    assert TOKEN not in f"{secret} {secret!r} {[secret]} {Token(secret)!r} {vars(Token(secret))}"
    assert not hasattr(secret, "__dict__")
    for copied in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            copied(secret)
    assert secret.hide(f"x{TOKEN}y") == "x***y"


# Which forge


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("owner/name", "github.com/owner/name"),
        ("https://github.com/owner/name", "github.com/owner/name"),
        ("https://github.com/owner/name.git/", "github.com/owner/name"),
        ("https://user:password@GitHub.com/owner/name", "github.com/owner/name"),
        ("git@github.com:owner/name.git", "github.com/owner/name"),
        ("ssh://git@git.example.org:2222/group/sub/name.git", "git.example.org/group/sub/name"),
        ("gitlab.com/group/sub/name", "gitlab.com/group/sub/name"),
        ("https://git.example.org:8443/owner/name", "git.example.org:8443/owner/name"),
        ("http://127.0.0.1:8080/owner/name", "127.0.0.1:8080/owner/name"),
    ],
)
def test_names_of_repositories(text: str, expected: str) -> None:
    assert str(select.parse(text)) == expected


@pytest.mark.parametrize(
    ("text", "host", "environ", "expected"),
    [
        ("https://git.example.org/gitlab/group/sub/name", "git.example.org/gitlab", {}, ("group/sub/name", True)),
        ("https://git.example.org/gitlab/group/name.git", "https://git.example.org/gitlab/", {}, ("group/name", True)),
        ("https://git.example.org/gitlab/group/name", "github.com", GITLAB_CI, ("group/name", True)),
        ("git.example.org/gitlab/group/name", "github.com", GITLAB_CI, ("group/name", True)),
        ("git@git.example.org:group/name.git", "github.com", GITLAB_CI, ("group/name", True)),
        ("ssh://git@git.example.org:2222/group/name", "github.com", GITLAB_CI, ("group/name", True)),
        ("group/name", "git.example.org/gitlab", {}, ("group/name", True)),
        ("https://git.example.org/gitlab/group/name", "github.com", {}, ("gitlab/group/name", False)),
        ("https://git.example.org/gitlabs/name", "git.example.org/gitlab", {}, ("gitlabs/name", False)),
    ],
)
def test_servers_below_a_path(text: str, host: str, environ: dict[str, str], expected: tuple[str, bool]) -> None:
    path, below = expected
    assert select.parse(text, host=host, environ=environ) == RepositoryId(
        "git.example.org/gitlab" if below else "git.example.org", path
    )


def test_a_server_below_a_path_is_no_owner() -> None:
    with pytest.raises(ForgeError, match="name is no repository"):
        select.parse("https://git.example.org/gitlab/name", environ=GITLAB_CI)


def test_where_the_api_is() -> None:
    environ = {"LOOPMEND_TOKEN_ACME_GHE_COM": TOKEN, "LOOPMEND_TOKEN_GHE_EXAMPLE_ORG": TOKEN, "GITHUB_TOKEN": TOKEN}
    for host, root in (
        ("github.com", ("api.github.com", "/")),
        ("acme.ghe.com", ("api.acme.ghe.com", "/")),
        ("ghe.example.org", ("ghe.example.org", "/api/v3")),
    ):
        kind = None if host != "ghe.example.org" else Kind.GITHUB
        forge = select.connect(RepositoryId(host, "a/b"), kind=kind, environ=environ)
        wire = forge._client.wire  # type: ignore[attr-defined]
        assert (wire._connection.host, wire.root or "/") == root


@pytest.mark.parametrize(
    "text",
    ["", "name", "../..", "a/../b", "https://github.com/", "http://git.example.org/a/b", "a/b c", "-", "a/b?c=d"],
)
def test_what_names_no_repository(text: str) -> None:
    with pytest.raises(ForgeError):
        select.parse(text)


def test_a_password_in_a_url_is_not_repeated() -> None:
    with pytest.raises(ForgeError) as told:
        select.parse(f"http://user:{TOKEN}@git.example.org/a/b")
    assert TOKEN not in str(told.value)


def test_the_kind_of_a_host_is_known_or_asked_for() -> None:
    assert select.kind_of("gitlab.com", {}) is Kind.GITLAB
    assert select.kind_of("git.example.org", {"CI_SERVER_URL": "https://git.example.org"}) is Kind.GITLAB
    in_gitea = {"GITHUB_SERVER_URL": "https://git.example.org", "GITHUB_ACTIONS": "true", "GITEA_ACTIONS": "true"}
    assert select.kind_of("git.example.org", in_gitea) is Kind.GITEA
    assert select.kind_of("git.example.org", {**in_gitea, "GITEA_ACTIONS": ""}) is Kind.GITHUB
    with pytest.raises(ForgeError, match="--forge"):
        select.kind_of("git.example.org", {})


def test_connecting_without_a_token_says_so() -> None:
    with pytest.raises(Denied, match=r"no token for github\.com"):
        select.connect(GITHUB, environ={})


def test_an_app_without_its_key_says_so() -> None:
    with pytest.raises(Denied, match="LOOPMEND_APP_KEY"):
        select.connect(GITHUB, environ={"LOOPMEND_APP_ID": "1"})


@pytest.mark.parametrize("name", sorted({**SERVED, **BELOW}))
def test_connects_to_what_it_is_told(name: str, tmp_path: Path) -> None:
    with {**SERVED, **BELOW}[name](house_in(tmp_path)) as world:
        world.house.create("acme/app")
        id = select.parse(f"{world.url}/acme/app", host=world.url, environ={})
        environ = {credentials.variable_for(world.forge.host): TOKEN}
        forge = select.connect(id, kind=Kind(name.split()[0]), environ=environ)
        assert forge.repository(id).id == id == RepositoryId(world.forge.host, "acme/app")
        assert type(forge) is type(world.forge)


# Nothing shows


@pytest.fixture(params=sorted(SERVED))
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    with SERVED[request.param](house_in(tmp_path)) as world:
        yield world


def test_the_token_shows_in_no_log_no_error_and_no_repr(world: Served, caplog: pytest.LogCaptureFixture) -> None:
    """At the most talkative level of every library, with a forge that says the token back."""
    caplog.set_level(logging.DEBUG)
    repo = world.house.create("acme/app")
    number = world.open(repo).number
    list(world.forge.comments(world.id(repo), number))
    told = {"message": f"the token {TOKEN} is bad", "errors": [{"message": TOKEN}]}
    errors = []
    for reply in (Reply(403, told), Reply(422, told), Reply(502, told), Reply(200, "<html>"), None):
        world.server.faults.append(Fault(*world.operations["comment"], reply))
        with pytest.raises(ForgeError) as caught:
            world.forge.comment(world.id(repo), number, "said")
        errors.append("".join(traceback.format_exception(caught.value)))
    assert caplog.records or isinstance(world.forge, Gitea), "nothing was logged, so nothing is shown by this"
    shown = "\n".join([*errors, caplog.text, repr(world.forge), repr(vars(world.forge)), repr(world.forge.git_login())])
    assert TOKEN not in shown
