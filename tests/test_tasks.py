"""Which calls start asyncio tasks, what holds them, and which coroutines are entries."""

from __future__ import annotations

import ast

import pytest

from codemods.facts.entries import entry_coroutines
from codemods.facts.module import Module
from codemods.facts.task_uses import Use
from codemods.facts.tasks import Tasks
from codemods.source import Source


def module(text: str) -> Module:
    return Module(Source("module.py", text.encode()))


def started(text: str) -> list[str]:
    return [ast.unparse(call) for call in Tasks(module(text)).started]


def uses(body: str, name: str = "task") -> set[Use]:
    """How a coroutine that starts ``task`` (or ``tasks``) uses it in ``body``."""
    start = "tasks = [asyncio.create_task(w()) for _ in '12']" if name == "tasks" else "task = asyncio.create_task(w())"
    indented = "\n".join(f"    {line}" for line in [start, *body.splitlines()])
    tasks = Tasks(module(f"import asyncio\nasync def f():\n{indented}\n"))
    (holder,) = [h for h in tasks.locals if h.code == name]
    return {use for use, _ in holder.uses} - {Use.START}


@pytest.mark.parametrize(
    "text",
    [
        "import asyncio\nx = asyncio.create_task(w())",
        "import asyncio as aio\nx = aio.ensure_future(w())",
        "from asyncio import create_task as ct\nx = ct(w())",
        "import asyncio\nx = asyncio.get_running_loop().create_task(w())",
        "import asyncio\nasync def f():\n    loop = asyncio.get_event_loop()\n    x = loop.create_task(w())",
        "import asyncio\nloop = asyncio.new_event_loop()\nasync def f():\n    x = loop.create_task(w())",
        "import asyncio\nclass A:\n    def __init__(self, loop):\n        self.loop = loop or asyncio.get_event_loop()"
        "\n    def go(self):\n        x = self.loop.create_task(w())",
    ],
)
def test_calls_that_start_a_task(text: str) -> None:
    assert len(started(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "import asyncio\nx = application.create_task(w())",
        "import asyncio\nasync def f(group):\n    x = group.create_task(w())",
        "import asyncio\nasync def f():\n    loop = Loop()\n    x = loop.create_task(w())",
        "from mine import create_task\nx = create_task(w())",
        "def create_task(x): ...\ncreate_task(1)",
        "import asyncio\ndef f(asyncio):\n    x = asyncio.create_task(w())",
        "import asyncio\nx = asyncio.ensure_future(future)",
        "import asyncio\nx = asyncio.ensure_future(loop.run_in_executor(None, f))",
    ],
)
def test_calls_that_do_not(text: str) -> None:
    assert started(text) == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("task.cancel()", {Use.CANCEL}),
        ("await task", {Use.SETTLE}),
        ("await asyncio.gather(task)", {Use.SETTLE}),
        ("await asyncio.wait_for(task, 1)", {Use.SETTLE}),
        ("while not task.done():\n    await asyncio.sleep(0)", {Use.SETTLE}),
        ("await asyncio.wait({task})", {Use.WATCH}),
        ("await asyncio.shield(task)", {Use.WATCH}),
        ("if task and not task.done():\n    task.cancel()", {Use.TEST, Use.CANCEL}),
        ("return task", {Use.KEEP}),
        ("return a, task", {Use.KEEP}),
        ("keep(task)", {Use.KEEP}),
        ("self.task = task", {Use.KEEP}),
        ("task.add_done_callback(print)", {Use.KEEP}),
        ("def stop():\n    task.cancel()", {Use.KEEP}),
        ("stop = lambda: task.cancel()", {Use.KEEP}),
        ("call(stop=task.cancel)", {Use.KEEP}),
    ],
)
def test_uses_of_a_task(body: str, expected: set[Use]) -> None:
    assert uses(body) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("for t in tasks:\n    t.cancel()", {Use.CANCEL}),
        ("[t.cancel() for t in tasks]", {Use.CANCEL}),
        ("for t in list(tasks):\n    t.cancel()", {Use.CANCEL}),
        ("for t in tasks:\n    await t", {Use.SETTLE}),
        ("await asyncio.gather(*tasks)", {Use.SETTLE}),
        ("await asyncio.wait(tasks)", {Use.WATCH}),
        ("for t in asyncio.as_completed(tasks):\n    await t", {Use.WATCH}),
        ("for t in tasks:\n    keep(t)", {Use.KEEP}),
        ("print(len(tasks))", {Use.TEST}),
        ("return tasks", {Use.KEEP}),
        ("tasks[0].cancel()", {Use.KEEP}),
        ("return [t for t in tasks if t.done()]", {Use.KEEP, Use.TEST}),
    ],
)
def test_uses_of_a_list(body: str, expected: set[Use]) -> None:
    assert uses(body, "tasks") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("async def main(): ...\nasyncio.run(main())", {"main": "asyncio.run"}),
        (
            "async def a(): ...\nasync def b():\n    await a()\nasyncio.run(b())",
            {"a": "asyncio.run", "b": "asyncio.run"},
        ),
        ("async def a(): ...\nasyncio.run(asyncio.wait_for(a(), 1))", {"a": "asyncio.run"}),
        ("async def a(): ...\nasync def b():\n    await a()\n    print()\nasyncio.run(b())", {"b": "asyncio.run"}),
        ("async def a(): ...\nasyncio.run(a())\nasync def b():\n    await a()", {}),
        ("async def a(): ...\nloop.run_until_complete(a())", {"a": "run_until_complete"}),
        ("async def a(): ...\nloop.run_until_complete(a())\nloop.run_forever()", {}),
        ("async def a(): ...\nasync def b(): ...\nloop.run_until_complete(a())\nloop.run_until_complete(b())", {}),
        ("async def a(): ...\nwith asyncio.Runner() as runner:\n    runner.run(a())", {"a": "run"}),
        (
            "class A:\n    async def go(self): ...\n    def run(self):\n        asyncio.run(self.go())",
            {"go": "asyncio.run"},
        ),
        ("async def a(): ...", {}),
    ],
)
def test_entries(text: str, expected: dict[str, str]) -> None:
    found = entry_coroutines(module(f"import asyncio\n{text}\n"))
    assert {function.name: runner for function, runner in found.items()} == expected
