"""How requests get to GitLab through python-gitlab, and what its refusals mean."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import gitlab
import requests

from codemods.forge.credentials import Credential
from codemods.forge.over_requests import Answered, outcome, tame
from codemods.forge.protocol import ForgeError, NotFound
from codemods.forge.wire import AGENT, TIMEOUT, Answer, Query


class PythonGitlabWire:
    """A Wire over python-gitlab's lowest call, on a session that follows and repeats nothing."""

    def __init__(self, api: str, credential: Credential) -> None:
        self._host = str(urlsplit(api).hostname)
        self.root = f"{urlsplit(api).path.rstrip('/')}/api/v4"
        self._session = tame(requests.Session())
        self._gitlab = gitlab.Gitlab(
            api, user_agent=AGENT, timeout=TIMEOUT, retry_transient_errors=False, session=self._session
        )
        # Not as an argument: asked for at each request, and never in the attributes of the library.
        self._session.auth = _Bearer(credential)

    def send(self, method: str, path: str, query: Query, body: Any) -> Answer:
        """See Wire.send."""
        words = {key: str(value).lower() if isinstance(value, bool) else value for key, value in query.items()}
        try:
            response = self._gitlab.http_request(
                method, path, query_data=words, post_data=body, obey_rate_limit=False, retry_transient_errors=False
            )
        except Answered as refused:
            return refused.answer
        except requests.RequestException as error:
            raise outcome(error, self._host) from None
        return Answer.of(response.status_code, response.headers.items(), response.content)


class _Bearer(requests.auth.AuthBase):
    def __init__(self, credential: Credential) -> None:
        self._credential = credential

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._credential.secret().reveal()}"
        return request


def explain(answer: Answer) -> ForgeError | None:
    """What GitLab means by an answer where the status alone does not say it."""
    told = answer.message
    if answer.status in (400, 409, 422) and ("does not exist" in told or "branch is invalid" in told):
        return NotFound(f"there is no such branch ({told})")
    return None
