"""Which clients the tests of a project share although their loops differ, and the ways out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import NamedTuple

from codemods.project.cached_clients import CachedClient, cached_clients, is_renewed, users
from codemods.project.event_loop import NAME
from codemods.project.fixtures_graph import Suite, find_suites
from codemods.project.pytest_asyncio_version import LOOP_SCOPE, MARK_SCOPE, NO_EVENT_LOOP, TEST_LOOP_SCOPE
from codemods.project.pytest_config import FIXTURE_OPTION, TEST_OPTION
from codemods.project.pytest_syntax import Test
from codemods.project.tree import Project


class SharedClient(NamedTuple):
    """A client that crosses from the loop of one test to that of another."""

    client: CachedClient
    tests: list[Test]
    """One for each loop, in the order of their places; two at least."""
    remedy: str


def shared_clients(project: Project) -> Iterator[SharedClient]:
    """Each client with the tests of one suite that share it."""
    clients = [client for module in project.modules.values() for client in cached_clients(module)]
    for suite in find_suites(project) if clients else ():
        for client in clients:
            loops = {_loop(suite, test): test for test in reversed(users(suite, client))}
            if len(loops) > 1 and not is_renewed(suite, client):
                tests = sorted(loops.values(), key=lambda test: (test.module.path, test.node.lineno))
                yield SharedClient(client, tests, _remedy(suite))


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
            return test.home.path, test.owner
        case "module":
            return test.home.path
        case "package":
            return PurePosixPath(test.home.path).parent
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
