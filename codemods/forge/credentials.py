"""Where tokens come from, and the one type that carries them: it does not print.

A token belongs to one host. None is taken from a variable that is meant for another host, so a
``fleet.toml`` that names an unknown host gets nothing.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn, Protocol
from urllib.parse import urlsplit

from codemods.forge.protocol import Denied


class Secret:
    """A token or a key. Printing, formatting, comparing with ==, pickling and copying give nothing away."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value, for the one line that needs it."""
        return self._value

    def hide(self, text: str) -> str:
        """``text`` without the value."""
        return text.replace(self._value, "***")

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret stays in this process")


class Credential(Protocol):
    """Something that yields a token that is valid now. Raises ForgeError when it cannot."""

    def secret(self) -> Secret:
        """The token, renewed when it was about to expire."""


class Token:
    """A token that somebody made by hand or that a CI job was given."""

    def __init__(self, secret: Secret) -> None:
        self._secret = secret

    def secret(self) -> Secret:
        """The token."""
        return self._secret


def from_environment(host: str, environ: Mapping[str, str] = os.environ) -> Secret | None:
    """The token for ``host``: ``LOOPMEND_TOKEN_<HOST>``, or the variables that this host's own tools use.

    In capitals, with ``_`` for a dot, ``__`` for a hyphen, ``___`` for the colon of a port and five for a slash,
    so that no two hosts share a name: ``LOOPMEND_TOKEN_GIT__LAB_EXAMPLE_ORG___8443``. ``GH_TOKEN`` and
    ``GITHUB_TOKEN`` are for the server that ``GITHUB_SERVER_URL`` names (github.com when unset),
    ``GITLAB_TOKEN`` for that of ``CI_SERVER_URL`` (gitlab.com), ``GITEA_TOKEN`` and ``FORGEJO_TOKEN``
    for that of ``GITEA_SERVER_URL`` and ``FORGEJO_SERVER_URL`` (codeberg.org).
    """
    for name in variables_for(host, environ):
        if value := environ.get(name, "").strip():
            return Secret(_plausible(value, name))
    return None


def variables_for(host: str, environ: Mapping[str, str] = os.environ) -> list[str]:
    """The names of all variables that may hold the token for a host, the first one counts."""
    names = [variable_for(host)]
    for variables, server, default in _USUAL:
        if (server_of(environ.get(server, "")) or default) == host:
            names += variables
    return names


def variable_for(host: str) -> str:
    """The name of the variable that holds the token for a host."""
    name = host.upper().replace("-", "__").replace(":", "___").replace("/", "_____")
    return "LOOPMEND_TOKEN_" + re.sub(r"\W", "_", name)


def server_of(url: str) -> str:
    """What a server is called here, given its URL: its host, the port, and the path that it is below."""
    address = urlsplit(url if "://" in url else f"//{url}")
    return f"{address.netloc.rpartition('@')[2].lower()}{address.path}".rstrip("/")


_USUAL = (
    (("GH_TOKEN", "GITHUB_TOKEN"), "GITHUB_SERVER_URL", "github.com"),
    (("GITLAB_TOKEN",), "CI_SERVER_URL", "gitlab.com"),
    (("GITEA_TOKEN",), "GITEA_SERVER_URL", None),
    (("FORGEJO_TOKEN",), "FORGEJO_SERVER_URL", "codeberg.org"),
)


def from_file(path: Path) -> Secret:
    """The token in a file that only its owner can read. Raises Denied when others can, or it holds no token."""
    return Secret(_plausible(read_private(path).strip(), str(path)))


def read_private(path: Path) -> str:
    """The text of a file that is the user's own and closed to everybody else. Raises Denied."""
    try:
        with path.open(encoding="ascii") as file:
            # Of the open file, not of the name: the name may be somebody else's file a moment later.
            status = os.fstat(file.fileno())
            if os.name == "posix" and (stat.S_IMODE(status.st_mode) & 0o077 or status.st_uid != os.geteuid()):
                raise Denied(f"{path} can be read by others: chmod 600 {path}")
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise Denied(f"{path} cannot be read as a secret: {type(error).__name__}") from None


def _plausible(value: str, source: str) -> str:
    """A line break or a space would end up in a header; the value itself is not shown."""
    if not re.fullmatch(r"[!-~]{8,}", value):
        raise Denied(f"{source} holds no token: one line of printable characters is expected")
    return value
