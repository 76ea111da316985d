"""Which forge a repository is on, and an adapter to it. The adapters and their libraries are loaded late."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from codemods.forge.credentials import (
    Credential,
    Secret,
    Token,
    from_environment,
    from_file,
    read_private,
    server_of,
    variables_for,
)
from codemods.forge.protocol import Denied, Forge, ForgeError, RepositoryId


class Kind(StrEnum):
    """The forges there is an adapter for; Forgejo speaks Gitea's language."""

    GITHUB = "github"
    GITLAB = "gitlab"
    GITEA = "gitea"


_PUBLIC = {
    "github.com": Kind.GITHUB,
    "gitlab.com": Kind.GITLAB,
    "codeberg.org": Kind.GITEA,
    "gitea.com": Kind.GITEA,
}
_IN_CI = {
    "GITEA_SERVER_URL": Kind.GITEA,
    "FORGEJO_SERVER_URL": Kind.GITEA,
    "CI_SERVER_URL": Kind.GITLAB,
    "GITHUB_SERVER_URL": Kind.GITHUB,
}
_LOCAL = re.compile(r"(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?(/.*)?")
_CLOUD = ".ghe.com"
"""GitHub Enterprise Cloud with data residency has its API on a host of its own."""
_SCP = re.compile(r"(?:[\w.-]+@)?(?P<host>[\w.-]+\.[\w.-]+):(?P<path>[^/].*)")


def parse(text: str, *, host: str = "github.com", environ: Mapping[str, str] = os.environ) -> RepositoryId:
    """The repository that ``text`` names: a URL, git's ``host:path``, ``host/owner/name`` or ``owner/name``.

    ``host`` is for the last form. Where it has a path, or the server whose CI this is, then the server is
    below that path, which a URL cannot tell from a group. Raises ForgeError when the text names none, or one
    that is asked for over plain HTTP: the token would go over it too.
    """
    below = True
    if "://" in text:
        address = urlsplit(text)
        if address.scheme == "http" and not _LOCAL.fullmatch(address.netloc):
            raise ForgeError(f"{address.hostname}: a token is sent over https only")
        # Not netloc: it may hold somebody's password; and the port of ssh is not that of the API.
        below = address.scheme in ("http", "https")
        port = f":{address.port}" if address.port and below else ""
        found, path = f"{address.hostname or ''}{port}", address.path if address.hostname else ""
    elif match := _SCP.fullmatch(text):
        found, path, below = match["host"], match["path"], False
    else:
        first, _, rest = text.partition("/")
        found, path = (first, rest) if "/" in rest and ("." in first or ":" in first) else ("", text)
    path = path.strip("/").removesuffix(".git")
    server = server_of(host) if not found else found.lower()
    for known in map(server_of, (host, *(environ.get(variable, "") for variable in _IN_CI))):
        name, _, top = known.partition("/")
        if top and name == server and (not below or path.startswith(f"{top}/")):
            server, path = known, path.removeprefix(f"{top}/") if below else path
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)+", path) or {".", ".."} & set(path.split("/")):
        raise ForgeError(f"{path or 'nothing'} is no repository: owner/name or a URL is expected")
    return RepositoryId(server, path)


def kind_of(host: str, environ: Mapping[str, str] = os.environ) -> Kind:
    """What runs there: known for the public forges and for the one whose CI this is. Raises ForgeError."""
    if host in _PUBLIC:
        return _PUBLIC[host]
    if host.endswith(_CLOUD):
        return Kind.GITHUB
    if "true" in (environ.get("GITEA_ACTIONS"), environ.get("FORGEJO_ACTIONS")) and _named(
        host, environ, "GITHUB_SERVER_URL"
    ):
        # Their runners set GitHub's variables too.
        return Kind.GITEA
    for variable, kind in _IN_CI.items():
        if _named(host, environ, variable):
            return kind
    raise ForgeError(f"say what runs on {host}: --forge {'|'.join(Kind)}")


def _named(host: str, environ: Mapping[str, str], variable: str) -> bool:
    return server_of(environ.get(variable, "")) == host


def connect(
    id: RepositoryId,
    *,
    kind: Kind | None = None,
    token_file: Path | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Forge:
    """The forge that a repository is on, with the credential for it.

    One Forge serves every repository of the same host; with a GitHub App every one of the same
    owner, for whom it was installed. Raises Denied when there is no token, ForgeError when the
    host's kind is unknown or the extra ``bot`` is not installed.
    """
    kind = kind or kind_of(id.host, environ)
    root = ("http://" if _LOCAL.fullmatch(id.host) else "https://") + id.host
    own = id.host == "github.com" or id.host.endswith(_CLOUD)
    api = {
        Kind.GITHUB: f"https://api.{id.host}" if own else f"{root}/api/v3",
        Kind.GITLAB: root,
        Kind.GITEA: f"{root}/api/v1",
    }[kind]
    credential = _credential(id, kind, api, token_file, environ)
    try:
        match kind:
            case Kind.GITHUB:
                from codemods.forge.github import GitHub

                return GitHub(id.host, api, credential)
            case Kind.GITLAB:
                from codemods.forge.gitlab import GitLab

                return GitLab(id.host, api, credential)
            case Kind.GITEA:
                from codemods.forge.gitea import Gitea

                return Gitea(id.host, api, credential)
    except ModuleNotFoundError as missing:
        raise ForgeError(f"{missing.name} is missing: pip install 'loopmend[bot]'") from None


def _credential(
    id: RepositoryId, kind: Kind, api: str, token_file: Path | None, environ: Mapping[str, str]
) -> Credential:
    if token_file is not None:
        return Token(from_file(token_file))
    if (secret := from_environment(id.host, environ)) is not None:
        return Token(secret)
    app = environ.get("LOOPMEND_APP_ID", "").strip()
    here = server_of(environ.get("GITHUB_SERVER_URL", "")) or "github.com"
    if kind is Kind.GITHUB and app and id.host == here:
        from codemods.forge.app import AppInstallation

        return AppInstallation(api, app, _app_key(environ), id.path.split("/")[0])
    variables = " or ".join(variables_for(id.host, environ))
    raise Denied(f"there is no token for {id.host}: set {variables}, or give --token-file")


def _app_key(environ: Mapping[str, str]) -> Secret:
    if text := environ.get("LOOPMEND_APP_KEY", ""):
        return Secret(text)
    if path := environ.get("LOOPMEND_APP_KEY_FILE", ""):
        return Secret(read_private(Path(path)))
    raise Denied("LOOPMEND_APP_ID needs LOOPMEND_APP_KEY_FILE or LOOPMEND_APP_KEY beside it")
