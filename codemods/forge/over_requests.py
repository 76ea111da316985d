"""What PyGithub and python-gitlab have in common: ``requests`` below, which is told to be modest.

Both libraries follow redirects and repeat requests as they see fit, PyGithub 2.10 a POST after a 5xx
(``GithubRetry``), python-gitlab 8 a POST after a 429, and PyGithub drops the query when it follows a
301. So neither gets the chance: a session here takes every answer at the lowest level.
"""

from __future__ import annotations

import ssl
from typing import Any

import requests
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NameResolutionError, NewConnectionError

from codemods.forge.wire import Answer, Lost, NotSent


class Answered(Exception):
    """Carries an answer that is no success past the library's own ideas."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def tame(session: requests.Session) -> requests.Session:
    """The session, which now raises Answered for every status but 2xx."""
    session.hooks["response"] = [_take]
    return session


def _take(response: requests.Response, **_: Any) -> None:
    if not 200 <= response.status_code < 300:
        raise Answered(Answer.of(response.status_code, response.headers.items(), response.content))


def outcome(error: requests.RequestException, host: str) -> NotSent | Lost:
    """Whether a request that failed can have reached the forge. Says no more than the kind of failure."""
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else None
    if any(isinstance(each, ssl.SSLCertVerificationError) for each in getattr(reason, "args", ())):
        return NotSent(f"the certificate of {host} is not trusted")
    if isinstance(reason, NameResolutionError):
        return NotSent(f"the name {host} is not known here")
    if isinstance(reason, (NewConnectionError, ConnectTimeoutError)):
        return NotSent(f"{host} does not answer")
    return Lost(type(error).__name__)
