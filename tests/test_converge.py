"""The fixpoint guards every file against every rule: a rewrite that breaks something is taken back alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from codemods.engine.converge import converge_file
from codemods.engine.results import Outcome
from codemods.facts.module import Module
from codemods.model import Finding, Operation, Rewrite, Safety, Severity, Span
from codemods.rewriting.operations import AddKeyword, InsertAfter, RemoveStatement, ReplaceExpression
from codemods.source import Source

Make = Callable[[Module, Span, Span], tuple[Operation, ...]]


def finder(rewrites: dict[str, Make]) -> Callable[[Source], list[Finding]]:
    """A rule for each name: every call of it is a finding, mended by the operations it is given."""

    def find(source: Source) -> list[Finding]:
        module = Module(source)
        found = []
        for name, make in rewrites.items():
            for call in module.calls_ending(name):
                span, statement = module.span(call), module.span(module.statement(call))
                rewrite = Rewrite("Mend it", Safety.SAFE, make(module, span, statement))
                found.append(
                    Finding(name, "bad", Severity.ERROR, "m.py", span, "<module>", module.anchor(span), rewrite)
                )
        return found

    return find


def replace_by(code: str) -> Make:
    return lambda module, call, statement: (ReplaceExpression(at=call, code=code),)


def run(text: str, wanted: Callable[[Finding], bool] = lambda finding: True, **rewrites: Make) -> tuple[str, Outcome]:
    source = Source("m.py", text.encode())
    outcome = converge_file(source, finder(rewrites), wanted)
    return (outcome.sources["m.py"].text if outcome.sources else text), outcome


def test_every_finding_is_mended() -> None:
    text, outcome = run("a = bad()\nb = bad()\nc = worse()\n", bad=replace_by("1"), worse=replace_by("2"))
    assert text == "a = 1\nb = 1\nc = 2\n"
    assert (len(outcome.fixed), outcome.open, outcome.rejected) == (3, (), ())


def test_what_does_not_compile_is_taken_back_alone() -> None:
    text, outcome = run("a = bad()\nb = broken()\nc = bad()\n", bad=replace_by("1"), broken=replace_by("await x"))
    assert text == "a = 1\nb = broken()\nc = 1\n"
    assert ["does not compile" in r.reason for r in outcome.rejected] == [True]


def test_a_finding_that_stays_is_named() -> None:
    text, outcome = run("bad()\n", bad=lambda m, call, s: (InsertAfter(at=s, code="other()"),))
    assert text == "bad()\n"
    assert outcome.rejected[0].reason == "the finding is still there after its rewrite"


def test_a_rewrite_that_brings_another_finding_is_taken_back() -> None:
    text, outcome = run("a = bad()\n", bad=replace_by("worse()"), worse=replace_by("bad()"))
    assert text == "a = bad()\n"
    assert outcome.rejected[0].reason == "the rewrite would bring a new finding of worse"


def test_a_rewrite_that_lacks_another_one_waits_for_it() -> None:
    """While ``first`` is there, mending ``second`` brings a finding of ``third``."""

    def third_if_first(module: Module, call: Span, statement: Span) -> tuple[Operation, ...]:
        return replace_by("third()" if module.calls_ending("first") else "3")(module, call, statement)

    text, outcome = run(
        "a = second()\nb = first()\n", second=third_if_first, first=replace_by("1"), third=replace_by("0")
    )
    assert (text, outcome.rejected) == ("a = 3\nb = 1\n", ())


def test_a_string_may_not_change() -> None:
    text, outcome = run('a = bad("text")\n', bad=replace_by("1"))
    assert text == 'a = bad("text")\n'
    assert outcome.rejected[0].reason == "a string would change"


def test_the_value_of_a_keyword_that_is_set_anew_may_change() -> None:
    text, outcome = run(
        'bad(scope="old", name="x")\n',
        bad=lambda m, call, s: (
            AddKeyword(at=call, name="scope", value='"new"'),
            ReplaceExpression(at=replace(call, end_column=4), code="good"),
        ),
    )
    assert (text, outcome.rejected) == ('good(scope="new", name="x")\n', ())


def test_a_lost_comment_makes_a_rewrite_unsafe() -> None:
    source = "a = bad(  # why\n)\n"
    text, outcome = run(
        source, lambda f: f.rewrite is not None and f.rewrite.safety is Safety.SAFE, bad=replace_by("1")
    )
    assert text == source
    assert outcome.open[0].rewrite is not None
    assert outcome.open[0].rewrite.safety is Safety.UNSAFE
    text, _ = run(source, bad=replace_by("1"))
    assert text == "a = 1\n"


def test_a_removed_statement_leaves_its_comments() -> None:
    text, outcome = run(
        "def f():\n    # first\n    bad()  # second\n    # third\n    g()\n",
        bad=lambda m, call, statement: (RemoveStatement(at=statement),),
    )
    assert text == "def f():\n    # first\n    # second\n    # third\n    g()\n"
    assert not outcome.rejected


def test_an_operation_without_a_place_is_named() -> None:
    nowhere = Span(1, 3, 1, 4)
    _, outcome = run("bad()\n", bad=lambda m, call, s: (ReplaceExpression(at=nowhere, code="1"),))
    assert "could not be carried out" in outcome.rejected[0].reason


def test_fixes_that_touch_wait_for_the_next_pass() -> None:
    text, outcome = run("a = bad() + bad()\n", bad=replace_by("1"))
    assert text == "a = 1 + 1\n"
    assert [fix.turn for fix in outcome.fixed] == [1, 2]


def test_only_the_chosen_finding_is_mended() -> None:
    text, _ = run("a = bad(1)\nb = bad(2)\n", lambda f: f.span.line == 2, bad=replace_by("0"))
    assert text == "a = bad(1)\nb = 0\n"


@pytest.mark.parametrize(
    "data", [b"\xef\xbb\xbfa = bad()\r\nb = 2", "# coding: latin-1\na = bad()  # é".encode("latin-1")]
)
def test_encoding_newlines_and_the_end_of_the_file_stay(data: bytes) -> None:
    source = Source("m.py", data)
    outcome = converge_file(source, finder({"bad": replace_by("1")}), lambda finding: True)
    assert outcome.sources["m.py"].data == data.replace(b"bad()", b"1")


def test_a_form_feed_is_left_alone() -> None:
    text, outcome = run("x = 1\n\x0cdef f():\n    a = bad()\n", bad=replace_by("1"))
    assert ("bad()" in text) is bool(outcome.rejected)


def test_findings_that_undo_one_another_leave_the_file_as_it_was() -> None:
    """Two rules whose findings never meet, so that no invariant of one step is broken."""

    def find(source: Source) -> list[Finding]:
        module = Module(source)
        here = []
        for name, other in (("left", "right"), ("right", "left")):
            for call in module.calls_ending(name):
                rewrite = Rewrite("Turn", Safety.SAFE, (ReplaceExpression(at=module.span(call), code=f"{other}()"),))
                span = module.span(call)
                found = Finding("turn", "bad", Severity.ERROR, "m.py", span, "<module>", name, rewrite)
                here.append(replace(found, code=f"turn-{len(source.data) % 1}"))
        return here[:0] if not here else [replace(here[0], code=name_of(source))]

    def name_of(source: Source) -> str:
        return "a" if b"left" in source.data else "b"

    outcome = converge_file(Source("m.py", b"left()\n"), find, lambda finding: True)
    assert outcome.sources == {}
    assert outcome.rejected
