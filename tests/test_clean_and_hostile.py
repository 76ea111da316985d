"""Programs that are right are left alone; files that nobody should have written break nothing."""

from __future__ import annotations

import ast
import json
import os
from pathlib import Path

import pytest

from tests.conftest import Loopmend

FIXTURES = Path(__file__).parent.parent / "fixtures"
CLEAN = sorted((FIXTURES / "_clean").iterdir())

HEAD = """\
import asyncio
import aiohttp


async def a():
    session = aiohttp.ClientSession()
    print(await session.get('/'))


"""
BUGGY = HEAD + "asyncio.run(a())\nasyncio.run(a())\n"


def _indented(line: str, depth: int) -> str:
    return " " * depth + line + "\n"


def _nested(header: str, depth: int, *body: str) -> str:
    return "".join(_indented(header.format(i), i) for i in range(depth)) + "".join(_indented(b, depth) for b in body)


BIG = {
    "nothing but a number of 5000 digits": BUGGY + f"x = {'9' * 5000}\n",
    "a hexadecimal number of 50000 digits": BUGGY + f"x = 0x{'f' * 50_000}\n",
    "a line of a megabyte": BUGGY + f"x = '{'x' * 1_000_000}'\n",
    "a list of 30000 on one line": BUGGY + f"x = [{'1, ' * 30_000}]\n",
    "a call behind a megabyte": HEAD + f"x = '{'é' * 500_000}'; asyncio.run(a())\nasyncio.run(a())\n",
    "150 parentheses": BUGGY + "x = " + "(" * 150 + "1" + ")" * 150 + "\n",
    "5000 brackets": BUGGY + "x = " + "[" * 5000 + "]" * 5000 + "\n",
    "a sum of 3000": BUGGY + "x = " + " + ".join("1" * 3000) + "\n",
    "a sum of 500": BUGGY + "x = " + " + ".join("1" * 500) + "\n",
    "3000 attributes": BUGGY + "x = a" + ".b" * 3000 + "\n",
    "a chain of 400 calls": BUGGY + "x = a" + ".b()" * 400 + "\n",
    "a chain of 1500 calls": BUGGY + "x = a" + ".b()" * 1500 + "\n",
    "3000 signs": BUGGY + "x = " + "-" * 3000 + "1\n",
    "900 lambdas": BUGGY + "x = " + "lambda: " * 900 + "asyncio.run(a())\n",
    "90 ifs around a session": "import aiohttp\nasync def f(x):\n"
    + _indented("if x:", 1)
    + "".join(
        _indented(line, 2)
        for line in _nested("if x[{}]:", 88, "s = aiohttp.ClientSession()", "await s.get('/')").splitlines()
    ),
    "200 ifs around a session": "import aiohttp\n"
    + _nested("if x[{}]:", 200, "async def f():", "    s = aiohttp.ClientSession()", "    await s.get('/')"),
    "60 elifs with a session each": "import aiohttp\nasync def f(x):\n    if x:\n        pass\n"
    + "".join(
        f"    elif x == {i}:\n        s = aiohttp.ClientSession()\n        await s.get('/')\n" for i in range(60)
    ),
    "18 with around a session": "import aiohttp\nasync def f(x):\n"
    + _indented("if x:", 1)
    + "".join(
        _indented(line, 2)
        for line in _nested("with x[{}]:", 19, "s = aiohttp.ClientSession()", "await s.get('/')").splitlines()
    ),
    "90 functions in one another": "import asyncio\n"
    + _nested("def f{}():", 90, "asyncio.run(a())", "asyncio.run(a())"),
    "60 sessions in a function": "import aiohttp\nasync def f():\n"
    + "".join(f"    s{i} = aiohttp.ClientSession()\n    await s{i}.get('/')\n" for i in range(60)),
    "500 runs": HEAD + "asyncio.run(a())\n" * 500,
    "500 runs that share a session": HEAD
    + "s = aiohttp.ClientSession()\n"
    + "".join(f"x{i} = asyncio.run(s.get('/{i}'))\n" for i in range(500)),
    "150 tasks": "import asyncio\nasync def main():\n"
    + "".join(f"    t{i} = asyncio.create_task(f({i}))\n" for i in range(150))
    + "    await asyncio.sleep(1)\n"
    + "".join(f"    t{i}.cancel()\n" for i in range(150)),
    "300 tasks, each of the one before": "import asyncio\n"
    + "".join(f"v{i} = asyncio.create_task(f(v{i - 1}))\n" for i in range(1, 300)),
}

HOSTILE = {
    **{path.name: path.read_bytes() for path in sorted((FIXTURES / "_hostile").iterdir())},
    **{name: text.encode() for name, text in BIG.items()},
}


@pytest.mark.parametrize("path", CLEAN, ids=lambda path: path.stem)
def test_a_right_program_is_left_alone(loopmend: Loopmend, project: Path, path: Path) -> None:
    copy = project / path.name
    copy.write_bytes(path.read_bytes())
    found = json.loads(loopmend("check", "--output-format", "json").out)
    assert [entry for entry in found if entry["severity"] != "info"] == []
    assert [entry for entry in found if entry["fix"]] == []
    result = loopmend("apply", "--unsafe-fixes")
    assert (result.code, copy.read_bytes()) == (0, path.read_bytes())


def test_all_right_programs_together_are_left_alone(loopmend: Loopmend, project: Path) -> None:
    for path in CLEAN:
        (project / path.name).write_bytes(path.read_bytes())
    assert loopmend("diff", "--unsafe-fixes").data == b""


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_breaks_nothing(loopmend: Loopmend, project: Path, name: str) -> None:
    data, file = HOSTILE[name], project / "hostile.py"
    file.write_bytes(data)
    result = loopmend("check", "--output-format", "json")
    assert result.code in (0, 1), result.err
    found = json.loads(result.out)
    loopmend("apply", "--unsafe-fixes")
    after = file.read_bytes()
    if [entry["code"] for entry in found] == ["LM000"]:
        assert after == data
    if after != data:
        ast.parse(after)
        assert loopmend("diff", "--unsafe-fixes").data == b""  # and so there is nothing that a second run would do
    assert sorted(os.listdir(project)) == [".git", "hostile.py"]


def test_names_that_are_no_text(loopmend: Loopmend, project: Path) -> None:
    for name in (b"r\xe9sum\xe9.py", "日本語.py".encode(), b"a\nb.py", b"a 'b' \"c\".py"):
        (project / os.fsdecode(name)).write_text(BUGGY)
    assert loopmend("check").code == 1
    assert len(json.loads(loopmend("check", "--output-format", "json").out)) == 8
    assert loopmend("diff").code == 1
    assert loopmend("apply").code == 0
