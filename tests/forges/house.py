"""What a forge remembers: bare git repositories, and the pull requests between their branches.

The three doubles tell it in the words of their APIs, the forge in memory in those of the protocol. Git is
the truth: the head of an open pull request is where its branch stands, a branch that is gone closes it, and
one that the base has reached is merged.
"""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

GHOST = ""
"""Who wrote what an account wrote that was deleted."""
NOBODY = "nobody"
"""A name that no account has."""
LONGEST = 65_536
"""Characters in a description, as GitHub has it."""
_ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TEMPLATE_DIR": "",
    **{f"GIT_{who}_NAME": "somebody" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "somebody@example.org" for who in ("AUTHOR", "COMMITTER")},
}


class Refused(Exception):
    """The forge does not do it; ``kind`` says why, each double has its own words for it."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


@dataclass
class Remark:
    """A comment."""

    id: int
    author: str
    body: str


@dataclass
class Pull:
    """A pull request."""

    number: int
    title: str
    body: str
    branch: str
    head: Repo
    base: str
    author: str
    draft: bool = False
    state: str = "open"
    sha: str = ""
    labels: list[str] = field(default_factory=list)
    reviewers: list[str] = field(default_factory=list)
    assignees: list[str] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)
    created: str = ""


@dataclass
class Repo:
    """A repository and its bare directory."""

    id: int
    path: str
    bare: Path
    default_branch: str
    archived: bool = False
    writers: set[str] = field(default_factory=set)
    parent: Repo | None = None
    protected: set[str] = field(default_factory=set)
    pulls: dict[int, Pull] = field(default_factory=dict)
    checks: dict[str, str] = field(default_factory=dict)
    """State of the commit: passed, failed, pending."""
    gone: bool = False
    """It was deleted, and pull requests out of it know it no more."""

    def git(self, *arguments: str, stdin: bytes | None = None) -> str:
        """Output of a git command in the bare directory."""
        command = ["git", "-C", str(self.bare), *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, env=_ENVIRONMENT, check=False)
        if done.returncode:
            raise AssertionError(f"{command}: {done.stderr.decode()}")
        return done.stdout.decode().strip()

    def heads(self) -> dict[str, str]:
        """The branches and their commits."""
        lines = self.git("for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads").splitlines()
        return dict(line.split() for line in lines)

    def contains(self, sha: str, branch: str) -> bool:
        """Whether the branch has reached the commit."""
        return bool(self.git("for-each-ref", "--contains", sha, f"refs/heads/{branch}"))

    def write(self, branch: str, files: Mapping[str, str | None], message: str = "change", *, of: str = "") -> str:
        """A commit on ``branch``, which starts at ``of`` (default: the default branch) when it is new.

        ``None`` deletes a file. A name may have a mode in front of it, ``100755:run.py``.
        """
        heads = self.heads()
        start = heads.get(branch) or heads.get(of or self.default_branch)
        rows = [f"commit refs/heads/{branch}\ncommitter somebody <somebody@example.org> now\n", _data(message)]
        rows += [f"from {start}\n"] if start else []
        for name, text in files.items():
            mode, _, path = name.rpartition(":")
            rows.append(f"D {path}\n" if text is None else f"M {mode or '100644'} inline {path}\n{_data(text)}")
        self.git("fast-import", "--quiet", "--date-format=now", stdin="".join(rows).encode())
        return self.heads()[branch]

    def protect(self, branch: str) -> None:
        """Let nobody push to a branch, nor delete it."""
        self.protected.add(branch)
        hook = self.bare / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        refs = "|".join(f"refs/heads/{name}" for name in sorted(self.protected))
        hook.write_text(f'#!/bin/sh\nwhile read old new ref; do case "$ref" in {refs}) exit 1; esac; done\n')
        hook.chmod(0o755)

    def read(self, branch: str, path: str) -> str:
        """A file on a branch."""
        return self.git("show", f"{branch}:{path}")


def _data(text: str) -> str:
    return f"data {len(text.encode())}\n{text}\n"


class House:
    """Every repository of one forge, and who may use it: ``tokens`` maps a token to its account."""

    def __init__(self, root: Path, tokens: dict[str, str]) -> None:
        self.root = root
        self.tokens = tokens
        self.repos: dict[str, Repo] = {}
        self.moved: dict[str, Repo] = {}
        self.organisations: set[str] = set()
        self.drafts = True
        self._last = 100
        self.started = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def number(self) -> int:
        """One that nothing else has."""
        self._last += 1
        return self._last

    def copy(self, root: Path) -> House:
        """The same house at another place."""
        shutil.copytree(self.root, root)
        twin = copy.deepcopy(self)
        twin.root = root
        for repo in twin.repos.values():
            repo.bare = root / repo.bare.relative_to(self.root)
        return twin

    def create(
        self,
        path: str,
        files: Mapping[str, str | None] = MappingProxyType({"README": "hello\n"}),
        *,
        branch: str = "main",
        writers: tuple[str, ...] = ("bot",),
    ) -> Repo:
        """A repository with one commit, or with none where there are no files."""
        repo = self._add(path, branch, writers)
        repo.git("init", "-q", "--bare", f"--initial-branch={branch}")
        with (repo.bare / "config").open("a") as config:  # as forges have it, for partial clones
            config.write("[uploadpack]\n\tallowFilter = true\n\tallowAnySHA1InWant = true\n")
        if files:
            repo.write(branch, files, "first")
        return repo

    def fork(self, repo: Repo, account: str) -> Repo:
        """The account's fork, made when there is none."""
        for each in self.repos.values():
            if each.parent is repo and each.path.split("/")[0] == account:
                return each
        name = repo.path.split("/")[-1]
        path = f"{account}/{name}" if f"{account}/{name}" not in self.repos else f"{account}/{name}-1"
        fork = self._add(path, repo.default_branch, (account,))
        fork.parent = repo
        fork.git("clone", "-q", "--bare", str(repo.bare), str(fork.bare))
        return fork

    def _add(self, path: str, branch: str, writers: tuple[str, ...]) -> Repo:
        bare = self.root / f"{path}.git"
        bare.mkdir(parents=True)
        repo = self.repos[path] = Repo(self.number(), path, bare, branch, writers=set(writers))
        return repo

    def delete(self, repo: Repo) -> None:
        """It, its branches, and nothing else: pull requests out of it stay open."""
        self.pulls(repo)
        del self.repos[repo.path]
        repo.gone = True
        shutil.rmtree(repo.bare)

    def rename(self, repo: Repo, path: str) -> None:
        """Give it another name; the old one leads to it."""
        self.moved[repo.path] = self.repos.pop(repo.path)
        repo.path = path
        self.repos[path] = repo

    def rename_default_branch(self, repo: Repo, name: str) -> None:
        """As forges do it: the branch itself gets the new name, and open pull requests follow."""
        repo.git("branch", "-m", repo.default_branch, name)
        for pull in self.pulls(repo):
            if pull.base == repo.default_branch:
                pull.base = name
        repo.default_branch = name

    def pulls(self, repo: Repo) -> list[Pull]:
        """Newest first, after a look at what git says of them."""
        for pull in repo.pulls.values():
            if pull.state == "open":
                self._follow(repo, pull)
        return sorted(repo.pulls.values(), key=lambda pull: -pull.number)

    def _follow(self, repo: Repo, pull: Pull) -> None:
        if pull.head.gone:
            return
        sha = pull.head.heads().get(pull.branch)
        if sha is None:
            pull.state = "closed"
            return
        pull.sha = sha
        if pull.head is not repo:
            repo.git("fetch", "-q", str(pull.head.bare), f"+{sha}:refs/pull/{pull.number}/head")
        if repo.contains(sha, pull.base):
            pull.state = "merged"

    def open(self, repo: Repo, pull: Pull) -> Pull:
        """Keep a new pull request. Raises Refused."""
        heads, bases = pull.head.heads(), repo.heads()
        if repo.archived:
            raise Refused("archived")
        if pull.branch not in heads:
            raise Refused("no head")
        if pull.base not in bases:
            raise Refused("no base")
        if pull.draft and not self.drafts:
            raise Refused("no drafts")
        if len(pull.body) > LONGEST:
            raise Refused("too long")
        if any(self._same(pull, each) for each in self.pulls(repo) if each.state == "open"):
            raise Refused("duplicate")
        if pull.head is not repo:
            repo.git("fetch", "-q", str(pull.head.bare), heads[pull.branch])
        if repo.contains(heads[pull.branch], pull.base):
            raise Refused("no commits")
        pull.sha = heads[pull.branch]
        pull.number = max(repo.pulls, default=0) + 1
        repo.pulls[pull.number] = pull
        return pull

    @staticmethod
    def _same(one: Pull, other: Pull) -> bool:
        return (one.head.id, one.branch, one.base) == (other.head.id, other.branch, other.base)

    def remark(self, repo: Repo, number: int, author: str, body: str) -> Remark:
        """Keep a comment. Raises Refused."""
        if repo.archived:
            raise Refused("archived")
        remark = Remark(self.number(), author, body)
        self.pull(repo, number).remarks.append(remark)
        return remark

    def pull(self, repo: Repo, number: int) -> Pull:
        """One pull request. Raises Refused."""
        for pull in self.pulls(repo):
            if pull.number == number:
                return pull
        raise Refused("missing")

    def delete_branch(self, repo: Repo, branch: str) -> None:
        """Raises Refused."""
        if branch not in repo.heads():
            raise Refused("no ref")
        if repo.archived or branch in repo.protected:
            raise Refused("archived" if repo.archived else "protected")
        repo.git("update-ref", "-d", f"refs/heads/{branch}")

    def merge(self, repo: Repo, number: int) -> None:
        """A person merges it, with a merge commit."""
        pull = self.pull(repo, number)
        base = repo.heads()[pull.base]
        tree = repo.git("merge-tree", "--write-tree", base, pull.sha)
        sha = repo.git("commit-tree", tree, "-p", base, "-p", pull.sha, "-m", f"merge {number}")
        repo.git("update-ref", f"refs/heads/{pull.base}", sha)
        pull.state = "merged"

    def owned(self, owner: str) -> Iterator[Repo]:
        """What belongs to an account."""
        return (repo for path, repo in sorted(self.repos.items()) if path.startswith(f"{owner}/"))
