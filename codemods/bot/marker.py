"""What the bot remembers in the description of a pull request: an HTML comment that nobody sees."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from codemods.bot.groups import Scope
from codemods.bot.policy import GroupBy

_MARKER = re.compile(r"<!-- loopmend:pull-request (\{.*?\}) -->")
_TOLD = re.compile(r"<!-- loopmend:told ([0-9a-f ]*) -->")


@dataclass(frozen=True)
class Marker:
    """The truth about a pull request of ours, kept where everybody who runs the bot finds it."""

    scope: Scope
    ids: frozenset[str]
    """The findings that it mends."""
    files: frozenset[str]
    """The files that they are in, as ``short`` names them."""
    head: str
    """The commit that the bot has pushed."""
    digest: str
    """Of the patch, without line numbers: what changes when there is something new."""
    title: str = ""
    """Of the title, as ``short`` makes it: a title that is another one by now is somebody's."""
    withdrawn: bool = False
    """The bot has closed it itself, so its being closed is nobody's no."""

    def render(self) -> str:
        """The comment. Nothing in it ends it, and nothing in it is markup."""
        scope = self.scope
        data = {
            "key": scope.key,
            "by": scope.by.value,
            "name": scope.name,
            "unsafe": scope.unsafe,
            "base": scope.base,
            "select": list(scope.select),
            "ids": sorted(self.ids),
            "files": sorted(self.files),
            "head": self.head,
            "digest": self.digest,
            "title": self.title,
            "withdrawn": self.withdrawn,
        }
        text = json.dumps(data, separators=(",", ":"))
        for character in "<>@#-&`":
            text = text.replace(character, f"\\u{ord(character):04x}")  # they can stand in strings only
        return f"<!-- loopmend:pull-request {text} -->"


def short(text: str) -> str:
    """A short name of a path or a title, which may be of any length, and hold anything."""
    return sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def read(body: str) -> Marker | None:
    """The marker of a description: the first one, since ours stands at its top. None where it is lost."""
    match = _MARKER.search(body)
    if not match:
        return None
    try:
        data: dict[str, Any] = json.loads(match[1])
        scope = Scope(
            GroupBy(data["by"]), str(data["name"]), bool(data["unsafe"]), str(data["base"]), tuple(data["select"])
        )
        ids, files = frozenset(map(str, data["ids"])), frozenset(map(str, data["files"]))
        marker = Marker(
            scope, ids, files, str(data["head"]), str(data["digest"]), str(data["title"]), bool(data["withdrawn"])
        )
    except (ValueError, KeyError, TypeError):
        return None
    return marker if scope.key == data.get("key") else None


def replaced(body: str, marker: Marker) -> str:
    """A description with another marker in the place of its own."""
    return _MARKER.sub(lambda _: marker.render(), body, count=1)


def told(ids: frozenset[str]) -> str:
    """The mark of a comment that speaks of these findings."""
    return f"<!-- loopmend:told {' '.join(sorted(ids))} -->"


def read_told(comment: str) -> frozenset[str]:
    """The findings that a comment of ours speaks of."""
    return frozenset(word for match in _TOLD.finditer(comment) for word in match[1].split())
