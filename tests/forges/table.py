"""What an API takes, written down from its documentation where no description can be shipped."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote

from tests.forges.contract import Breach
from tests.forges.server import Request


@dataclass(frozen=True)
class Takes:
    """The query parameters and the properties of the body; those with a ``!`` at the end are required."""

    query: frozenset[str] = frozenset()
    body: dict[str, type] = field(default_factory=dict)


def takes(query: str = "", **body: type) -> Takes:
    """``takes("state sort", title_=str)``: a name with ``_`` at its end is required."""
    return Takes(frozenset(query.split()), body)


def _pattern(template: str) -> re.Pattern[str]:
    """A branch may hold slashes, and stands at the end."""
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template).replace("<branch>[^/]", "<branch>."))


class Table:
    """Operations by method and template, ``("GET", "/projects/{id}")``."""

    def __init__(self, operations: dict[tuple[str, str], Takes]) -> None:
        self._operations = [(method, template, _pattern(template)) for method, template in operations]
        self._takes = operations

    def find(self, request: Request) -> tuple[tuple[str, str], dict[str, str]]:
        """The operation and its parameters. Raises Breach."""
        for method, template, pattern in self._operations:
            match = pattern.fullmatch(request.path)
            if method == request.method and match:
                return (method, template), {name: unquote(value) for name, value in match.groupdict().items()}
        raise Breach(f"no such operation: {request.method} {request.path}")

    def check(self, request: Request) -> None:
        """Raises Breach for what the operation does not take, or lacks."""
        key, _ = self.find(request)
        given, known = request.body or {}, self._takes[key]
        if strange := request.query.keys() - known.query:
            raise Breach(f"{key} knows no parameter {sorted(strange)}")
        kinds = {name.rstrip("_"): kind for name, kind in known.body.items()}
        if strange := given.keys() - kinds.keys():
            raise Breach(f"{key} knows no property {sorted(strange)}")
        if wrong := [name for name, value in given.items() if type(value) is not kinds[name]]:
            raise Breach(f"{key}: {wrong} of another type")
        if missing := {name.rstrip("_") for name in known.body if name.endswith("_")} - given.keys():
            raise Breach(f"{key} lacks {sorted(missing)}")
