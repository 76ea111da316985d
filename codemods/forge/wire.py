"""How adapters ask a forge over HTTP, and what its answers mean to the bot.

A ``Wire`` carries one request and one answer and never sends anything twice. ``Client`` decides what
may be asked again: reads, and writes whose repetition changes nothing. A write that creates something
goes out once; when its answer is lost or is a 5xx, nobody knows whether it took effect, and the
caller gets ``Uncertain``.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qsl, urlsplit

from codemods.forge.protocol import Denied, Exists, ForgeError, NotFound, Unavailable, Uncertain

ATTEMPTS = 4
PATIENCE = 60.0
"""The longest time in seconds that a request waits by itself; a longer wait is the caller's affair."""
TIMEOUT = 30
AGENT = "loopmend"
Query = Mapping[str, str | int | bool]
T = TypeVar("T")
Take = Callable[[Any], T]
"""Makes something of the data of an answer; it may trip over data that is not as the API says."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: header names in lower case, ``data`` as decoded JSON (None when empty)."""

    status: int
    headers: Mapping[str, str]
    data: Any = None

    @classmethod
    def of(cls, status: int, headers: Iterable[tuple[str, str]], text: str | bytes) -> Answer:
        """Raises Lost when the text of a success is not JSON: a proxy answered, not the forge."""
        try:
            data = json.loads(text) if text else None
        except ValueError:
            if status < 300:
                raise Lost("the answer is not JSON") from None
            data = None
        return cls(status, {name.lower(): value for name, value in headers}, data)

    @property
    def message(self) -> str:
        """The forge's own words for a refusal, in whichever of its shapes."""
        data = self.data if isinstance(self.data, dict) else {}
        parts = [*_words(data.get("message") or data.get("error")), *_words(data.get("errors"))]
        return "; ".join(part for part in parts if part)

    @property
    def next_page(self) -> str | None:
        """The target of ``Link: <...>; rel="next"`` (RFC 8288), which all three forges send."""
        for link in self.headers.get("link", "").split(","):
            target, _, rest = link.partition(";")
            if 'rel="next"' in rest:
                return target.strip().strip("<>")
        return None

    @property
    def retry_after(self) -> float | None:
        """The seconds that the forge asks to wait: Retry-After, or the time when the limit is reset."""
        after = self.headers.get("retry-after", "")
        if after.isdecimal():
            return float(after)
        if self._limit("remaining") == "0" and self._limit("reset").isdecimal():
            return max(0.0, float(self._limit("reset")) - time.time()) + 1
        return None

    def _limit(self, what: str) -> str:
        return self.headers.get(f"x-ratelimit-{what}") or self.headers.get(f"ratelimit-{what}") or ""


def _words(told: Any) -> Iterator[str]:
    """A text, a list of them, GitLab's ``{field: [text]}``, GitHub's list of ``{field, code, message}``."""
    if isinstance(told, list):
        for each in told:
            yield from _words(each)
    elif isinstance(told, dict) and "code" in told:
        yield str(told.get("message") or f"{told.get('field')} {told['code']}")
    elif isinstance(told, dict):
        yield from (f"{key} {text}" for key, value in told.items() for text in _words(value))
    elif told:
        yield str(told)


class Moved(NotFound):
    """The repository has another name now, and ``path`` leads to it."""

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path


class NotSent(Exception):
    """No connection: the forge has not seen the request."""


class Lost(Exception):
    """The request went out, and no usable answer came back."""


class Wire(Protocol):
    """One way to the API of one forge, with one identity. ``root`` is the path that all others are below."""

    root: str

    def send(self, method: str, path: str, query: Query, body: Any) -> Answer:
        """Any status is an answer. Follows no redirect. Raises NotSent or Lost."""


@dataclass(slots=True)
class Client:
    """The API of one forge: a request at a time, as all of them ask of robots."""

    wire: Wire
    explain: Callable[[Answer], ForgeError | None] = lambda _: None
    """What an answer means on this forge in particular; None leaves it to the status."""
    hide: Callable[[str], str] = str
    """Takes the token out of a text."""
    sleep: Callable[[float], None] = time.sleep
    page_size: str = "per_page"
    """What this forge calls the parameter."""
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def read(self, path: str, take: Take[T], **query: str | int | bool) -> T:
        """What ``take`` makes of the data at ``path``. Raises NotFound, Denied, Unavailable."""
        answer = self._patiently("GET", path, query, None)
        with self._understood("GET", path, ForgeError):
            return take(answer.data)

    def read_moved(self, path: str, take: Take[T]) -> T:
        """As ``read``, and where the forge says that it has moved, from there: once, and on the same host."""
        try:
            return self.read(path, take)
        except Moved as moved:
            if not moved.path.startswith(f"{self.wire.root}/"):
                raise
            return self.read(moved.path.removeprefix(self.wire.root), take)

    def read_all(
        self, path: str, take: Take[T | None], *, within: str | None = None, **query: str | int | bool
    ) -> list[T]:
        """Every item of a list that comes in pages, each once, by id; ``within`` names the list in an envelope.

        What ``take`` makes nothing of is left out. A list that changes between two pages moves its items
        over the edge of a page: one is seen twice, or never. So what took more than one page is read until
        nothing new turns up.
        """
        found: dict[int, Any] = {}
        for _ in range(ATTEMPTS):
            known = len(found)
            pages = list(self._pages(path, within, query))
            found |= {item["id"]: item for page in pages for item in page}
            if len(pages) == 1 or len(found) == known:
                break
        return self._taken(path, found, take)

    def read_since(self, path: str, take: Take[T | None], since: str, **query: str | int | bool) -> list[T]:
        """Of a list that only grows, newest first, what was created at ``since`` or later; each item once."""
        found: dict[int, Any] = {}
        for page in self._pages(path, None, query):
            with self._understood("GET", path, ForgeError):
                found |= {item["id"]: item for item in page if item["created_at"] >= since}
                if page and page[-1]["created_at"] < since:
                    break
        return self._taken(path, found, take)

    def _pages(self, path: str, within: str | None, query: Query) -> Iterator[list[Any]]:
        query = {self.page_size: 100, **query}
        asked = []
        while True:
            asked.append(query)
            answer = self._patiently("GET", path, query, None)
            with self._understood("GET", path, ForgeError):
                page = answer.data[within] if within else answer.data
                if not isinstance(page, list) or not all(isinstance(item["id"], int) for item in page):
                    raise TypeError("no list of numbered items")  # an empty object is no empty list
            yield page
            if answer.next_page is None:
                return
            # Only the query is taken from the forge: whatever host a link names gets no token.
            query = dict(parse_qsl(urlsplit(answer.next_page).query))
            if query in asked:
                raise ForgeError(f"GET {path}: the pages lead in a circle")

    def _taken(self, path: str, found: Mapping[int, Any], take: Take[T | None]) -> list[T]:
        with self._understood("GET", path, ForgeError):
            made = [take(found[id]) for id in sorted(found)]
        return [each for each in made if each is not None]

    def create(self, path: str, body: Any, take: Take[T]) -> T:
        """POST once. Raises Exists, Denied, Unavailable (nothing happened) or Uncertain."""
        try:
            answer = self._once("POST", path, {}, body)
        except NotSent as error:
            raise Unavailable(self.hide(f"could not connect: {error}")) from None
        except Lost as error:
            raise Uncertain(self.hide(f"no usable answer to POST {path}: {error}")) from None
        if answer.status >= 500:
            raise Uncertain(self.hide(f"POST {path} was answered with {answer.status} {answer.message}".rstrip()))
        answer = self._checked("POST", path, answer)
        with self._understood("POST", path, Uncertain):
            return take(answer.data)

    def settle(self, method: str, path: str, body: Any, take: Take[T]) -> T:
        """A write whose repetition changes nothing, asked again when the forge is not well."""
        answer = self._patiently(method, path, {}, body)
        with self._understood(method, path, Uncertain):
            return take(answer.data)

    @contextmanager
    def _understood(self, method: str, path: str, otherwise: type[ForgeError]) -> Iterator[None]:
        """For what reads data: data of another shape than the API's is the forge's fault, or a proxy's."""
        try:
            yield
        except (KeyError, IndexError, TypeError, ValueError, AttributeError):
            told = "the answer is not what this forge's API promises; is there a proxy in between?"
            raise otherwise(self.hide(f"{method} {path}: {told}")) from None

    def _patiently(self, method: str, path: str, query: Query, body: Any) -> Answer:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return self._attempt(method, path, query, body)
            except (Unavailable, Uncertain) as error:
                wait = getattr(error, "retry_after", None)
                wait = 2.0 ** (attempt - 1) if wait is None else wait
                if attempt == ATTEMPTS or wait > PATIENCE:
                    raise
                self.sleep(wait)
        raise AssertionError("unreachable")

    def _attempt(self, method: str, path: str, query: Query, body: Any) -> Answer:
        unknown = Unavailable if method == "GET" else Uncertain
        try:
            answer = self._once(method, path, query, body)
        except NotSent as error:
            raise Unavailable(self.hide(f"could not connect: {error}")) from None
        except Lost as error:
            raise unknown(self.hide(f"no usable answer to {method} {path}: {error}")) from None
        if answer.status >= 500:
            problem = unknown(self.hide(f"{method} {path} was answered with {answer.status} {answer.message}".rstrip()))
            if isinstance(problem, Unavailable):
                problem.retry_after = answer.retry_after
            raise problem
        return self._checked(method, path, answer)

    def _once(self, method: str, path: str, query: Query, body: Any) -> Answer:
        with self._turn:
            return self.wire.send(method, path, query, body)

    def _checked(self, method: str, path: str, answer: Answer) -> Answer:
        problem = self.explain(answer) or by_status(answer)
        if problem is None:
            return answer
        problem.args = (self.hide(f"{method} {path}: {answer.status} {problem}"),)
        raise problem


def by_status(answer: Answer) -> ForgeError | None:
    """What a status means where the forge says no more than that; None for a success."""
    status, told = answer.status, answer.message
    if status < 300:
        return None
    if status < 400:
        return Moved("it was renamed or moved", urlsplit(answer.headers.get("location", "")).path)
    if status == 429 or (status == 403 and answer.retry_after is not None):
        return Unavailable(told or "too many requests", answer.retry_after)
    if status == 401:
        return Denied(told or "the token is not accepted")
    if status == 403:
        return Denied(told or "the token may not do this")
    if status in (404, 410):
        return NotFound(told or ("not found" if answer.data else "not found, in words of no API: is --forge right?"))
    if status == 409:
        return Exists(told or "there already")
    return ForgeError(told or "the request was refused")


def ignore(data: Any) -> None:
    """Takes nothing out of an answer."""


@contextmanager
def best_effort(missing: list[str], what: str) -> Iterator[None]:
    """For what is nice to have: a refusal is one line more of what is missing, and that is all."""
    try:
        yield
    except ForgeError as error:
        missing.append(f"{what}: {error}")
