"""Programs made at random out of runs and what may stand around them print the same when rewritten."""

from __future__ import annotations

import contextlib
import io
import random
import re
from collections import Counter

import pytest

from codemods.engine.converge import converge_file
from codemods.facts.module import Module
from codemods.model import Finding
from codemods.rules.lm101_multiple_runs import MultipleRuns
from codemods.source import Source

PRELUDE = """\
import asyncio
import contextlib
import contextvars
from asyncio import run as go

mode = contextvars.ContextVar("mode", default=0)
total = 0
x = y = z = 0


async def show(*values):
    print("show", *values, mode.get())


async def give(value=1):
    await asyncio.sleep(0)
    return value


async def pair(value=1):
    return value, value


async def fail(value=1):
    print("fails", value)
    raise ValueError(value)


async def read():
    print("read", x, y, total)


async def count():
    global total
    total += 1
    return total < 3


def sync(value=1):
    return asyncio.run(give(value))


def make(value=1):
    if value:
        print("make", value)
    return give(value)


def look():
    return x


class Thing:
    @property
    def size(self):
        return 3

    def __str__(self):
        return "a thing"


thing = Thing()

"""
HIDDEN = PRELUDE.replace("return 3", "return asyncio.run(give(3))")
NAMES = ("x", "y", "z")
COROUTINES = ("show", "give", "give", "pair", "fail", "read", "count", "make")


class Writer:
    """Writes one program: every choice comes from ``random``."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.loops = 0
        self.plain = seed % 2 == 0
        """Whether hardly anything but runs, their results and prints stand in it: most are merged."""
        self.hidden = seed % 3 == 0
        """Whether a property and a lambda run loops of their own: that forbids every merge."""

    def program(self) -> str:
        prelude = HIDDEN if self.hidden else PRELUDE
        match self.random.randrange(4):
            case 0:
                return prelude + self.block(0) + 'print("end", x, y, z)\n'
            case 1:
                return prelude + 'if __name__ == "__main__":\n' + self.block(1) + '    print("end", x, y, z)\n'
            case 2:
                head = "def work(x=1, y=2, z=3):\n"
                return prelude + head + self.block(1) + "    return x, y, z\n\n\nprint(work())\n"
            case _:
                head = "def work():\n    global x, y\n    z = 0\n"
                return prelude + head + self.block(1) + "    print(x, y, z)\n\n\nwork()\nprint(x, y, z)\n"

    def block(self, depth: int, most: int = 5) -> str:
        return "".join(self.statement(depth) for _ in range(self.random.randint(1, most)))

    def value(self) -> str:
        return self.random.choice([*NAMES, *NAMES, "1", "'s'", "look()", "sync()", "thing.size", 'f"{x}"', self.run()])

    def run(self) -> str:
        name = self.random.choice(COROUTINES)
        argument = (
            self.random.choice([*NAMES, "1", *([] if self.plain else ["sync(2)", "thing.size"])])
            if name not in ("read", "count")
            else ""
        )
        function = self.random.choice(["asyncio.run"] * 12 + ["go"])
        option = self.random.choice([""] * 25 + [", debug=True"])
        return f"{function}({name}({argument}){option})"

    def statement(self, depth: int) -> str:
        pad, name, run = "    " * depth, self.random.choice(NAMES), self.run()
        simple = [
            f"{run}",
            f"{run}  # why",
            f"{name} = {run}",
            f"{name} = {run}",
            f"{name}: object = {run}",
            f"x, y = asyncio.run(pair({name}))",
            f"print({run})",
            f"print({name})",
            f"print(thing, {name})",
            f"{name} = {self.value()}",
            f"{name} = [asyncio.run(give(i)) for i in range(2)]",
            f"{name} = list(asyncio.run(give(i)) for i in range(2))",
            f"{name} = (asyncio.run(give(i)) for i in range(2))\n{pad}print(next({name}))",
            f"print(({name} := {run}))",
            f"print(f'{{asyncio.run(give({name}))!r:>5}}', {self.value()})",
            f"mode.set({self.random.randrange(9)})",
            f"assert {run} is not {self.value()}",
            f"del {name}",
            f"{name} = lambda: {self.value() if self.hidden else 1}\n{pad}{name} = {name}()",
            f"asyncio.run(show({run}))",
        ]
        if depth >= 3 or self.random.random() < (0.95 if self.plain else 0.7):
            choice = self.random.choice(simple[:9] if self.plain else simple)
            return f"{pad}{choice}\n"
        inner = self.block(depth + 1, 3)
        self.loops += 1
        other = self.block(depth + 1, 2)
        compound = [
            f"{pad}if {name}:\n{inner}{pad}else:\n{other}",
            f"{pad}if {run}:\n{inner}",
            f"{pad}for i{self.loops} in range(2):\n{inner}",
            f"{pad}while asyncio.run(count()):\n{inner}",
            f"{pad}try:\n{inner}{pad}except ValueError as error:\n{pad}    print('caught', error, {name})\n",
            f"{pad}try:\n{inner}{pad}except (ValueError, TypeError):\n{other}",
            f"{pad}try:\n{inner}{pad}finally:\n{other}",
            f"{pad}with contextlib.suppress(ValueError, TypeError):\n{inner}",
            f"{pad}def inner{self.loops}():\n{pad}    return {name}\n{pad}print(inner{self.loops}())\n",
        ]
        return self.random.choice(compound)


def find(source: Source) -> list[Finding]:
    return list(MultipleRuns().find(Module(source)))


def output(code: str) -> str:
    """What a program prints, and what it ends with."""
    printed = io.StringIO()
    end = ""
    with contextlib.redirect_stdout(printed):
        try:
            exec(compile(code, "prog.py", "exec"), {"__name__": "__main__"})
        except Exception as error:
            end = type(error).__name__.replace("UnboundLocalError", "NameError")
    return re.sub(r" at 0x\w+", "", f"{printed.getvalue()}{end}")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("start", range(0, 400, 100))
def test_a_safe_rewrite_prints_the_same(start: int) -> None:
    rewritten = Counter[str]()
    for seed in range(start, start + 100):
        before = Writer(seed).program()
        outcome = converge_file(Source("prog.py", before.encode()), find, lambda f: f.rewrite is not None)
        assert not outcome.rejected, (before, [r.reason for r in outcome.rejected])
        if outcome.sources:
            after = outcome.sources["prog.py"].text
            assert output(after) == output(before), after
            rewritten.update(fix.finding.rewrite.title for fix in outcome.fixed if fix.finding.rewrite is not None)
    assert len(rewritten) == 2
