"""Running git so that nothing of a stranger's is run and no secret leaks.

The password of the account travels in the environment of git and its children. There it reaches
neither the argument list, nor the URL, nor ``.git/config``, nor git's own traces, and the credential
helper that reads it answers for one origin only (``http.extraHeader`` would follow a redirect).
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from codemods.git import children

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


class MissingError(GitError):
    """There is no git."""


class RefusedError(GitError):
    """The server has looked at the push and does not take it; asking again is no use."""


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


def environment_for(remote: Remote | None) -> dict[str, str]:
    """The whole environment of a git process that talks to ``remote``, or to nobody."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    config = dict(_CONFIG)
    secret: dict[str, str] = {}
    if remote and remote.password:
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
        "GIT_ALLOW_PROTOCOL": urlsplit(remote.url).scheme if remote else "none",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
    }


def run_git(
    arguments: Sequence[str],
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
        try:
            process = children.start(command, cwd=cwd, env=env, stdin=given, stdout=stdout, stderr=subprocess.PIPE)
        except FileNotFoundError:
            raise MissingError("git is not installed, or not on the PATH") from None
        except children.HaltedError as error:
            raise GitError(str(error)) from None
        with process:
            try:
                out, err = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                raise GitError(f"git {verb} took longer than {timeout:g} s") from None
            finally:
                children.end(process)
    if process.returncode:
        said = (err.decode("utf-8", "replace") + (out or b"").decode("utf-8", "replace")).strip()
        if password := env.get("LOOPMEND_GIT_PASSWORD"):
            said = said.replace(password, "***")
        raise GitError(f"git {verb}: {said[-1000:] or f'exit code {process.returncode}'}")
    return out or b""


def origin(checkout: Path) -> str:
    """The URL of the remote ``origin`` of a checkout; empty where there is none. Raises MissingError."""
    try:
        arguments = ("config", "--get", "remote.origin.url")
        return run_git(arguments, cwd=checkout, env=environment_for(None), timeout=10).decode().strip()
    except MissingError:
        raise
    except GitError:
        return ""
