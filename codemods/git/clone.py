"""A repository of somebody else, without a checkout.

It is a bare clone. Nothing is checked out, so no attribute, filter, hook or symbolic link of the
repository ever counts: files are read as blobs, and commits are made out of blobs.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from codemods.git.process import GitError, MovedError, RefusedError, Remote, environment_for, run_git


@dataclass(frozen=True, slots=True)
class Blob:
    """A regular file in a commit."""

    path: str
    oid: str
    executable: bool


@dataclass(frozen=True, slots=True)
class Person:
    """Who a commit is by."""

    name: str
    email: str


class Clone:
    """A bare clone of one branch, its newest commit only, blobs fetched as they are asked for."""

    def __init__(self, directory: Path, remote: Remote, branch: str, *, timeout: float = 300) -> None:
        self.directory = directory
        self.branch = branch
        self._remote = remote
        self._timeout = timeout

    @classmethod
    def make(
        cls, directory: Path, remote: Remote, branch: str, *, complete: bool = False, timeout: float = 300
    ) -> Clone:
        """Clone ``branch`` into ``directory``, which must not exist yet.

        ``complete``: with the whole history and all blobs, which a push to another repository needs.
        Raises GitError.
        """
        clone = cls(directory, remote, branch, timeout=timeout)
        little = () if complete else ("--depth=1", "--filter=blob:none")
        options = ("--bare", "--quiet", "--template=", "--single-branch", "--no-tags", f"--branch={branch}", *little)
        clone._run("clone", *options, "--", remote.url, str(directory), cwd=directory.parent)
        return clone

    @classmethod
    def empty(cls, directory: Path, remote: Remote, *, timeout: float = 300) -> Clone:
        """A repository with nothing in it: enough to look at branches and to delete them. Raises GitError."""
        clone = cls(directory, remote, "", timeout=timeout)
        clone._run("init", "--bare", "--quiet", "--template=", "--", str(directory), cwd=directory.parent)
        return clone

    # -- reading ------------------------------------------------------------------------------

    def tip(self) -> str:
        """The commit that the branch stood at when it was cloned."""
        return self._line("rev-parse", "--verify", f"refs/heads/{self.branch}^{{commit}}")

    def blobs(self, commit: str) -> Iterator[Blob]:
        """The regular files of a commit: no symbolic links, no submodules, no path that leaves the tree."""
        for row in self._run("ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0"):
            if not row:
                continue
            head, _, name = row.partition(b"\t")
            mode, _, oid = head.decode().split()
            path = os.fsdecode(name)
            if mode in ("100644", "100755") and is_plain(path):
                yield Blob(path, oid, mode == "100755")

    def contents(self, blobs: Sequence[Blob]) -> Iterator[tuple[Blob, bytes]]:
        """The bytes of the blobs, fetched in one go and read one after the other."""
        if not blobs:
            return
        wanted = "".join(blob.oid + "\n" for blob in blobs).encode()
        if self._line("config", "--default=false", "--get", "remote.origin.promisor") == "true":
            options = ("--no-tags", "--no-write-fetch-head", "--recurse-submodules=no", "--filter=blob:none")
            self._run(
                "-c", "fetch.negotiationAlgorithm=noop", "fetch", "--quiet", *options, "--stdin", "origin", stdin=wanted
            )
        with tempfile.TemporaryFile() as answer:
            self._run("cat-file", "--batch", "--buffer", stdin=wanted, stdout=answer.fileno())
            answer.seek(0)
            for blob in blobs:
                kind_and_size = answer.readline().split()
                if len(kind_and_size) != 3:
                    raise GitError(f"the server keeps back {blob.path!r}")
                yield blob, answer.read(int(kind_and_size[2]))
                answer.read(1)

    def branches(self, prefix: str, *, of: Remote | None = None) -> dict[str, str]:
        """The branches of the remote (or of another one) whose name starts so, and where they stand now."""
        remote = of or self._remote
        listed = self._run("ls-remote", "--refs", "--", remote.url, f"refs/heads/{prefix}*", remote=remote).decode()
        rows = (line.partition("\t") for line in listed.splitlines())
        return {ref.removeprefix("refs/heads/"): sha for sha, _, ref in rows}

    def has(self, commit: str) -> bool:
        """Whether a commit is here already; without a protocol, git cannot go and fetch it."""
        try:
            self._run("cat-file", "-e", f"{commit}^{{commit}}", extra={"GIT_ALLOW_PROTOCOL": "none"})
        except GitError:
            return False
        return True

    def fetch(self, commit: str, *, of: Remote | None = None, parent_is_here: bool = False) -> None:
        """Get one commit of a remote. Raises GitError.

        Without ``parent_is_here`` it comes without a history, and cannot be pushed.
        """
        remote = of or self._remote
        depth = () if parent_is_here else ("--depth=1",)
        options = ("--quiet", "--no-tags", "--no-write-fetch-head", *depth)
        self._run("fetch", *options, "--", remote.url, commit, remote=remote)

    def tree_and_message(self, commit: str) -> tuple[str, str]:
        """What a commit that is here says: the id of its tree, and its message."""
        head, _, message = self._run("cat-file", "commit", commit).decode("utf-8", "replace").partition("\n\n")
        return head.partition("\n")[0].removeprefix("tree "), message

    # -- writing ------------------------------------------------------------------------------

    def tree(self, commit: str, changes: Mapping[str, tuple[bytes, bool]]) -> str:
        """The tree of a commit with files changed (contents, executable); its id. Raises GitError."""
        rows: list[bytes] = []
        for path, (data, executable) in changes.items():
            if not is_plain(path):
                raise GitError(f"{path!r} leads out of the repository")
            oid = self._line("hash-object", "-w", "--no-filters", "--stdin", stdin=data)
            rows.append(f"{'100755' if executable else '100644'} {oid}\t".encode() + os.fsencode(path) + b"\0")
        with tempfile.TemporaryDirectory(dir=self.directory) as folder:
            index = {"GIT_INDEX_FILE": os.path.join(folder, "index")}
            self._run("read-tree", commit, extra=index)
            self._run("update-index", "-z", "--index-info", stdin=b"".join(rows), extra=index)
            return self._line("write-tree", "--missing-ok", extra=index)

    def commit(self, parent: str, tree: str, message: str, author: Person) -> str:
        """A commit of a tree on ``parent``, in the clone only."""
        who = {
            f"GIT_{role}_{key}": value
            for role in ("AUTHOR", "COMMITTER")
            for key, value in (("NAME", author.name), ("EMAIL", author.email))
        }
        return self._line("commit-tree", tree, "-p", parent, "-F", "-", stdin=message.encode(), extra=who)

    def push(self, commit: str, branch: str, *, expected: str, to: Remote | None = None) -> None:
        """Put ``branch`` of the remote (or of ``to``) at ``commit``, if it stands at ``expected``.

        Of the two, nothing means that the branch is not there.

        Raises MovedError when it does not, and RefusedError when the server takes no such push. Any other
        GitError leaves it open whether the push took effect.
        """
        ref = f"refs/heads/{branch}"
        remote = to or self._remote
        try:
            self._run(
                *("push", "--quiet", "--porcelain", "--no-verify", f"--force-with-lease={ref}:{expected}"),
                *("--", remote.url, f"{commit}:{ref}"),
                remote=remote,
            )
        except GitError as error:
            if "(stale info)" in str(error):
                raise MovedError(f"{branch} has moved") from error
            if refused := re.search(r"\[remote rejected\] \((.*)\)", str(error)):
                said = "; ".join(re.findall(r"^remote: *(?:error: *)?(\S.*?) *$", str(error), re.MULTILINE))
                why = f"{refused[1]}: {said}" if said else refused[1]
                raise RefusedError(f"the server does not take a push to {branch} ({why})") from error
            raise

    @contextlib.contextmanager
    def worktree(self, commit: str) -> Iterator[Path]:
        """A real checkout of a commit, for running the project's own commands; it is gone afterwards."""
        with tempfile.TemporaryDirectory(dir=self.directory.parent, prefix="worktree-") as folder:
            place = Path(folder) / "project"
            self._run("worktree", "add", "--quiet", "--detach", str(place), commit)
            try:
                yield place
            finally:
                shutil.rmtree(place, ignore_errors=True)
                self._run("worktree", "prune")

    # -- git ----------------------------------------------------------------------------------

    def _line(self, *arguments: str, stdin: bytes = b"", extra: Mapping[str, str] | None = None) -> str:
        return self._run(*arguments, stdin=stdin, extra=extra).decode().strip()

    def _run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        stdout: int = subprocess.PIPE,
        extra: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        remote: Remote | None = None,
    ) -> bytes:
        environment = {**environment_for(remote or self._remote), **(extra or {})}
        return run_git(
            arguments, cwd=cwd or self.directory, env=environment, stdin=stdin, stdout=stdout, timeout=self._timeout
        )


def is_plain(path: str) -> bool:
    """Whether a path of a tree stays inside of the tree and out of git's own folder."""
    parts = path.split("/")
    forbidden = ("", ".", "..")
    if os.sep == "\\" and ("\\" in path or ":" in path):
        return False
    return not any(part in forbidden or part.lower() == ".git" for part in parts) and "\0" not in path
