"""Which async fixtures does a test reach, and on which loops do the two run?"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path, PurePosixPath

from codemods.facts.module import Module
from codemods.project.collection import classes_around, collected, lineage_of
from codemods.project.module_index import ModuleIndex
from codemods.project.pytest_asyncio_version import (
    LOOP_SCOPE,
    NO_EVENT_LOOP,
    TEST_LOOP_SCOPE,
    KnownVersion,
    Versions,
)
from codemods.project.pytest_config import FIXTURE_OPTION, TEST_OPTION, Configs, PytestConfig
from codemods.project.pytest_syntax import UNREADABLE, Fixture, Mark, Syntax, Test
from codemods.project.tree import Project

SCOPES = ("function", "class", "module", "package", "session")
"""The scopes from the narrowest to the widest."""


def widest(scopes: Iterator[str] | list[str]) -> str:
    """The widest of some scopes; unreadable ones do not count."""
    return max((scope for scope in scopes if scope in SCOPES), key=SCOPES.index, default="function")


@dataclass(frozen=True)
class Loops:
    """What decides on which loop something runs, beside the code as it stands.

    The options of the configuration (empty: unset), and what a plan would write.
    """

    fixture_option: str = ""
    test_option: str = ""
    fixtures: Mapping[Fixture, str] = field(default_factory=dict)
    marks: Mapping[Mark, str] = field(default_factory=dict)
    modules: Mapping[str, str] = field(default_factory=dict)
    """The loop scope of a new ``pytestmark``, by the path of its module."""

    def of_fixture(self, fixture: Fixture) -> str:
        """The loop scope of an async fixture: its own, the option, else its caching scope."""
        own = self.fixtures.get(fixture, fixture.loop_scope)
        option = "" if self.fixture_option == "fixture-scope" else self.fixture_option
        return own or option or fixture.scope

    def of_test(self, test: Test) -> str:
        """The loop scope of an async test: that of its closest mark, else the option."""
        own = self.modules.get(test.home.path) if test.mark is None else None
        if test.mark is not None:
            own = self.marks.get(test.mark, test.mark.loop_scope)
        return own or self.test_option or "function"


@dataclass(frozen=True, eq=False)
class Group:
    """Async tests and async fixtures that have to run on one loop: none reaches beyond."""

    tests: list[Test]
    fixtures: list[Fixture]
    pairs: list[tuple[Test, Fixture]]
    """Who reaches whom."""
    sync_tests: list[Test]
    """The sync tests that reach one of the fixtures: these have no loop of their own."""
    foreign: set[str]
    """Names of requested fixtures that no file here defines: pytest's own, or a plugin's."""

    @property
    def paths(self) -> set[str]:
        """The files that the tests and the fixtures stand in."""
        written = {path for test in self.tests for path in (test.module.path, test.home.path)}
        return written | {fixture.module.path for fixture in self.fixtures}

    def apart(self, loops: Loops) -> list[tuple[Test, Fixture]]:
        """The pairs that run on different loops."""
        different = []
        for test, fixture in self.pairs:
            scopes = {loops.of_test(test), loops.of_fixture(fixture)}
            if len(scopes) == 2 and UNREADABLE not in scopes:
                different.append((test, fixture))
        return different

    def too_narrow(self, loops: Loops) -> list[Fixture]:
        """The fixtures that live longer than their loop: pytest calls it a ScopeMismatch."""
        return [
            fixture
            for fixture in self.fixtures
            if fixture.scope in SCOPES
            and loops.of_fixture(fixture) in SCOPES
            and SCOPES.index(loops.of_fixture(fixture)) < SCOPES.index(fixture.scope)
        ]


class Suite:
    """All tests that one configuration governs."""

    def __init__(self, config: PytestConfig, version: KnownVersion, files: list[Syntax], index: ModuleIndex) -> None:
        self.config = config
        self.version = version
        self._files = files
        self._index = index
        self._chains: dict[tuple[str, ast.ClassDef | None], dict[str, list[Fixture]]] = {}

    @cached_property
    def loops(self) -> Loops:
        """The loops as the suite stands. Options that the version does not know count as unset."""
        fixture = "" if self.version.older_than(LOOP_SCOPE) else self.config.option(FIXTURE_OPTION)
        test = "" if self.version.older_than(TEST_LOOP_SCOPE) else self.config.option(TEST_OPTION)
        return Loops(fixture, test)

    @property
    def modules(self) -> list[Module]:
        """Its files, tests or not."""
        return [syntax.module for syntax in self._files]

    @property
    def fixtures(self) -> list[Fixture]:
        """Every fixture that its files define, in their order."""
        return [fixture for syntax in self._files for fixture in syntax.fixtures]

    @cached_property
    def tests(self) -> list[Test]:
        """Every test that pytest collects, methods once for each class that has them."""
        return [test for syntax in self._files for test in collected(self._index, self.config, syntax)]

    @cached_property
    def groups(self) -> list[Group]:
        """The async tests with the async fixtures that they reach, split where nothing is shared."""
        root: dict[object, object] = {}

        def find(item: object) -> object:
            while root.setdefault(item, item) is not item:
                item = root[item]
            return item

        everything = {test: self.reach(test) for test in self.tests}
        reached = {test: [f for f in found if self.runs_fixture(f)] for test, (found, _) in everything.items()}
        for test, fixtures in reached.items():
            members: list[object] = [test, *fixtures] if self.runs_test(test) else [*fixtures]
            for member in members[1:]:
                root[find(member)] = find(members[0])
        groups: dict[object, Group] = {}
        for test, fixtures in reached.items():
            if not fixtures:
                continue
            group = groups.setdefault(find(fixtures[0]), Group([], [], [], [], set()))
            group.fixtures.extend(f for f in fixtures if f not in group.fixtures)
            if not self.runs_test(test):
                group.sync_tests.append(test)
                continue
            group.tests.append(test)
            group.pairs.extend((test, fixture) for fixture in fixtures)
            group.foreign.update(everything[test][1])
        return list(groups.values())

    def runs_fixture(self, fixture: Fixture) -> bool:
        """Whether pytest-asyncio runs this fixture on one of its loops."""
        if not fixture.is_async or self.config.without_asyncio:
            return False
        return fixture.is_asyncio or (self.config.is_auto and "anyio_backend" not in fixture.requests)

    def runs_test(self, test: Test) -> bool:
        """Whether pytest-asyncio runs this test on one of its loops."""
        if not test.is_async or test.other_runner or self.config.without_asyncio:
            return False
        return test.mark is not None or self.config.is_auto or self.hook_of(test) is not None

    def hook_of(self, test: Test) -> Syntax | None:
        """The conftest above a test whose collection hook deals in asyncio marks."""
        return next((c for c in self._conftests(test.home.path) if c.changes_collection is not None), None)

    def overrides_event_loop(self, test: Test) -> Fixture | None:
        """The ``event_loop`` fixture that the test would get; from 1.0 on nobody asks for it."""
        if self.version.at_least(NO_EVENT_LOOP):
            return None
        return self.chains(test).get("event_loop", [None])[0]

    def reach(self, test: Test) -> tuple[list[Fixture], set[str]]:
        """The fixtures that a test reaches, and the requested names that no file here defines."""
        chains = self.chains(test)
        found: dict[Fixture, None] = {}
        foreign: set[str] = set()
        autouse = [name for name, chain in chains.items() if any(f.autouse for f in chain)]
        always = self.config.option("usefixtures").split()
        stack = [(name, 0) for name in (*test.requests, *autouse, *always)]
        while stack:
            name, depth = stack.pop()
            chain = chains.get(name, [])
            if depth >= len(chain):
                foreign.add(name)
            elif chain[depth] not in found:
                fixture = chain[depth]
                found[fixture] = None
                stack.extend((n, depth + 1 if n == name else 0) for n in fixture.requests)
        return list(found), foreign

    def chains(self, test: Test) -> dict[str, list[Fixture]]:
        """The fixtures of each name that the test can see, the nearest first."""
        key = (test.home.path, test.owner)
        if key not in self._chains:
            chains = self._chains[key] = {}
            for level in self._visible(test):
                for name, fixture in level.items():
                    chains.setdefault(name, []).append(fixture)
        return self._chains[key]

    def module_named(self, name: str, importer: Module) -> Module | None:
        """The module of the project that ``importer`` means by a dotted name."""
        syntax = self._index.resolve(name, importer.path) if name else None
        return syntax.module if syntax else None

    def _visible(self, test: Test) -> Iterator[dict[str, Fixture]]:
        syntax = self._index.syntax(test.home.path)
        for cls in classes_around(syntax, test.owner) if test.owner is not None else ():
            lineage = lineage_of(self._index, syntax, cls)
            yield {f.name: f for c in reversed(lineage) for f in c.syntax.fixtures if f.owner is c.node}
        yield self._index.fixtures(syntax)
        conftests = list(self._conftests(test.home.path))
        for conftest in conftests:
            yield self._index.fixtures(conftest)
        for file in [syntax, *conftests]:
            for name in file.plugins:
                plugin = self._index.resolve(name, file.module.path)
                if plugin is not None:
                    yield self._index.fixtures(plugin)

    def _conftests(self, path: str) -> Iterator[Syntax]:
        """The conftest files above ``path``, the nearest first, none from above the rootdir."""
        root = self._index.project.name(self.config.rootdir)
        for folder in PurePosixPath(path).parents:
            if root != "." and root != str(folder) and PurePosixPath(root) not in folder.parents:
                return
            conftest = self._index.at(str(folder / "conftest.py"))
            if conftest is not None:
                yield conftest


@lru_cache(maxsize=1)  # several rules ask one after the other
def find_suites(project: Project) -> tuple[Suite, ...]:
    """The modules of the project, by the configuration that pytest finds for their folders."""
    index = ModuleIndex(project)
    all_configs = Configs(project)
    configs: dict[Path, PytestConfig] = {}
    files: dict[tuple[Path, str], list[Syntax]] = {}
    for path in sorted(project.modules):
        folder = (project.directory / path).parent
        if folder not in configs:
            configs[folder] = all_configs.of(folder)
        config = configs[folder]
        files.setdefault((config.rootdir, config.path), []).append(index.syntax(path))
    suites = []
    versions = Versions(project)
    for (rootdir, name), syntaxes in files.items():
        config = next(c for c in configs.values() if (c.rootdir, c.path) == (rootdir, name))
        folders = {(project.directory / syntax.module.path).parent: None for syntax in syntaxes}
        suites.append(Suite(config, versions.of_all(folders), syntaxes, index))
    return tuple(suites)
