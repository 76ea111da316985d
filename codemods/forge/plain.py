"""A wire on the standard library, for the forges and the moments that need no more."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

from codemods.forge.wire import AGENT, TIMEOUT, Answer, Lost, NotSent, Query

_UNSENT = {
    ConnectionRefusedError: "{} does not answer",
    socket.gaierror: "the name {} is not known here",
    ssl.SSLCertVerificationError: "the certificate of {} is not trusted",
}


class PlainWire:
    """Requests below one URL. ``authorization`` is asked for the header's value each time: tokens expire."""

    def __init__(self, api: str, authorization: Callable[[], str]) -> None:
        self._api = api.rstrip("/")
        self.root = urlsplit(self._api).path
        self._authorization = authorization
        self._opener = urllib.request.build_opener(_NoRedirect)

    def send(self, method: str, path: str, query: Query, body: Any) -> Answer:
        """See Wire.send."""
        words = {key: str(value).lower() if isinstance(value, bool) else value for key, value in query.items()}
        request = urllib.request.Request(
            self._api + path + (f"?{urlencode(words)}" if words else ""),
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Accept": "application/json", "Content-Type": "application/json", "User-Agent": AGENT},
        )
        # Unredirected: a redirect that is followed by whatever means would not carry the token along.
        request.add_unredirected_header("Authorization", self._authorization())
        try:
            with self._opener.open(request, timeout=TIMEOUT) as response:
                return Answer.of(response.status, response.headers.items(), response.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer.of(error.code, error.headers.items(), error.read())
        except urllib.error.URLError as error:
            host = urlsplit(self._api).hostname
            for kind, said in _UNSENT.items():
                if isinstance(error.reason, kind):
                    raise NotSent(said.format(host)) from None
            raise Lost(type(error.reason).__name__) from None
        except (OSError, http.client.HTTPException) as error:
            raise Lost(type(error).__name__) from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """urllib would send the headers, the token among them, to wherever it is told to go."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None
