"""How requests get to GitHub through PyGithub's requester, and what its refusals mean.

Requester, not PyGithub's objects: those fetch missing attributes behind one's back, take a 307 (which
GitHub answers a POST to a renamed repository with) for a pull request without attributes, and repeat.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import github
import requests
from github.Requester import HTTPRequestsConnectionClass, HTTPSRequestsConnectionClass

from codemods.forge.credentials import Credential
from codemods.forge.over_requests import Answered, outcome, tame
from codemods.forge.protocol import Denied, Exists, ForgeError, NotFound, Unavailable
from codemods.forge.wire import AGENT, TIMEOUT, Answer, Query

GRAPHQL = "/graphql"
_SECONDARY = 60.0
"""GitHub asks for a minute at least where a secondary limit comes without Retry-After."""


class PyGithubWire:
    """A Wire over PyGithub's requester, on a connection of its own that follows and repeats nothing."""

    def __init__(self, api: str, credential: Credential) -> None:
        self._requester = github.Github(
            base_url=api,
            auth=_Bearer(credential),
            user_agent=AGENT,
            retry=None,
            # GitHub asks robots for a second between two writes; a forge in the house sets its own pace.
            seconds_between_requests=None,
            seconds_between_writes=1 if urlsplit(api).hostname == "api.github.com" else None,
        ).requester
        address = urlsplit(api)
        self.root = address.path
        connection = HTTPSRequestsConnectionClass if address.scheme == "https" else HTTPRequestsConnectionClass
        self._connection = connection(str(address.hostname), address.port, timeout=TIMEOUT, retry=0)
        tame(self._connection.session)

    def send(self, method: str, path: str, query: Query, body: Any) -> Answer:
        """See Wire.send."""
        target = self._requester.graphql_url if path == GRAPHQL else path
        try:
            status, headers, text = self._requester.requestJson(
                method, target, dict(query), {"Accept": "application/vnd.github+json"}, body, self._connection
            )
        except Answered as refused:
            return refused.answer
        except requests.RequestException as error:
            raise outcome(error, str(self._connection.host)) from None
        return Answer.of(status, headers.items(), text)


class _Bearer(github.Auth.Auth):
    """Asks the credential at each request, since an app's token lives for an hour."""

    def __init__(self, credential: Credential) -> None:
        self._credential = credential

    @property
    def token_type(self) -> str:
        return "Bearer"

    @property
    def token(self) -> str:
        return self._credential.secret().reveal()


def explain(answer: Answer) -> ForgeError | None:
    """What GitHub means by an answer where the status alone does not say it."""
    told = answer.message
    if answer.status == 200 and isinstance(answer.data, dict) and answer.data.get("errors"):
        return _explain_graphql(answer)
    if answer.status == 403 and "rate limit" in told.lower():
        return Unavailable(told, answer.retry_after or _SECONDARY)
    if answer.status != 422:
        return None
    if "already exists" in told:
        return Exists(told)
    if "too quickly" in told or "abuse" in told:
        return Unavailable(told, answer.retry_after or _SECONDARY)
    if "Draft pull requests are not supported" in told:
        return Denied(told)
    if "does not exist" in told or "head invalid" in told or "base invalid" in told:
        return NotFound(f"there is no such branch ({told})")
    return None


def _explain_graphql(answer: Answer) -> ForgeError:
    kinds = {error.get("type") for error in answer.data["errors"]}
    if "RATE_LIMITED" in kinds:
        return Unavailable(answer.message, answer.retry_after or _SECONDARY)
    if "NOT_FOUND" in kinds:
        return NotFound(answer.message)
    if kinds & {"STALE_DATA", "FORBIDDEN"}:
        return Denied(answer.message)
    return ForgeError(answer.message)
