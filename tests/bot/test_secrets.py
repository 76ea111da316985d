"""The token is in no file, no log, no message and no list of arguments; and a stranger's repository does nothing."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from codemods.bot.deliver import Row
from codemods.bot.policy import Policy
from codemods.bot.tree import lay_out
from codemods.bot.visit import Visit
from codemods.forge.protocol import RepositoryId
from codemods.git import Clone, GitError, Remote
from codemods.git.process import environment_for
from tests.bot.forge_memory import ServedForge, git
from tests.bot.git_server import TOKEN, GitServer
from tests.bot.shop import unclosed

SPY = """#!/bin/sh
{{ echo "$0 $*"; echo; env | grep -v -e ^LOOPMEND_GIT_PASSWORD= ; }} >> {log}
exec {git} "$@"
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the bot works, kept as it is left, together with all that git was called with."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("shutil.rmtree", lambda *_, **__: None)
    return folder


@pytest.fixture
def spy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git on the PATH that writes its arguments and its environment down, but for the one variable."""
    log = tmp_path / "git.log"
    real = next(path for path in os.environ["PATH"].split(":") if (Path(path) / "git").exists())
    script = tmp_path / "bin" / "git"
    script.parent.mkdir()
    script.write_text(SPY.format(log=log, git=Path(real) / "git"))
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    return log


def visit(forge: ServedForge, id: RepositoryId, **policy: object) -> list[Row]:
    return Visit(forge, id, Policy(**policy), forge.look, sleep=lambda seconds: None).run()  # type: ignore[arg-type]


def test_the_token_is_nowhere(
    forge: ServedForge, temporary: Path, spy: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    id = forge.add("ann/shop", {"a.py": unclosed("one")})
    rows = visit(forge, id, verify="env; cat /proc/$PPID/cmdline; git config --list --show-origin")
    forge.commit_files("ann/shop", "main", {"b.py": unclosed("two")})
    rows += visit(forge, id)
    forge.repo("ann/shop").writers.clear()
    rows += visit(forge, id)
    forge.server.token = "another"
    rows += visit(forge, id)
    forge.server.token = TOKEN
    assert [row.what for row in rows] == ["opened", "updated", "left", "failed"]

    files = [path for path in (*temporary.rglob("*"), *forge.server.root.rglob("*"), spy) if path.is_file()]
    assert any(path.name == "config" and path.parent.name == "clone.git" for path in files), "the work was kept"
    assert spy.read_text().count("push") >= 2
    told = [*map(str, rows), *capfd.readouterr(), *forge.server.requests]
    told += [text for pull in forge.pulls("ann/shop") for text in (pull.body, pull.title)]
    assert [path for path in files if TOKEN.encode() in path.read_bytes()] == []
    assert [text for text in told if TOKEN in text] == []


def test_the_token_is_for_one_origin(server: GitServer) -> None:
    environment = environment_for(Remote(f"{server.url}/a/b.git", "me", TOKEN))
    helpers = [key for key in environment if environment[key].startswith("!f()")]
    names = [environment[key.replace("VALUE", "KEY")] for key in helpers]
    assert names == [f"credential.{server.url}.helper"]
    assert not any(TOKEN in value for key, value in environment.items() if key != "LOOPMEND_GIT_PASSWORD")
    assert not {"HOME", "GITHUB_TOKEN"} & {key for key in environment if environment[key] == os.environ.get(key)}


@pytest.mark.parametrize("url", ["http://example.org/a.git", "ext::sh -c id", "file:///etc", "https://me:pw@x.org/a"])
def test_urls_that_are_not_cloned(url: str) -> None:
    with pytest.raises(ValueError, match=r"https|password"):
        Remote(url)


def test_a_token_that_is_wrong_is_an_error_without_it(forge: ServedForge, tmp_path: Path) -> None:
    forge.add("ann/shop", {"a.py": "print(1)\n"})
    remote = Remote(f"{forge.server.url}/ann/shop.git", "x-access-token", "wrong-wrong")
    with pytest.raises(GitError, match="Authentication failed") as caught:
        Clone.make(tmp_path / "clone", remote, "main")
    assert "wrong-wrong" not in str(caught.value)


def test_nothing_of_the_repository_is_run_or_followed(forge: ServedForge, tmp_path: Path) -> None:
    mark = tmp_path / "it-was-run"
    touch = f"__import__('pathlib').Path({str(mark)!r}).touch()\n"
    files = {
        "a.py": touch + unclosed("one"),
        "conftest.py": touch,
        "setup.py": touch,
        "sitecustomize.py": touch,
        "codemods/__init__.py": touch,
        "libcst/__init__.py": touch,
        ".gitattributes": "*.py filter=evil diff=evil text eol=crlf ident\n",
        ".gitmodules": f'[submodule "x"]\n\tpath = x\n\turl = ext::sh -c "touch {mark}"\n',
        ".lfsconfig": "[lfs]\n\turl = http://127.0.0.1:1\n",
        "120000:link.py": "a.py",
        "120000:odd.py": unclosed("three"),
        "120000:out": str(tmp_path),
        "120000:pyproject.toml": "/etc/passwd",
        "100755:run.py": "#!/usr/bin/env python\n" + unclosed("two"),
    }
    id = forge.add("ann/evil", files)
    assert [row.what for row in visit(forge, id)] == ["opened"]
    assert not mark.exists()
    (pull,) = forge.pulls("ann/evil")
    changed = git(forge.repo("ann/evil").bare, "diff-tree", "-r", "--no-commit-id", pull.head_sha).splitlines()
    assert sorted((line.split()[1], line.split()[4], line.split()[5]) for line in changed) == [
        ("100644", "M", "a.py"),
        ("100755", "M", "run.py"),
    ]
    assert "\r" not in forge.show("ann/evil", f"{pull.branch}:a.py")


@pytest.mark.parametrize("name", ["..", ".git", ".GIT"])
def test_a_tree_that_leaves_itself_is_refused(forge: ServedForge, tmp_path: Path, name: str) -> None:
    id = forge.add("ann/evil", {"a.py": unclosed("one")})
    bare = forge.repo("ann/evil").bare
    inner = bytes.fromhex(git(bare, "rev-parse", "main:a.py"))
    tree = _raw_tree(bare, tmp_path, b"100644 evil.py\0" + inner)
    top = _raw_tree(bare, tmp_path, b"100644 a.py\0" + inner + f"40000 {name}\0".encode() + bytes.fromhex(tree))
    git(bare, "update-ref", "refs/heads/main", git(bare, "commit-tree", top, "-m", "evil"))

    remote = Remote(f"{forge.server.url}/ann/evil.git", "x-access-token", TOKEN)
    clone = Clone.make(tmp_path / "clone", remote, "main")
    assert list(lay_out(clone, clone.tip(), tmp_path / "work").executable) == ["a.py"]
    assert not list(tmp_path.rglob("evil.py"))
    assert {row.what for row in visit(forge, id)} <= {"opened", "failed"}, "git may refuse it as well"


def test_what_the_tests_write_is_private(tmp_path: Path, forge: ServedForge) -> None:
    """The files of a private repository are laid out for its owner only."""
    forge.add("ann/shop", {"a.py": "print(1)\n"})
    remote = Remote(f"{forge.server.url}/ann/shop.git", "x-access-token", TOKEN)
    clone = Clone.make(tmp_path / "clone", remote, "main")
    tree = lay_out(clone, clone.tip(), tmp_path / "tree")
    assert stat.S_IMODE((tree.directory / "a.py").stat().st_mode) == 0o600


def _raw_tree(bare: Path, folder: Path, data: bytes) -> str:
    path = folder / "object"
    path.write_bytes(data)
    return git(bare, "hash-object", "-t", "tree", "-w", "--literally", str(path))
