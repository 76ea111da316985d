"""A GitHub App: its private key signs a short-lived JWT, and the JWT buys a token for one owner.

See "Authenticating as a GitHub App installation" in GitHub's documentation. Not left to PyGithub,
whose debug log prints the answer that holds the new token.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import quote

from codemods.forge.credentials import Secret
from codemods.forge.plain import PlainWire
from codemods.forge.protocol import Denied, NotFound
from codemods.forge.wire import Client

_EARLY = 300
"""Seconds before its end at which a token is not good enough any more for what may follow."""


class AppInstallation:
    """The credential of a GitHub App where ``owner``, an organisation or a user, has installed it."""

    def __init__(self, api: str, app: str, key: Secret, owner: str, *, clock: Callable[[], float] = time.time) -> None:
        self._app, self._key, self._owner, self._clock = app, key, owner, clock
        self._client = Client(PlainWire(api, lambda: f"Bearer {self._jwt()}"))
        self._token: Secret | None = None
        self._until = 0.0
        self._turn = threading.Lock()

    def secret(self) -> Secret:
        """The installation's token; a new one when less than five minutes are left of its hour."""
        with self._turn:
            if self._token is None or self._clock() > self._until - _EARLY:
                self._token, self._until = self._exchange()
            return self._token

    def _exchange(self) -> tuple[Secret, float]:
        # A second token does no harm: the first one, unknown to anybody, expires.
        path = f"/app/installations/{self._installation()}/access_tokens"
        return self._client.settle("POST", path, {}, _token)

    def _installation(self) -> int:
        for kind in ("orgs", "users"):
            try:
                path = f"/{kind}/{quote(self._owner)}/installation"
                return self._client.read(path, lambda data: int(data["id"]))
            except NotFound:
                continue
        raise Denied(f"the GitHub App {self._app} is not installed for {self._owner}")

    def _jwt(self) -> str:
        import jwt

        now = int(self._clock())
        # A minute back for clocks that differ; GitHub takes ten minutes at most.
        claims = {"iat": now - 60, "exp": now + 540, "iss": self._app}
        try:
            return jwt.encode(claims, self._key.reveal(), algorithm="RS256")
        except (ValueError, TypeError, jwt.PyJWTError):
            raise Denied("the key of the GitHub App is not an RSA private key in PEM format") from None


def _token(data: Any) -> tuple[Secret, float]:
    """The token and the time of its end."""
    return Secret(data["token"]), datetime.fromisoformat(data["expires_at"]).timestamp()
