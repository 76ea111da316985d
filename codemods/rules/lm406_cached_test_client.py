"""LM406 cached-test-client."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from codemods.catalog.resources import constructor_names
from codemods.model import Finding, Related, Severity
from codemods.project.tree import Project
from codemods.rules.base import ProjectRule

if TYPE_CHECKING:
    from codemods.rules.clients_of_tests import SharedClient

_CALLED = rb"[ \t]*(?:await[ \t]+)?(?:\w+\.)*(\w+)\("
_MADE_AT_TOP = re.compile(rb"\n\w[^=\n]*=" + _CALLED)
_MADE_BELOW = re.compile(rb"\n[ \t]+(?:\w+[^=\n]*=|return)" + _CALLED)
_KEPT = re.compile(rb"\n[ \t]+global[ \t]|\n@\w[\w.]*cache")


class CachedTestClient(ProjectRule):
    """An async client that a module keeps, used by tests that have a loop each.

    What it finds
        Clients, engines and connections of the registry that are made once, at the top of a module,
        under `global`, or in a function with a cache, and that several async tests use, themselves,
        through functions of that module, or in their fixtures, while each test runs on a loop of its own.

    Why it breaks
        The first test opens a connection on its loop, and the loop is closed when the test ends. The
        next test takes the same connection out of the client: `RuntimeError: Event loop is closed`, or
        `got Future attached to a different loop`.

    What it changes
        Nothing: whether the tests should share a loop, or the client should be made anew for each, is
        not for a tool to say. The finding names the way for the version of pytest-asyncio in use.

    When it refuses
        Always. Tests that replace or mock something, clients of an application in the same process
        (`transport=`, `app=`), libraries that no loop owns (aiosqlite, psycopg) and tests that already
        share a loop are left alone.

    Safety
        There is nothing to apply.
    """

    code = "LM406"
    name = "cached-test-client"
    fixable = False

    def starts(self, project: Project, paths: Sequence[str]) -> bool:
        """Only where there are async tests and a module keeps what a constructor of the registry makes."""
        sources = [source for path in paths if (source := project.source(path))]
        if not any(b"async def test" in source.data for source in sources):
            return False
        names = constructor_names().union(*(resource.constructors for resource in project.resources))
        tails = {name.rpartition(".")[2].encode() for name in names}
        return any(_keeps_client(source.data, tails) for source in sources)

    def find_in(self, project: Project) -> Iterator[Finding]:
        """One finding at each client."""
        # Many projects have needles, few have such a client; the fixtures and the versions cost 40 ms to import.
        from codemods.rules.clients_of_tests import shared_clients

        return map(self._at, shared_clients(project))

    def _at(self, shared: SharedClient) -> Finding:
        client, tests = shared.client, shared.tests
        first, second = tests[:2]
        more = f" (and {len(tests) - 2} more)" if len(tests) > 2 else ""
        related = [Related(t.module.path, t.module.span(t.node), f"{t.node.name} uses it") for t in tests[:3]]
        what = f"the {client.kind} that {client.name}{'() caches' if client.is_function else ' keeps'}"
        return self.finding(
            client.module,
            client.statement,
            f"{what} belongs to the loop of the first test that opens a connection, {first.node.name} say; that loop "
            f"is closed when {second.node.name}{more} uses it: RuntimeError: Event loop is closed",
            Severity.ERROR,
            refusal=shared.remedy,
            related=tuple(related),
        )


def _keeps_client(data: bytes, tails: set[bytes]) -> bool:
    """Whether a top-level assignment, or in a file with ``global`` or a cache any, calls such a constructor."""
    if not tails.isdisjoint(_MADE_AT_TOP.findall(data)):
        return True
    may_keep = (b"global " in data or b"cache" in data) and _KEPT.search(data) is not None
    return may_keep and not tails.isdisjoint(_MADE_BELOW.findall(data))
