"""What the eyes see: names behind imports, scopes, and what can run after what."""

from __future__ import annotations

import ast
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codemods.facts import flow
from codemods.facts.module import Module
from codemods.source import Source


def module(text: str) -> Module:
    return Module(Source("m.py", text.encode()))


@pytest.mark.parametrize(
    "text",
    [
        "import asyncio\nasyncio.run(x)",
        "import asyncio as aio\naio.run(x)",
        "from asyncio import run\nrun(x)",
        "from asyncio import run as go\ngo(x)",
        "import asyncio.runners\nasyncio.run(x)",
        "def f():\n    import asyncio\n    asyncio.run(x)",
        "try:\n    import asyncio\nexcept ImportError:\n    asyncio = None\nasyncio.run(x)",
    ],
)
def test_a_call_is_known_under_every_import(text: str) -> None:
    assert len(module(text).calls("asyncio.run")) == 1


@pytest.mark.parametrize(
    "text",
    [
        "import other as asyncio\nasyncio.run(x)",
        "asyncio.run(x)",
        "import asyncio\ndef f(asyncio):\n    asyncio.run(x)",
        "import asyncio\ndef f():\n    asyncio = 1\n    asyncio.run(x)",
        "from .asyncio import run\nrun(x)",
        "import asyncio\nself.asyncio.run(x)",
    ],
)
def test_another_name_is_not_taken_for_it(text: str) -> None:
    assert module(text).calls("asyncio.run") == []


def test_defaults_and_decorators_belong_to_the_scope_around() -> None:
    here = module("async def f(a=mark()):\n    @mark()\n    def g(b=mark()): return mark()\n")
    scopes = [here.qualified_scope(call) for call in here.calls_ending("mark")]
    assert scopes == ["<module>", "f", "f", "f.g"]


def test_columns_count_characters_and_not_bytes() -> None:
    here = module('x = "héé"; mark()\n')
    (call,) = here.calls_ending("mark")
    assert (here.span(call).column, here.code(call)) == (12, "mark()")


def test_all_syntax_is_walked() -> None:
    text = """
match x:
    case True | None | 1 | "a" | -1 | 1+2j: pass
    case [a, *rest] | {"k": a, **rest} | C(a, k=rest): pass
    case _ as a: pass
try: pass
except* E as e: pass
async def f(a, /, b: int = 1, *c, d, **e) -> None:
    async with x as y, z: yield (y := 1)
    [i async for i in x if i]; {**a}; f"{x!r:>{w}}"; x[1:2, ...]; lambda *a, b=1: (yield)
    global g; del a, b; assert a, b; return
class C[T](A, metaclass=B): x: int
type X[*Ts, **P] = int
"""
    import sys

    if sys.version_info < (3, 12):
        text = text.replace("[T]", "").replace("type X[*Ts, **P] = int\n", "")
    assert {f.name for f in module(text).functions} == {"f"}


FOLLOWS = [
    ("mark()\nmark()", True),
    ("if x:\n    mark()\nelse:\n    mark()", False),
    ("if x:\n    mark()\nmark()", True),
    ("if x:\n    mark()\n    return\nmark()", False),
    ("if x:\n    mark()\n    sys.exit(1)\nmark()", False),
    ("try:\n    mark()\nexcept E:\n    mark()", True),
    ("try:\n    mark()\nfinally:\n    mark()", True),
    ("try:\n    return mark()\nfinally:\n    mark()", True),
    ("try:\n    pass\nexcept A:\n    mark()\nexcept B:\n    mark()", False),
    ("try:\n    pass\nexcept A:\n    mark()\nelse:\n    mark()", False),
    ("try:\n    mark()\nexcept A:\n    pass\nelse:\n    mark()", True),
    ("match x:\n    case 1:\n        mark()\n    case 2:\n        mark()", False),
    ("if c == 'a':\n    mark()\nif c == 'b':\n    mark()", False),
    ("if c == 'a':\n    mark()\nif d == 'b':\n    mark()", True),
    ("if c:\n    mark()\nif not c:\n    mark()", False),
    ("for i in x:\n    mark()\n    break\nmark()", True),
    ("with x:\n    return mark()\nmark()", False),
    ("while True:\n    mark()\n    if x:\n        break\nmark()", True),
    ("while True:\n    mark()\nmark()", False),
    ("if x:\n    if y:\n        mark()\n        raise E\n    mark()\nmark()", False),
]


@pytest.mark.parametrize(("body", "expected"), FOLLOWS, ids=[body.replace("\n", "/") for body, _ in FOLLOWS])
def test_what_can_follow_what(body: str, expected: bool) -> None:
    text = "import sys\ndef f(c, d, x, y):\n" + "".join(f"    {line}\n" for line in body.splitlines())
    here = module(text)
    calls = here.calls_ending("mark")
    assert flow.can_follow(here, calls[0], calls[-1]) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("for i in x:\n    mark()", True),
        ("for i in mark():\n    pass", False),
        ("while mark():\n    pass", True),
        ("for i in x:\n    mark()\n    break", False),
        ("for i in x:\n    if mark():\n        break", True),
        ("for i in x:\n    try:\n        mark()\n        break\n    except E:\n        pass", True),
        ("[mark() for i in x]", True),
        ("for i in x:\n    def f():\n        mark()", False),
        ("for i in x:\n    pass\nelse:\n    mark()", False),
    ],
)
def test_what_a_loop_repeats(text: str, expected: bool) -> None:
    here = module(text)
    assert (flow.repeating_loop(here, here.calls_ending("mark")[0]) is not None) is expected


# -- flow against the interpreter: a program of marks that says in which order they ran ------------

STATEMENTS = st.recursive(
    st.sampled_from(["mark({n})", "return", "raise ValueError"]),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("\n".join),
        st.tuples(inner, inner).map(lambda p: f"if pick():\n{_in(p[0])}\nelse:\n{_in(p[1])}"),
        inner.map(lambda b: f"if pick():\n{_in(b)}"),
        st.tuples(inner, inner).map(lambda p: f"try:\n{_in(p[0])}\nexcept ValueError:\n{_in(p[1])}"),
        st.tuples(inner, inner).map(lambda p: f"try:\n{_in(p[0])}\nfinally:\n{_in(p[1])}"),
    ),
    max_leaves=8,
)


def _in(block: str) -> str:
    return "\n".join(f"    {line}" for line in block.splitlines())


@given(STATEMENTS)
def test_whatever_does_follow_can_follow(body: str) -> None:
    """Run every way through a small program: no pair that happens may be called impossible."""
    count = body.count("{n}")
    for number in range(count):
        body = body.replace("{n}", str(number), 1)
    text = f"def f(mark, pick):\n{_in(body)}\n"
    here = module(text)
    marks = {ast.literal_eval(c.args[0]): c for c in here.calls_ending("mark") if c.args}
    space: dict[str, object] = {}
    exec(text, space)
    happened: set[tuple[int, int]] = set()
    for way in range(64):
        seen: list[int] = []
        bits = iter(f"{way:06b}" + "0" * 64)
        try:
            space["f"](seen.append, lambda bits=bits: next(bits) == "1")  # type: ignore[operator]
        except ValueError:
            seen.append(-1)
        happened.update((a, b) for a, b in pairwise(n for n in seen if n >= 0) if a < b)
    for a, b in happened:
        assert flow.can_follow(here, marks[a], marks[b]), (a, b, text)
