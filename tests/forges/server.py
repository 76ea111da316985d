"""A forge's API on a free loopback port, and the faults that a test asks of it."""

from __future__ import annotations

import json
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.forges.house import House, Repo


@dataclass(frozen=True)
class Request:
    """What arrived: ``path`` is quoted as it came, header names are in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    stale: bool = False
    """Answer from a moment ago: without the newest pull request."""


@dataclass(frozen=True)
class Reply:
    """What goes back; ``body`` None is an empty one, a str goes out as it is."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Fault:
    """What goes wrong with the next request that matches, once.

    ``part`` is a property that the body has to have. With ``after`` the forge does what it was asked, and
    only the answer is another one. ``reply`` None resets the connection. ``stale`` answers a read from a
    moment ago.
    """

    method: str
    path: str
    part: str = ""
    reply: Reply | None = None
    after: bool = False
    stale: bool = False

    def hits(self, request: Request) -> bool:
        """Whether it is this request's turn."""
        if self.part and self.part not in (request.body or ()):
            return False
        return request.method == self.method and re.search(self.path, unquote(request.path)) is not None


BAD_GATEWAY = Reply(502, "<html>Bad gateway</html>", {"Content-Type": "text/html"})
SIGN_IN = Reply(200, "<html>Sign in</html>", {"Content-Type": "text/html"})
TOO_MANY = Reply(429, {"message": "Too many requests"}, {"Retry-After": "7"})


def faults(**replies: Reply) -> dict[str, Callable[..., Fault]]:
    """Every way in which one request can go wrong, by name: those of every forge, and its own refusals.

    Each is made for a request, as ``Fault`` describes it.
    """
    own = {name.replace("_", " "): partial(Fault, reply=reply) for name, reply in replies.items()}
    return own | {
        "429": partial(Fault, reply=TOO_MANY),
        "502 after": partial(Fault, reply=BAD_GATEWAY, after=True),
        "502 before": partial(Fault, reply=BAD_GATEWAY),
        "reset after": partial(Fault, after=True),
        "reset before": partial(Fault),
        "HTML after": partial(Fault, reply=SIGN_IN, after=True),
        "204 after": partial(Fault, reply=Reply(204), after=True),
        "stale": partial(Fault, stale=True),
    }


class ForgeServer:
    """The base of the doubles: ``answer`` is their own."""

    def __init__(self, house: House, below: str = "") -> None:
        """``below``: the path that the whole server is below, ``/gitlab``."""
        self.house = house
        self.below = below
        self.faults: list[Fault] = []
        self.seen: list[Request] = []
        self.problems: list[str] = []
        """Breaches of the published API, and crashes of the double: a test with one has failed."""
        self.page_size = 100
        self.between_pages: list[Callable[[], None]] = []
        self.url = ""

    def answer(self, request: Request) -> Reply:
        """What this forge says to a request. Raises Refused."""
        raise NotImplementedError

    def sent(self, method: str, path: str) -> list[Request]:
        """The requests that arrived, faults included."""
        return [each for each in self.seen if each.method == method and re.search(path, unquote(each.path))]

    def clone_url(self, repo: Repo) -> str:
        """Where git finds it: a test that serves git overrides this on the instance."""
        return f"{self.url}/{repo.path}.git"

    def paged(self, request: Request, items: list[Any]) -> tuple[list[Any], dict[str, str]]:
        """One page and its Link header."""
        page = int(request.query.get("page", "1"))
        size = min(int(request.query.get("per_page") or request.query.get("limit") or "30"), self.page_size)
        headers = {}
        if page * size < len(items):
            query = "&".join(f"{key}={value}" for key, value in {**request.query, "page": str(page + 1)}.items())
            headers["Link"] = f'<{self.url}{request.path}?{query}>; rel="next", <{self.url}>; rel="last"'
        return items[(page - 1) * size : page * size], headers

    @contextmanager
    def running(self) -> Iterator[ForgeServer]:
        """Serves until the end of the block."""
        handler = type("Handler", (_Handler,), {"forge": self})
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            server.daemon_threads = True
            self.url = f"http://127.0.0.1:{server.server_port}{self.below}"
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()

    def handle(self, request: Request) -> Reply | None:
        """The reply, or None to reset the connection."""
        self.seen.append(request)
        fault = next((each for each in self.faults if each.hits(request)), None)
        if fault is None:
            return self._told(request)
        self.faults.remove(fault)
        if fault.stale:
            return self._told(Request(**{**vars(request), "stale": True}))
        if fault.after:
            self._told(request)
        return fault.reply

    def _told(self, request: Request) -> Reply:
        try:
            reply = self.answer(request)
        except Exception as error:
            self.problems.append(f"{request.method} {request.path}: {error!r}")
            return Reply(500, {"message": f"the double broke: {error!r}"})
        if "Link" in reply.headers and self.between_pages:
            self.between_pages.pop(0)()
        return reply


class _Handler(BaseHTTPRequestHandler):
    forge: ForgeServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _serve(self) -> None:
        address = urlsplit(self.path)
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        below = self.forge.below
        request = Request(
            method=self.command,
            path=address.path.removeprefix(below) if address.path.startswith(f"{below}/") else "/nothing/here",
            query=dict(parse_qsl(address.query, keep_blank_values=True)),
            headers={name.lower(): value for name, value in self.headers.items()},
            body=json.loads(raw) if raw else None,
        )
        reply = self.forge.handle(request)
        if reply is None:
            # Closed with no time to linger: the other side sees a reset, not an end.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
            return
        text = reply.body if isinstance(reply.body, str) else "" if reply.body is None else json.dumps(reply.body)
        self.send_response(reply.status)
        for name, value in {"Content-Type": "application/json", **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _serve  # noqa: N815

    def log_message(self, *_: Any) -> None:
        return
