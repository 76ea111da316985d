"""`loopmend pr` as a user calls it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from codemods.forge import select
from codemods.forge.protocol import Forge, RepositoryId, State
from tests.bot.forge_memory import ServedForge
from tests.bot.shop import DANGLING, unclosed
from tests.conftest import Loopmend, Result

Bot = Callable[..., Result]


@pytest.fixture
def bot(loopmend: Loopmend, forge: ServedForge, monkeypatch: pytest.MonkeyPatch) -> Bot:
    """The command line, on the forge in memory."""
    asked: list[tuple[RepositoryId, object, object]] = []

    def connect(id: RepositoryId, *, kind: object = None, token_file: object = None) -> Forge:
        asked.append((id, kind, token_file))
        return forge

    monkeypatch.setattr(select, "connect", connect)
    for name in ("GITHUB_REPOSITORY", "CI_PROJECT_URL"):
        monkeypatch.delenv(name, raising=False)
    forge.add("ann/shop", {"a.py": unclosed("one"), "b.py": DANGLING})
    forge.add("ann/clean", {"a.py": "print(1)\n"})
    return lambda *arguments: loopmend("pr", *arguments)


def repo(forge: ServedForge, name: str = "shop") -> str:
    return f"{forge.server.url}/ann/{name}"


def test_one_repository_from_a_dry_run_to_the_end(bot: Bot, forge: ServedForge) -> None:
    dry = bot("--repo", repo(forge), "--dry-run", "--select", "LM2,LM301")
    assert (dry.code, dry.err) == (1, "2 would open.\n")
    assert dry.out.count("\n--- body ---\n<!-- loopmend:pull-request") == 2
    assert "+    async with aiohttp.ClientSession() as session:" in dry.out
    assert forge.pulls("ann/shop") == []

    done = bot("--repo", repo(forge), "--label", "asyncio", "--draft")
    assert (done.code, done.err) == (0, "2 opened.\n")
    assert done.out.splitlines()[0].startswith(f"opened        {forge.host}/ann/shop loopmend/lm201-")
    assert [(pull.labels, pull.draft) for pull in forge.pulls("ann/shop")] == [(("asyncio",), True)] * 2
    assert bot("--repo", repo(forge), "--dry-run").code == 0
    assert bot("--repo", repo(forge), "-q").err == ""


def test_inside_of_a_checkout(bot: Bot, forge: ServedForge, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "name a repository with --repo" in bot().err
    config = project / ".git" / "config"
    config.write_text(f'[core]\n\trepositoryformatversion = 0\n[remote "origin"]\n\turl = {repo(forge)}.git\n')
    (project / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    (project / ".git" / "objects").mkdir()
    (project / ".git" / "refs").mkdir()
    assert bot("--select", "LM201").err == "1 opened.\n"
    monkeypatch.setenv("GITHUB_REPOSITORY", "ann/clean")
    monkeypatch.setenv("GITHUB_SERVER_URL", forge.server.url)
    assert "ann/clean (nothing to mend in 1 file)" in bot().out


def test_an_organisation_its_state_and_taking_everything_back(bot: Bot, forge: ServedForge, tmp_path: Path) -> None:
    where = ("--org", "ann", "--host", forge.host)
    done = bot(*where, "--journal", str(tmp_path / "j"), "--jobs", "1")
    assert (done.code, done.err) == (0, "1 clean, 2 opened.\n")
    forge.check("ann/shop", "passed")
    shown = bot("status", *where)
    assert shown.out.count("(checks: passed)") == 2
    theirs = forge.pulls("ann/shop")[1]
    forge.commit_files("ann/shop", theirs.branch, {"a.py": "print('mine')\n"})

    assert bot("close", *where).code == 2
    closed = bot("close", "--all", *where)
    assert (closed.code, closed.err) == (0, "1 closed, 1 left.\n")
    assert [pull.state for pull in forge.pulls("ann/shop")] == [State.CLOSED, State.OPEN]
    assert sorted(forge.branches("ann/shop")) == [theirs.branch, "main"]
    assert bot("--repo", repo(forge), "--select", "LM201").err == "1 left, 1 opened.\n", "that was nobody's no"


def test_a_file_with_repositories(bot: Bot, forge: ServedForge, tmp_path: Path) -> None:
    file = tmp_path / "fleet.toml"
    file.write_text(
        f'repositories = ["{repo(forge, "clean")}"]\n'
        '[policy]\nlabels = ["asyncio"]\nselect = ["LM201"]\n'
        f'[[repository]]\nurl = "{repo(forge)}"\nselect = ["LM301"]\nmax-open = 1\n'
    )
    done = bot("--repos", str(file), "--output-format", "json")
    rows = json.loads(done.out)
    assert [(row["what"], row["where"][:14]) for row in rows] == [("clean", ""), ("opened", "loopmend/lm301")]
    assert (tmp_path / "fleet.toml.journal").exists()
    assert [pull.labels for pull in forge.pulls("ann/shop")] == [("asyncio",)]


def test_the_first_few_and_the_rest(bot: Bot, forge: ServedForge, tmp_path: Path) -> None:
    forge.add("ann/third", {"a.py": DANGLING})
    arguments = ("--org", "ann", "--host", forge.host, "--first", "1", "--journal", str(tmp_path / "j"))
    assert bot(*arguments).code == 0
    forge.check("ann/shop", "failed")
    held = bot(*arguments)
    assert held.code == 1
    assert "the others wait, because these failed" in held.err
    forge.check("ann/shop", "passed")
    assert "1 opened" in bot(*arguments).err
    assert len(forge.pulls("ann/third")) == 1


def test_what_fails_is_exit_code_2(bot: Bot, forge: ServedForge) -> None:
    done = bot("--repo", repo(forge, "gone"))
    assert (done.code, done.err) == (2, "1 failed.\n")
    assert "(there is no ann/gone)" in done.out
    assert bot("--repo", repo(forge, "gone"), "--dry-run").code == 2
    assert bot("status", "--repo", repo(forge, "gone")).code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--repo", "a/b", "--org", "c"), "--repo, --repos and --org exclude each other"),
        (("--repo", "a/b", "--group-by", "diretory"), "did you mean 'directory'?"),
        (("--repo", "a/b", "--forge", "githubb"), "did you mean 'github'?"),
        (("--repo", "nonsense"), "owner/name or a URL is expected"),
        (("--repo", "http://example.org/a/b"), "https only"),
        (("--repos", "missing.toml"), "missing.toml"),
        (("--repo", "a/b", "--max-files", "0"), "--max-files"),
    ],
)
def test_mistakes_of_the_user(bot: Bot, arguments: tuple[str, ...], message: str) -> None:
    done = bot(*arguments)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it lists nothing"),
        ("repositories = 'a/b'", "repositories: expected a list of strings"),
        ("repos = ['a/b']", "unknown key 'repos'; did you mean 'repository'?"),
        ("repositories = ['a/b']\n[policy]\nmax-opne = 3", "unknown key 'max-opne'; did you mean 'max-open'?"),
        ("repositories = ['a/b']\n[policy]\nmax-open = true", "max-open: expected int"),
        ("repositories = ['a/b']\n[policy]\ndraft = 1", "draft: expected true or false"),
        ("[[repository]]\nbase = 'main'", 'a [[repository]] needs its url = "owner/name"'),
        ("[[repository]", "fleet.toml"),
    ],
)
def test_mistakes_in_the_file(bot: Bot, tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "fleet.toml"
    file.write_text(text)
    done = bot("--repos", str(file))
    assert done.code == 2
    assert message in done.err


def test_without_a_token_it_says_what_to_do(loopmend: Loopmend, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GH_TOKEN", "GITHUB_TOKEN", "LOOPMEND_APP_ID"):
        monkeypatch.delenv(name, raising=False)
    done = loopmend("pr", "--repo", "ann/shop", "--dry-run")
    assert done.code == 2
    assert "there is no token for github.com" in done.out + done.err


def test_without_git_it_says_so(loopmend: Loopmend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("GITHUB_REPOSITORY", "CI_PROJECT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    done = loopmend("pr")
    assert (done.code, "git is not installed, or not on the PATH" in done.err) == (2, True)


def test_check_does_not_load_the_bot(loopmend: Loopmend, project: Path) -> None:
    import subprocess
    import sys

    (project / "a.py").write_text("print(1)\n")
    program = (
        "import sys; from codemods.cli.main import run; run(['check']);"
        "print([name for name in sys.modules if name.startswith(('codemods.bot', 'codemods.git', 'codemods.forge'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=project, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
