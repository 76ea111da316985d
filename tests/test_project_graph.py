"""Which fixtures a test gets, and on whose loop they run: held against pytest itself.

pytest runs each suite with a probe that notes, for every test, the fixtures that were executed for it, and those of
them that ran on another loop.
"""

from __future__ import annotations

import ast
import json
import subprocess
from pathlib import Path

import pytest

from codemods.project import pytest_syntax
from codemods.project.fixtures_graph import find_suites
from tests.graph_suites import SUITES
from tests.test_project_fixtures import environment, load

PROBE = """\
import asyncio, builtins, contextlib, inspect, io, json, os, sys, unittest
from pathlib import Path
import pytest
from _pytest.fixtures import FixtureDef

class Probe:
    def __init__(self, top):
        self.top = top
        self.loops, self.executed, self.seen = {}, {}, {}

    def place(self, code):
        try:
            return f"{Path(code.co_filename).relative_to(self.top).as_posix()}:{code.co_firstlineno}"
        except ValueError:
            return None

    def here(self):
        self.loops[self.place(sys._getframe(1).f_code)] = id(asyncio.get_running_loop())

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        self.item = item
        result = yield
        name = item.nodeid.partition("[")[0]
        executed = sorted(place for place in self.executed.get(item, ()) if place)
        own = self.loops.get(self.place(inspect.unwrap(item.function).__code__))
        apart = [place for place in executed if own and self.loops.get(place, own) != own]
        if not issubclass(item.cls or object, unittest.TestCase):
            self.seen[name] = [executed, apart]
        return result

    def pytest_runtest_logreport(self, report):
        assert report.passed, report.longreprtext

def run(top):
    probe = Probe(Path(top))
    builtins.here = probe.here
    execute = FixtureDef.execute

    def noted(self, request):
        code = getattr(inspect.unwrap(self.func), "__code__", None)
        probe.executed.setdefault(probe.item, set()).add(probe.place(code) if code else None)
        return execute(self, request)

    FixtureDef.execute = noted
    os.chdir(top)
    try:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            code = pytest.main(["-q", "-p", "no:cacheprovider", "-W", "ignore"], plugins=[probe])
    finally:
        FixtureDef.execute = execute
    return probe.seen if code == 0 else out.getvalue()

for top in sys.argv[1:]:  # each in a process of its own: their modules have the same names
    if not (child := os.fork()):
        print(json.dumps(run(top)), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


def ask(version: str, tops: list[Path]) -> list[object]:
    """What pytest does with the suites in some folders: by test, its fixtures, and those on another loop."""
    command = [str(environment(version)), "-c", PROBE, *map(str, tops)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def answer(directory: Path, version: str) -> dict[str, list[list[str]]]:
    """The same out of the graph."""
    said: dict[str, list[list[str]]] = {}
    for suite in find_suites(load(directory, environment(version))):
        apart = [pair for group in suite.groups for pair in group.apart(suite.loops)]
        for item in suite.tests:
            reached = sorted(place(fixture) for fixture in suite.reach(item)[0])
            other = sorted(place(fixture) for test, fixture in apart if test is item)
            said[node_id(item)] = [reached, other]
    return said


def place(item: pytest_syntax.Fixture) -> str:
    return f"{item.module.path}:{min(d.lineno for d in item.node.decorator_list)}"


def node_id(item: pytest_syntax.Test) -> str:
    around = [] if item.owner is None else [item.owner, *item.home.ancestors(item.owner)]
    classes = [cls.name for cls in reversed(around) if isinstance(cls, ast.ClassDef)]
    return "::".join([item.home.path, *classes, item.node.name])


@pytest.mark.parametrize("version", ["0.24.0", "1.5.0"])
def test_the_graph_is_that_of_pytest(tmp_path: Path, version: str) -> None:
    tops = [tmp_path / str(number) for number in range(len(SUITES))]
    for top, files in zip(tops, SUITES.values(), strict=True):
        for path, text in files.items():
            (top / path).parent.mkdir(parents=True, exist_ok=True)
            (top / path).write_text(text)
    both = zip(SUITES, [answer(top, version) for top in tops], ask(version, tops), strict=True)
    differing = [f"{name}: ours {ours}, theirs {theirs}" for name, ours, theirs in both if ours != theirs]
    assert not differing, "\n".join(differing)
