"""LM406 cached-test-client."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from codemods.catalog.resources import constructor_names
from codemods.model import Finding, Related, Severity
from codemods.project.cached_clients import CachedClient, cached_clients, is_renewed, users
from codemods.project.event_loop import NAME
from codemods.project.fixtures_graph import Suite, find_suites
from codemods.project.pytest_asyncio_version import LOOP_SCOPE, MARK_SCOPE, NO_EVENT_LOOP, TEST_LOOP_SCOPE
from codemods.project.pytest_config import FIXTURE_OPTION, TEST_OPTION
from codemods.project.pytest_syntax import Test
from codemods.project.tree import Project
from codemods.rules.base import ProjectRule

_MADE = re.compile(rb"(?m)^(\w[^=\n]*=|[ \t]+\w+[^=\n]*=|[ \t]+return)[ \t]*(?:await[ \t]+)?(?:\w+\.)*(\w+)\(")
_KEPT = re.compile(rb"(?m)^[ \t]+global[ \t]|^@\w[\w.]*cache")


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
        tails = {name.rpartition(".")[2].encode() for name in constructor_names()}
        return any(_keeps_client(source.data, tails) for source in sources)

    def find_in(self, project: Project) -> Iterator[Finding]:
        """One finding at each client."""
        clients = [client for module in project.modules.values() for client in cached_clients(module)]
        for suite in find_suites(project) if clients else ():
            for client in clients:
                tests = users(suite, client)
                loops = {_loop(suite, test): test for test in reversed(tests)}
                if len(loops) > 1 and not is_renewed(suite, client):
                    yield self._at(suite, client, sorted(loops.values(), key=lambda t: (t.module.path, t.node.lineno)))

    def _at(self, suite: Suite, client: CachedClient, tests: list[Test]) -> Finding:
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
            refusal=_remedy(suite),
            related=tuple(related),
        )


def _keeps_client(data: bytes, tails: set[bytes]) -> bool:
    """Whether a top-level assignment, or in a file with ``global`` or a cache any, calls such a constructor."""
    keeps = _KEPT.search(data) is not None
    return any(m[2] in tails and (keeps or not m[1][:1].isspace()) for m in _MADE.finditer(data))


def _loop(suite: Suite, test: Test) -> object:
    """What tells the loop of a test apart from those of other tests."""
    scope = suite.loops.of_test(test)
    override = None if suite.version.at_least(NO_EVENT_LOOP) else suite.chains(test).get(NAME, [None])[0]
    if override is not None and scope == "function":
        scope = override.scope
    match scope:
        case "function":
            return test
        case "class":
            return test.module.path, test.owner
        case "module":
            return test.module.path
        case "package":
            return PurePosixPath(test.module.path).parent
    return "session"


def _remedy(suite: Suite) -> str:
    version, config = suite.version, suite.config.path or "pytest.ini"
    alone = "make the client in a function-scoped async fixture that closes it"
    if version.at_least(TEST_LOOP_SCOPE):
        shared = f'set {FIXTURE_OPTION} and {TEST_OPTION} to "session" in {config}'
    elif version.at_least(LOOP_SCOPE):
        shared = f'put @pytest.mark.asyncio(loop_scope="session") on these tests and set {FIXTURE_OPTION} to "session"'
    elif version.at_least(MARK_SCOPE) and version.older_than(LOOP_SCOPE):
        shared = 'put @pytest.mark.asyncio(scope="session") on these tests'
    elif version.older_than(MARK_SCOPE):
        shared = "override the event_loop fixture with one of scope session"
    else:
        shared = "run the tests on one loop (how depends on the version of pytest-asyncio, which is unknown here)"
    return f"two ways out, and which one is meant is not to be seen: {alone}, or {shared}"
