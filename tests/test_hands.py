"""The hands on real and on awkward code: what comes out parses, and says what was asked for."""

from __future__ import annotations

import ast
import random
from pathlib import Path

import pytest

from codemods.engine import integrity
from codemods.facts.module import Module
from codemods.model import Operation
from codemods.rewriting.locate import MisplacedError
from codemods.rewriting.lower import lower_python
from codemods.rewriting.operations import (
    AddFinally,
    AddKeyword,
    AwaitArgument,
    ExtractCoroutine,
    InsertAfter,
    InsertBefore,
    NameArguments,
    NameValue,
    RemoveFinally,
    RemoveStatement,
    WrapInCall,
    WrapInTry,
    WrapInWith,
)
from codemods.source import Source

REAL = sorted(Path(ast.__file__).parent.glob("[a-z]*.py"), key=lambda path: path.stat().st_size)
SMALL = [path for path in REAL if 500 < path.stat().st_size < 8000]


def changed(source: Source, operation: Operation) -> Source:
    return source.with_edits(lower_python(source, [operation]))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("run(c())\n", "await c()\n"),
        ("run(\n    c(),\n)\n", "await c()\n"),
        ("run(\n    c\n    .get()\n)\n", "await (\n    c\n    .get()\n)\n"),
        ("run(c\n    .get())\n", "await (c\n    .get())\n"),
        ('run(\n    c(\n        """a\n    b""",\n    )\n)\n', 'await c(\n    """a\n    b""",\n)\n'),
        ("run(a if b else c)\n", "await (a if b else c)\n"),
        ("x = run(c()).y\n", "x = (await c()).y\n"),
        ("-run(c()) ** 2\n", "-(await c()) ** 2\n"),
    ],
)
def test_an_argument_is_awaited(before: str, after: str) -> None:
    source = Source("m.py", before.encode())
    module = Module(source)
    (call,) = module.calls_ending("run")
    assert changed(source, AwaitArgument(module.span(call))).text == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("try:\n    a()\nfinally:\n    b()\nc()\n", "a()\nc()\n"),
        ("try:\n    a()\nexcept E:\n    c()\nfinally:\n    b()\n", "try:\n    a()\nexcept E:\n    c()\n"),
        (
            "# 1\ntry:  # 2\n    # 3\n    a()  # 4\n    # 5\nfinally:  # 6\n    # 7\n    b()  # 8\n\nc()\n",
            "# 1\n# 2\n# 3\na()  # 4\n# 5\n# 6\n# 7\n# 8\n\nc()\n",
        ),
        (
            'def f():\n    try:\n        x = """\n    a"""\n        return x\n    finally:\n        b()  # 1\n',
            'def f():\n    x = """\n    a"""\n    return x\n    # 1\n',
        ),
    ],
)
def test_a_finally_goes(before: str, after: str) -> None:
    source = Source("m.py", before.encode())
    module = Module(source)
    (clause,) = (node for node in ast.walk(module.tree) if isinstance(node, ast.Try))
    assert changed(source, RemoveFinally(module.span(clause))).text == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("try:\n  a\nexcept E:\n  b\n", "try:\n  a\nexcept E:\n  b\nfinally:\n  c\n"),
        ("try:\n  a\nexcept* E:\n  b\n  # d\n# e\n", "try:\n  a\nexcept* E:\n  b\n  # d\nfinally:\n  c\n# e\n"),
        ("try:\n  a\nexcept E: b\nelse: d\ne\n", "try:\n  a\nexcept E: b\nelse: d\nfinally:\n  c\ne\n"),
    ],
)
def test_a_finally_comes_to_a_try(before: str, after: str) -> None:
    source = Source("m.py", before.encode())
    module = Module(source)
    (clause,) = (node for node in ast.walk(module.tree) if isinstance(node, ast.Try | ast.TryStar))
    assert changed(source, AddFinally(module.span(clause), "c")).text == after


def test_a_try_with_a_finally_gets_no_second_one() -> None:
    source = Source("m.py", b"try:\n  a\nfinally:\n  b\n")
    module = Module(source)
    with pytest.raises(MisplacedError):
        changed(source, AddFinally(module.span(module.tree.body[0]), "c"))


def test_a_lone_generator_expression_gets_parentheses() -> None:
    source = Source("m.py", b"f(x for x in y)\n")
    module = Module(source)
    (call,) = module.calls_ending("f")
    assert changed(source, AddKeyword(module.span(call), "key", "1")).text == "f((x for x in y), key=1)\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = f(a, b)\n", "tasks = [a, b]\nx = f(*tasks)\n"),
        ("f(*[a for a in b])\n", "tasks = [a for a in b]\nf(*tasks)\n"),
        ("f(*( a for a in b ))\n", "tasks = [ a for a in b ]\nf(*tasks)\n"),
        ("f(*[a, b])\n", "tasks = [a, b]\nf(*tasks)\n"),
        ("# c\nx = g(f(a, *b, key=1))  # d\n", "# c\ntasks = [a, *b]\nx = g(f(*tasks, key=1))  # d\n"),
        ("f(\n    a,  # c\n    b,\n)\n", "tasks = [\n    a,  # c\n    b,\n]\nf(*tasks)\n"),
        ("f(\n    *[\n        a\n        for a in b\n    ]\n)\n", "tasks = [\n    a\n    for a in b\n]\nf(*tasks)\n"),
    ],
)
def test_arguments_become_a_list(before: str, after: str) -> None:
    source = Source("m.py", before.encode())
    module = Module(source)
    (call,) = module.calls_ending("f")
    operation = NameArguments(module.span(call), module.span(module.statement(call)), "tasks")
    assert changed(source, operation).text == after


def test_the_list_of_arguments_can_take_more_lines_or_call_something() -> None:
    source = Source("m.py", b"if x:\n  f(*b)\n")
    module = Module(source)
    (call,) = module.calls_ending("f")
    spans = module.span(call), module.span(module.statement(call))
    each = NameArguments(*spans, "tasks", each="spawn", item="one")
    assert changed(source, each).text == "if x:\n  tasks = [spawn(one) for one in b]\n  f(*tasks)\n"
    spread = NameArguments(*spans, "tasks", each="spawn", item="one", spread=True)
    wide = "if x:\n  tasks = [\n    spawn(one)\n    for one in b\n  ]\n  f(*tasks)\n"
    assert changed(source, spread).text == wide


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x = f(1)\n", "x = spawn(f(1))\n"),
        ("x = [f(i) for i in y]\n", "x = [spawn(f(i)) for i in y]\n"),
        ("x = f(\n    1,  # one\n)\n", "x = spawn(\n    f(\n        1,  # one\n    )\n)\n"),
        ("x = f(1,\n      2)\n", "x = spawn(f(1,\n      2))\n"),
    ],
)
def test_an_expression_goes_into_a_call(before: str, after: str) -> None:
    source = Source("m.py", before.encode())
    module = Module(source)
    (call,) = module.calls_ending("f")
    assert changed(source, WrapInCall(module.span(call), "spawn")).text == after


def test_statements_go_in_front_below_the_comments() -> None:
    source = Source("m.py", b"a = 1\n\n# about b\nb = 2\n")
    module = Module(source)
    inserted = changed(source, InsertBefore(module.span(module.tree.body[1]), "x = 0"))
    assert inserted.text == "a = 1\n\n# about b\nx = 0\nb = 2\n"


def test_a_value_gets_a_name() -> None:
    source = Source("m.py", b"# c\nf(\n    1,\n)  # d\n")
    module = Module(source)
    operation = NameValue(module.span(module.tree.body[0]), "x")
    assert changed(source, operation).text == "# c\nx = f(\n    1,\n)  # d\n"


def test_every_comment_of_a_removed_statement_stays() -> None:
    text = "@one  # 1\ndef f(  # 2\n    a,  # 3\n):  # 4\n    # 5\n    pass  # 6\n    # 7\nx = 1\n"
    source = Source("m.py", text.encode())
    module = Module(source)
    after = changed(source, RemoveStatement(module.span(module.tree.body[0])))
    assert sorted(line.strip() for line in after.text.splitlines()) == [
        "# 1",
        "# 2",
        "# 3",
        "# 4",
        "# 5",
        "# 6",
        "# 7",
        "x = 1",
    ]


@pytest.mark.parametrize("seed", range(3))
def test_real_code_keeps_its_comments_and_strings(seed: int) -> None:
    chance = random.Random(seed)
    for path in chance.sample(SMALL, 8):
        source = Source(path.name, path.read_bytes())
        module = Module(source)
        statements = [n for n in ast.walk(module.tree) if isinstance(n, ast.stmt) and module.stands_alone(n)]
        for statement in chance.sample(statements, min(3, len(statements))):
            span = module.span(statement)
            for operation in (
                WrapInTry(first=span, last=span, cleanup="x.close()"),
                WrapInWith(first=span, last=span, header="with x() as y:"),
                InsertAfter(at=span, code="inserted()\n"),
                ExtractCoroutine(first=span, last=span, name="extracted", call="run(extracted())"),
            ):
                after = changed(source, operation)
                tree = ast.parse(after.data)
                assert not integrity.loses_comment(source, after), (path, operation)
                assert not integrity._strings(module.tree) - integrity._strings(tree), (path, operation)
                kinds = sum(isinstance(node, ast.stmt) for node in ast.walk(module.tree))
                assert sum(isinstance(node, ast.stmt) for node in ast.walk(tree)) > kinds
            assert not integrity.loses_comment(source, changed(source, RemoveStatement(span))), (path, statement)
