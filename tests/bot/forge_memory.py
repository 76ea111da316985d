"""A forge in memory, whose state of branches is real: the bare repositories that the git server serves."""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from codemods.bot.look import Look
from codemods.forge.protocol import (
    Checks,
    Comment,
    Denied,
    Exists,
    FileChange,
    ForgeError,
    GitLogin,
    NewPullRequest,
    NotFound,
    PullRequest,
    Repository,
    RepositoryId,
    State,
    Unavailable,
)
from tests.bot.git_server import GitServer

BOT = "loopmend-bot"


def git(directory: Path, *arguments: str, stdin: str | None = None) -> str:
    done = subprocess.run(
        ["git", "-c", "user.name=Ann", "-c", "user.email=ann@example.org", *arguments],
        cwd=directory,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@dataclass
class Fault:
    """The next call of a method fails, before or after it took effect."""

    method: str
    error: ForgeError
    took_effect: bool = False


@dataclass
class _Repository:
    default_branch: str = "main"
    archived: bool = False
    can_push: bool = True
    pulls: dict[int, PullRequest] = field(default_factory=dict)
    comments: dict[int, list[Comment]] = field(default_factory=dict)
    checks: Checks = Checks.NONE


class MemoryForge:
    """Behaves as GitHub does where it matters: heads follow pushes, one open pull request for a head and a base."""

    def __init__(self, server: GitServer, look: Look) -> None:
        self.server = server
        self.token = server.token
        self.look = look
        """Not a part of a forge: what the tests hand on to a visit."""
        self.host = server.url.removeprefix("http://")
        self.known: dict[str, _Repository] = {}
        self.faults: list[Fault] = []
        self.calls: list[str] = []
        self.before: Callable[[str], None] = lambda method: None
        """Called at the start of every call: for what somebody else does in the meantime."""
        self.stale = 0
        """So many lists of pull requests show what was there before the last one was opened."""
        self._made: dict[tuple[tuple[str, str], ...], str] = {}
        self._lock = threading.RLock()

    # -- for the tests ------------------------------------------------------------------------

    def add(self, path: str, files: dict[str, str], **options: object) -> RepositoryId:
        """A repository with one commit."""
        bare = self.bare(path)
        self.known[path] = _Repository(**options)  # type: ignore[arg-type]
        twin = self._made.setdefault(tuple(files.items()), path)
        if twin != path and not self.known[twin].pulls:
            shutil.copytree(self.bare(twin), bare)
            return RepositoryId(self.host, path)
        bare.mkdir(parents=True)
        git(bare, "init", "--quiet", "--bare", "--template=", "--initial-branch=main")
        git(bare, "config", "uploadpack.allowFilter", "true")
        git(bare, "config", "uploadpack.allowAnySHA1InWant", "true")
        if files:
            self.commit_files(path, "main", files)
        return RepositoryId(self.host, path)

    def repository_id(self, path: str) -> RepositoryId:
        return RepositoryId(self.host, path)

    def bare(self, path: str) -> Path:
        return self.server.root / f"{path}.git"

    def commit_files(self, path: str, branch: str, files: dict[str, str], *, message: str = "change") -> str:
        """A commit of a person on a branch; an empty text deletes the file."""
        bare = self.bare(path)
        parent = self.head(path, branch)
        base = f"from refs/heads/{branch}^0\n" if parent else ""
        rows = [f"commit refs/heads/{branch}\ncommitter Ann <ann@example.org> 1700000000 +0000\n"]
        rows.append(f"data {len(message.encode())}\n{message}\n{base}")
        for name, text in files.items():
            mode, _, name = name.rpartition(":")
            data = text.encode()
            rows.append(f"M {mode or '100644'} inline {name}\ndata {len(data)}\n{text}\n" if text else f"D {name}\n")
        git(bare, "fast-import", "--quiet", stdin="".join(rows))
        return self.head(path, branch)

    def head(self, path: str, branch: str) -> str:
        return self.branches(path).get(branch, "")

    def branches(self, path: str) -> dict[str, str]:
        listed = git(self.bare(path), "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads")
        rows = (line.split(" ") for line in listed.splitlines())
        return {name.removeprefix("refs/heads/"): sha for name, sha in rows}

    def show(self, path: str, spec: str) -> str:
        return git(self.bare(path), "show", spec)

    def merge(self, path: str, number: int) -> None:
        """Merge a pull request as a squash, and leave its branch."""
        pull = self._fresh(path, number)
        bare, base = self.bare(path), self.bare(pull.head.path)
        if bare != base:
            git(bare, "fetch", "--quiet", str(base), pull.head_sha)
        tree = git(bare, "merge-tree", "--write-tree", pull.base, pull.head_sha).splitlines()[0]
        sha = git(bare, "commit-tree", tree, "-p", pull.base, "-m", pull.title)
        git(bare, "update-ref", f"refs/heads/{pull.base}", sha)
        self.known[path].pulls[number] = replace(pull, state=State.MERGED)

    def set_state(self, path: str, number: int, state: State) -> None:
        self.known[path].pulls[number] = replace(self._fresh(path, number), state=state)

    def pulls(self, path: str, state: State | None = None) -> list[PullRequest]:
        heads: dict[str, dict[str, str]] = {}
        pulls = []
        for number, pull in self.known[path].pulls.items():
            if pull.head.path not in heads and pull.head.path in self.known:
                heads[pull.head.path] = self.branches(pull.head.path)
            pulls.append(self._fresh(path, number, heads.get(pull.head.path, {})))
        return [pull for pull in pulls if state in (None, pull.state)]

    # -- the protocol -------------------------------------------------------------------------

    def login(self) -> str:
        return BOT

    def git_login(self) -> GitLogin:
        return GitLogin("x-access-token", self.token)

    def repository(self, id: RepositoryId) -> Repository:
        with self._call("repository"):
            return self._described(id.path)

    def repositories(self, owner: str) -> Iterator[Repository]:
        return iter([self._described(path) for path in self.known if path.startswith(owner + "/")])

    def fork(self, id: RepositoryId) -> Repository:
        path = f"{BOT}/{id.path.partition('/')[2]}"
        with self._call("fork"):
            if path not in self.known:
                self.bare(path).parent.mkdir(exist_ok=True)
                git(self.server.root, "clone", "--quiet", "--bare", str(self.bare(id.path)), str(self.bare(path)))
                self.known[path] = _Repository(self.known[id.path].default_branch)
            return self._described(path)

    def pull_requests(self, id: RepositoryId, *, branch_prefix: str) -> Iterator[PullRequest]:
        with self._call("pull_requests"):
            found = [pull for pull in self.pulls(id.path) if pull.branch.startswith(branch_prefix)]
            if found and self.stale:
                self.stale -= 1
                found.pop()
            return iter(sorted(found, key=lambda pull: -pull.number))

    def open_pull_request(self, id: RepositoryId, new: NewPullRequest) -> PullRequest:
        with self._call("open_pull_request"):
            head = self.head(new.head.path, new.branch)
            if not head:
                raise ForgeError(f"there is no branch {new.branch}")
            if not new.body or len(new.body) > 65_536:
                raise ForgeError("body is too long")
            twin = (new.branch, new.head, new.base)
            if any((p.branch, p.head, p.base) == twin for p in self.pulls(id.path, State.OPEN)):
                raise Exists("A pull request already exists")
            known = self.known[id.path]
            number = len(known.pulls) + 1
            url = f"{self.server.url}/{id.path}/pull/{number}"
            pull = PullRequest(
                *(number, url, State.OPEN, new.title, new.body, new.branch, new.head, head, new.base),
                draft=new.draft,
                labels=new.labels,
                author=BOT,
            )
            known.pulls[number] = pull
            return pull

    def update_pull_request(
        self, id: RepositoryId, number: int, *, title: str | None = None, body: str | None = None
    ) -> PullRequest:
        with self._call("update_pull_request"):
            pull = self._fresh(id.path, number)
            pull = replace(pull, title=title or pull.title, body=body or pull.body)
            self.known[id.path].pulls[number] = pull
            return pull

    def close_pull_request(self, id: RepositoryId, number: int) -> None:
        with self._call("close_pull_request"):
            if self._fresh(id.path, number).state is State.OPEN:
                self.set_state(id.path, number, State.CLOSED)

    def comments(self, id: RepositoryId, number: int) -> Iterator[Comment]:
        with self._call("comments"):
            return iter(list(self.known[id.path].comments.get(number, [])))

    def comment(self, id: RepositoryId, number: int, body: str) -> None:
        with self._call("comment"):
            self.known[id.path].comments.setdefault(number, []).append(Comment(BOT, body))

    def delete_branch(self, id: RepositoryId, branch: str) -> None:
        with self._call("delete_branch"):
            git(self.bare(id.path), "update-ref", "-d", f"refs/heads/{branch}")

    def checks(self, id: RepositoryId, sha: str) -> Checks:
        with self._call("checks"):
            return self.known[id.path].checks

    def commit(
        self, id: RepositoryId, *, branch: str, parent: str, message: str, changes: Sequence[FileChange]
    ) -> str | None:
        return None

    # -- inside -------------------------------------------------------------------------------

    def _call(self, method: str) -> _Call:
        self.before(method)
        self.calls.append(method)
        return _Call(self, method)

    def _described(self, path: str) -> Repository:
        if path not in self.known:
            raise NotFound(f"there is no {path}")
        known = self.known[path]
        url = f"{self.server.url}/{path}.git"
        return Repository(RepositoryId(self.host, path), url, known.default_branch, known.archived, known.can_push)

    def _fresh(self, path: str, number: int, heads: dict[str, str] | None = None) -> PullRequest:
        """A pull request whose head has followed the pushes; it is closed when its branch is gone."""
        pull = self.known[path].pulls[number]
        if pull.state is not State.OPEN:
            return pull
        head = (heads or self.branches(pull.head.path)).get(pull.branch, "")
        pull = replace(pull, head_sha=head) if head else replace(pull, state=State.CLOSED)
        self.known[path].pulls[number] = pull
        return pull


class _Call:
    """One call: it fails where a fault says so, before or after its effect."""

    def __init__(self, forge: MemoryForge, method: str) -> None:
        self._forge = forge
        self._fault = next((fault for fault in forge.faults if fault.method == method), None)
        if self._fault:
            forge.faults.remove(self._fault)

    def __enter__(self) -> None:
        if self._fault and not self._fault.took_effect:
            raise self._fault.error
        self._forge._lock.acquire()

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._forge._lock.release()
        if self._fault and kind is None:
            raise self._fault.error


def table(body: str) -> list[str]:
    """The rows of the table in a description."""
    return re.findall(r"^\| [`<].*$", body, re.MULTILINE)


__all__ = ["BOT", "Denied", "Fault", "MemoryForge", "Unavailable", "git", "table"]
