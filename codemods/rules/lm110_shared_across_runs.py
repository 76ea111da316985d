"""LM110 shared-across-runs: one client, and several functions that each run a loop of their own."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from codemods.facts.bonds import ENGINE, may_bind
from codemods.facts.module import FunctionNode, Module
from codemods.facts.nodes import start
from codemods.facts.recurrence import is_test
from codemods.facts.run_sites import RunSite, run_sites
from codemods.model import Finding, Related, Severity
from codemods.project.tree import Project
from codemods.rules.base import ProjectRule, Rule

if TYPE_CHECKING:
    from codemods.facts.long_lived import Use
    from codemods.project.far_runs import Occasion

UseT = TypeVar("UseT", bound="Use")

_RUN_INSIDE = re.compile(rb"(?m)^[ \t]+.*\b(run|run_until_complete|async_to_sync|runnify)\(|^@")
_MOCKS = re.compile(r"\bpatch\b|monkeypatch|\bmocker\b|[Mm]ock|respx|aioresponses|fakeredis|vcr")


class SharedAcrossRuns(Rule, ProjectRule):
    """A client that lives as long as the process is used by coroutines that each get a loop of their own.

    What it finds
        An async client, session, connection pool or SQLAlchemy engine in a variable of the module, in
        an attribute of a class, in the cache of a function, or in an attribute of an instance whose
        methods run loops; a queue or event that somebody waits for. And runs that get at it, directly
        or through functions of this file and of those that it imports: `asyncio.run`,
        `run_until_complete` on a new loop, `async_to_sync`, `runnify`, also behind a wrapper such as
        `run_async(coro)` or a decorator of the project's own.

        The runs have to happen in one process: a function that is called again and again (a task of
        Celery, RQ, Dramatiq or Huey, a scheduled job, a web route, a Lambda handler, one that is
        called in a loop), a function that a task or route of another module calls, two tests, two
        methods of one object, two functions that are called one after the other. Two public functions
        that nothing in the file calls are a warning, commands of a command line, which each have a
        process of their own, a hint. Runs inside one function are the matter of LM101.

        Fine are objects that every run makes anew or closes before it ends, or that work on any loop
        (aiosqlite, psycopg, an engine with `NullPool`), one run in `main`, and a wrapper that keeps one
        loop for all runs or closes more than the loop.

    Why it breaks
        Every run makes a loop and closes it. The client keeps a connection open, which belongs to the
        loop of the first run. The next run takes that connection and raises `RuntimeError: Event loop
        is closed`, or `got Future attached to a different loop`: in a worker every second task fails,
        and the next one, on a new connection, works again.

    What it changes
        Nothing: where the client should be made is a decision.

    When it refuses
        Always. Make the client inside the coroutine that is run, or keep one loop for all runs.

    Safety
        Only reported. Imports are followed through the files of the project, to objects at the top of a
        module, in its classes, and behind its functions.
    """

    code = "LM110"
    name = "shared-across-runs"
    fixable = False

    def find(self, module: Module) -> Iterator[Finding]:
        """One finding for each object that the module itself makes, where it is made."""
        sites = run_sites(module) if may_bind(module) else []
        if not sites:
            return
        # Few files get this far, and these take as long to import as all of them take to look at.
        from codemods.facts.long_lived import uses_of
        from codemods.rules.crossing_runs import crossing

        for made, uses in _by_object(use for site in sites for use in uses_of(module, site)):
            judged = None if _never_made(module, uses[0]) else crossing(module, uses)
            if judged is not None:
                yield self._own(module, made, uses[0], *judged)

    def _own(
        self, module: Module, made: ast.Call, first: Use, together: Sequence[Use], how: str, severity: Severity
    ) -> Finding:
        """The finding of an object that the module itself makes."""
        return self.finding(
            module,
            made,
            f"`{first.name}` ({first.binding.kind}) {how}",
            severity,
            refusal=_remedy(first),
            related=tuple(related for use in together[:3] for related in _places(module, module, use)),
        )

    def starts(self, project: Project, paths: Sequence[str]) -> bool:
        """Only where a function runs a loop."""
        sources = [source for path in paths if (source := project.source(path))]
        return any(_RUN_INSIDE.search(source.data) for source in sources)

    def find_in(self, project: Project) -> Iterator[Finding]:
        """What no module shows by itself: objects of other modules, runs that other modules have a part in."""
        from codemods.project.far_runs import FarRuns
        from codemods.project.far_uses import FarUses
        from codemods.project.links import Links
        from codemods.rules.crossing_runs import crossing, repeated

        links = Links(project)
        runs, far = FarRuns(links, project.modules.values()), FarUses(links)
        for module, sites in runs.sites.items():
            yield from self._through_others(module, sites, runs.occasions)
            real = [site for site in sites if not _is_mocked(module, site.function)]
            reached = repeated(module, real, runs.occasions)
            for made, uses in _by_object(use for site in reached for use in far.of(module, site)):
                judged = None if _never_made(uses[0].home, uses[0]) else crossing(module, uses, runs.occasions)
                if judged is None:
                    continue
                together, how, severity = judged
                home, kind = uses[0].home, uses[0].binding.kind
                source = Related(home.path, home.span(made), f"the {kind} is made here, once for all runs")
                yield self.finding(
                    module,
                    together[0].site.node,
                    f"`{uses[0].name}`, the {kind} of {home.path}:{made.lineno}, {how}",
                    severity,
                    refusal=_remedy(uses[0]),
                    related=(source, *(r for use in together[:3] for r in _places(module, use.module, use))),
                )

    def _through_others(
        self, module: Module, sites: list[RunSite], occasions: Mapping[FunctionNode, Occasion]
    ) -> Iterator[Finding]:
        """The module's own objects, where ``find`` could not see all of the runs, or how often they happen."""
        from codemods.facts.long_lived import uses_of
        from codemods.rules.crossing_runs import crossing

        hidden = any(_is_foreign(module, site) or site.function in occasions for site in sites)
        if not hidden or not may_bind(module):
            return
        for made, uses in _by_object(use for site in sites for use in uses_of(module, site)):
            own = [use for use in uses if not _is_foreign(module, use.site)]
            if _never_made(module, uses[0]) or (own and crossing(module, own) is not None):
                continue
            if (judged := crossing(module, uses, occasions)) is not None:
                yield self._own(module, made, uses[0], *judged)


def _is_foreign(module: Module, site: RunSite) -> bool:
    """Whether a run goes through a wrapper of another module."""
    return site.wrapper is not None and site.wrapper.module is not module


def _by_object(uses: Iterable[UseT]) -> list[tuple[ast.Call, list[UseT]]]:
    """The uses of each object, by where it is made."""
    found: dict[ast.Call, list[UseT]] = {}
    for use in uses:
        assert use.binding.made is not None
        found.setdefault(use.binding.made, []).append(use)
    return sorted(found.items(), key=lambda item: start(item[0]))


def _never_made(home: Module, use: Use) -> bool:
    """Whether making the object where it stands raises, which is the matter of LM204."""
    resource = home.catalog.by_name.get(use.binding.kind)
    assert use.binding.made is not None
    return resource is not None and resource.in_loop and home.function(use.binding.made) is None


def _is_mocked(module: Module, function: FunctionNode) -> bool:
    """Whether a function is a test of a file that puts something else in the place of what it imports."""
    return is_test(function) and _MOCKS.search(module.text) is not None


def _remedy(use: Use) -> str:
    kind = use.binding.kind
    if kind == ENGINE:
        return (
            "make the engine inside the coroutine that is run and dispose of it there, or give it "
            "`poolclass=NullPool`, so that no connection outlives a run"
        )
    if kind.startswith("asyncio."):
        return "make it inside the coroutine that is run, and hand it on from there"
    return (
        "make it inside the coroutine that is run, in an `async with` or with its close in a `finally`, "
        "and hand it on; or keep one loop for all runs"
    )


def _places(module: Module, where: Module, use: Use) -> Iterator[Related]:
    function = use.site.function
    yield Related(module.path, module.span(use.site.node), f"`{function.name}` runs a loop of its own here")
    through = " -> ".join(use.path)
    yield Related(where.path, where.span(use.node), f"and uses it here{', through ' + through if through else ''}")
