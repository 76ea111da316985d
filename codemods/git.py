"""The git command line, for repositories of strangers: nothing of theirs is run, no secret leaks.

A repository is a bare clone. Nothing is checked out here, so no attribute, filter, hook or symbolic
link of the repository ever counts: files are read as blobs, and commits are made out of blobs.

The password of the account travels in the environment of git and its children. There it reaches
neither the argument list, nor the URL, nor ``.git/config``, nor git's own traces, and the credential
helper that reads it answers for one origin only (``http.extraHeader`` would follow a redirect).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

_LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}
_KEPT = (
    "PATH",
    "TMPDIR",
    "TEMP",
    "TMP",
    "SYSTEMROOT",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "no_proxy",
    "NO_PROXY",
)
"""The variables that git gets from us: where programs, certificates and the proxy are. No HOME: it has a .netrc."""

_CONFIG = {
    "core.hooksPath": os.devnull,
    "core.attributesFile": os.devnull,
    "core.excludesFile": os.devnull,
    "core.fsmonitor": "false",
    "core.protectHFS": "true",
    "core.protectNTFS": "true",
    "credential.helper": "",
    "http.followRedirects": "false",
    "http.lowSpeedLimit": "1000",
    "http.lowSpeedTime": "60",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "submodule.recurse": "false",
    "fetch.recurseSubmodules": "false",
    "commit.gpgSign": "false",
    "push.gpgSign": "false",
    "advice.detachedHead": "false",
    "filter.lfs.smudge": "",
    "filter.lfs.process": "",
    "filter.lfs.required": "false",
}
_HELPER = (
    '!f() { test "$1" = get && printf "username=%s\\npassword=%s\\n"'
    ' "$LOOPMEND_GIT_USERNAME" "$LOOPMEND_GIT_PASSWORD"; }; f'
)


class GitError(Exception):
    """Git failed. The message is git's own, without any secret."""


class MovedError(GitError):
    """The branch is not where the push expected it."""


@dataclass(frozen=True)
class Remote:
    """Where to clone from and push to. Raises ValueError for a URL that would send a password in the clear."""

    url: str
    username: str = ""
    password: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOCAL_HOSTS):
            raise ValueError(f"only https:// URLs are cloned, not {parts.scheme}://")
        if parts.username or parts.password:
            raise ValueError("a URL with a password in it is shown everywhere; give the token by itself")

    @property
    def origin(self) -> str:
        """Scheme, host and port: what the password is for."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


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

    def fetch(self, commit: str, *, of: Remote | None = None) -> None:
        """Get one commit, without its history. Raises GitError."""
        remote = of or self._remote
        self._run(
            *("fetch", "--quiet", "--depth=1", "--no-tags", "--no-write-fetch-head", "--", remote.url, commit),
            remote=remote,
        )

    def tree_and_message(self, commit: str) -> tuple[str, str]:
        """What a commit that is here says: the id of its tree, and its message."""
        head, _, message = self._run("cat-file", "commit", commit).decode("utf-8", "replace").partition("\n\n")
        return head.partition("\n")[0].removeprefix("tree "), message

    # -- writing ------------------------------------------------------------------------------

    def commit(self, parent: str, changes: Mapping[str, tuple[bytes, bool]], message: str, author: Person) -> str:
        """A commit on ``parent`` with files changed (contents, executable). It is in the clone only.

        ``{tree}`` in the message becomes the id of the tree.
        """
        rows: list[bytes] = []
        for path, (data, executable) in changes.items():
            if not is_plain(path):
                raise GitError(f"{path!r} leads out of the repository")
            oid = self._line("hash-object", "-w", "--no-filters", "--stdin", stdin=data)
            rows.append(f"{'100755' if executable else '100644'} {oid}\t".encode() + os.fsencode(path) + b"\0")
        with tempfile.TemporaryDirectory(dir=self.directory) as folder:
            index = {"GIT_INDEX_FILE": os.path.join(folder, "index")}
            self._run("read-tree", parent, extra=index)
            self._run("update-index", "-z", "--index-info", stdin=b"".join(rows), extra=index)
            tree = self._line("write-tree", "--missing-ok", extra=index)
        who = {
            f"GIT_{role}_{key}": value
            for role in ("AUTHOR", "COMMITTER")
            for key, value in (("NAME", author.name), ("EMAIL", author.email))
        }
        text = message.replace("{tree}", tree).encode()
        return self._line("commit-tree", tree, "-p", parent, "-F", "-", stdin=text, extra=who)

    def push(self, commit: str, branch: str, *, expected: str, to: Remote | None = None) -> None:
        """Put ``branch`` of the remote (or of ``to``) at ``commit``, if it stands at ``expected``.

        Of the two, nothing means that the branch is not there.

        Raises MovedError when it does not. Any other GitError leaves it open whether the push took effect.
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


def environment_for(remote: Remote) -> dict[str, str]:
    """The whole environment of a git process that talks to ``remote``."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    config = dict(_CONFIG)
    secret: dict[str, str] = {}
    if remote.password:
        config[f"credential.{remote.origin}.helper"] = _HELPER
        secret = {"LOOPMEND_GIT_USERNAME": remote.username, "LOOPMEND_GIT_PASSWORD": remote.password}
    numbered: dict[str, str] = {"GIT_CONFIG_COUNT": str(len(config))}
    for number, (key, value) in enumerate(config.items()):
        numbered[f"GIT_CONFIG_KEY_{number}"] = key
        numbered[f"GIT_CONFIG_VALUE_{number}"] = value
    return {
        **kept,
        **numbered,
        **secret,
        "LC_ALL": "C",
        "HOME": os.devnull,
        "GIT_ALLOW_PROTOCOL": urlsplit(remote.url).scheme,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
    }


def run_git(
    arguments: Iterable[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdin: bytes = b"",
    stdout: int = subprocess.PIPE,
    timeout: float = 300,
) -> bytes:
    """Run git in a process group of its own, which is killed when the time is over.

    Raises GitError.
    """
    command = ["git", *arguments]
    verb = next((word for word in command[1:] if word.islower() and not word.startswith("-") and "." not in word), "")
    with tempfile.TemporaryFile() as given:
        given.write(stdin)
        given.seek(0)
        process = subprocess.Popen(
            command, cwd=cwd, env=env, stdin=given, stdout=stdout, stderr=subprocess.PIPE, start_new_session=True
        )
        try:
            out, err = process.communicate(timeout=timeout)
        except BaseException as error:
            kill_group(process)
            process.communicate()
            if isinstance(error, subprocess.TimeoutExpired):
                raise GitError(f"git {verb} took longer than {timeout:g} s") from None
            raise
    if process.returncode:
        said = (err.decode("utf-8", "replace") + (out or b"").decode("utf-8", "replace")).strip()
        if password := env.get("LOOPMEND_GIT_PASSWORD"):
            said = said.replace(password, "***")
        raise GitError(f"git {verb}: {said[-1000:] or f'exit code {process.returncode}'}")
    return out or b""


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a process that was started in a session of its own, with all that it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()
