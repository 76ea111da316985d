"""What strangers named their files and variables is shown in a pull request, and does nothing there."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from codemods.bot import body as bodies
from codemods.bot.body import LIMIT
from codemods.bot.escape import code, fence, plain, prose
from codemods.bot.groups import Scope
from codemods.bot.marker import read
from codemods.bot.policy import GroupBy, Policy
from codemods.bot.proposal import Choice, Proposal
from codemods.bot.verify import Result, Verified
from codemods.engine.results import Change, Entry, Status
from codemods.model import Finding, Rewrite, Safety, Severity, Span
from codemods.source import Source

EVIL = [
    "@ann",
    "closes #12",
    "Fixes: GH-7",
    "see https://evil.example/x and www.evil.example",
    "a | b",
    "</details><img src=x onerror=alert(1)>",
    "![i](http://x/y.png) [l](http://x)",
    "`x`` `` y",
    "line\n/close\n# head",
    "<!-- loopmend:pull-request {} -->",
    "\u202egnp.exe\u2066",
    "*bold* _it_ ~~no~~ :smile: $1 !2 &3 %4 ~label",
    "\x1b[31mred\x00",
]


def inert(markdown: str) -> None:
    """No character is left that could start markup, a reference or a link."""
    shown = re.sub(r"`[^`|]*`|</?code>|&#\d+;", "", markdown)
    assert not re.search(r"[@#!$~%&](?=\w)|[<>|`\[\]*_\\]|://|www\.|\n", shown), shown
    assert "GH-" not in re.sub("`.*?`|<code>.*?</code>", "", markdown), "in code it is no reference"
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x1f]", markdown)


@pytest.mark.parametrize("text", EVIL)
def test_escaping(text: str) -> None:
    inert(prose(text))
    inert(code(text))
    assert not re.search(r"[@#!<>|`\[\]*_~\n&]", plain(text).replace("_it_", ""))


def test_what_is_harmless_stays_readable() -> None:
    assert prose("`session` is never closed: its connections stay") == (
        "`session` is never closed: its connections stay"
    )
    assert code("src/app/a-b.py:12") == "`src/app/a-b.py:12`"
    assert plain("LM201 src/app/a_b.py:12") == "LM201 src/app/a_b.py:12"


@pytest.mark.parametrize("text", ["a\n```\n/close\n", "````\n`````", "x"])
def test_a_fence_is_not_ended_from_inside(text: str) -> None:
    shown = fence(text, "diff")
    bars = re.match("`+", shown)
    assert bars is not None
    assert [line for line in shown.splitlines() if line.startswith(bars[0])] == [f"{bars[0]}diff", bars[0]]


def entry(number: int, text: str, *, fixed: bool = True, safety: Safety = Safety.SAFE) -> Entry:
    rewrite = Rewrite(f"Mend `{text}`", safety, (), "it may" if safety is Safety.UNSAFE else "")
    finding = Finding(
        *("LM201", f"`{text}` is open", Severity.ERROR, f"{text}/{number}.py", Span(number, 1, number, 2), "f", text),
        rewrite if fixed else None,
        "" if fixed else f"somebody has {text}",
    )
    return Entry(f"{number:012x}", finding, Status.FIXED if fixed else Status.OPEN)


def proposal(text: str, *, count: int = 1, left: int = 1, safety: Safety = Safety.SAFE) -> Proposal:
    mended = tuple(entry(number, text, safety=safety) for number in range(1, count + 1))
    others = tuple(entry(1000 + number, text, fixed=False) for number in range(left))
    changes = {each.finding.path: Change(Source("a", b"a"), Source("a", b"b")) for each in mended}
    scope = Scope(GroupBy.RULE, "LM201", safety is Safety.UNSAFE, "main")
    choice = Choice(scope, frozenset(each.id for each in mended), waiting=2)
    return Proposal(choice, mended, others, changes, f"--- a/{text}\n+++ b/{text}\n@@ -1 +1 @@\n-a\n+b {text}\n")


@pytest.mark.parametrize("text", EVIL)
def test_a_whole_description(text: str) -> None:
    made = proposal(text)
    body = bodies.body(made, "f" * 40, Policy())
    mark = read(body)
    assert mark is not None
    assert mark.ids == made.ids
    assert len(re.findall("<!-- loopmend:pull-request", body)) == 1
    rows = [line for line in body.splitlines() if line.startswith(("| <code>", "| `"))]
    assert [len(re.findall(r"(?<!\\)\|", row)) for row in rows] == [5]
    inert(re.sub(r"^\| | \| | \|$", " ", rows[0]))
    assert not re.search(r"^/\w", body, re.MULTILINE), "a quick action of GitLab's"
    assert body.count("<details>") == body.count("</details>")
    message = bodies.message(made, "a" * 40)
    assert not re.search(r"[@#]\w|GH-", message)


@pytest.mark.parametrize("text", ["a", *EVIL])
def test_no_description_is_longer_than_a_forge_takes(text: str) -> None:
    made = proposal(text * 20, count=800, left=800)
    body = bodies.body(made, "f" * 40, Policy())
    assert len(body) <= 65_536
    assert "more places" in body
    assert read(body) is not None
    assert len(bodies.comment(made)) <= LIMIT


def test_the_parts() -> None:
    body = bodies.body(proposal("x", safety=Safety.UNSAFE), "f" * 40, Policy(pages="https://docs.example/rules/"))
    assert "[LM201 unclosed-resource](https://docs.example/rules/LM201.md)" in body
    assert "| **unsafe**: it may |" in body
    assert "Found and left alone: 1" in body
    assert "somebody has x" in body
    assert "loopmend apply --unsafe-fixes --fix=000000000001" in body
    assert "2 more findings in other files will follow" in body
    assert 'ignore = ["LM201"]' in body
    assert "The page of" not in body
    assert "Verified" not in body


def test_both_results_are_shown() -> None:
    verified = Verified("pytest -q", Result(1, "```\n2 failed", 3.2), Result(0, "ok", 2.0))
    body = bodies.body(proposal("x"), "f" * 40, Policy(), verified)
    assert "pytest -q" in body
    assert "Before: exit code 1, 3 s" in body
    assert "After: exit code 0, 2 s" in body


def test_a_commit_knows_itself() -> None:
    message = bodies.message(proposal("x"), "a" * 40)
    assert bodies.made_by_us("a" * 40, message + "\n")
    assert not bodies.made_by_us("b" * 40, message)
    assert not bodies.made_by_us("a" * 40, message + "\nmore\n")


def test_a_place_in_a_notebook_has_its_cell() -> None:
    made = proposal("a.ipynb")
    (one,) = made.mended
    in_cell = replace(one, finding=replace(one.finding, path="a.ipynb", span=Span(2, 1, 2, 9, cell=3)))
    made = replace(made, mended=(in_cell,))
    assert "a.ipynb:cell 3:2" in bodies.message(made, "a" * 40)
    assert "a.ipynb:cell 3:2" in bodies.body(made, "f" * 40, Policy())
