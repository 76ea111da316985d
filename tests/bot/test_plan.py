"""The plan is pure: what was found, what the forge shows and the policy, in; actions, out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from codemods.bot import marker as markers
from codemods.bot.groups import Group, Scope, covers, groups
from codemods.bot.marker import Marker, short
from codemods.bot.observed import Observed, Seen
from codemods.bot.owners import CodeOwners
from codemods.bot.plan import Look, actions, choose
from codemods.bot.policy import GroupBy, Policy
from codemods.bot.proposal import Choice, Proposal, reason, unmended
from codemods.engine.results import Change, Entry, Report, Status, Verb
from codemods.forge.protocol import PullRequest, RepositoryId, State
from codemods.model import Finding, Rewrite, Safety, Severity, Span
from codemods.source import Source

HERE = RepositoryId("example.org", "ann/shop")
SCOPE = Scope(GroupBy.RULE, "LM201", False, "main")
LOOK = Look(covers=lambda scope: True, present=frozenset("abc"))


def entry(id: str, path: str = "a.py", code: str = "LM201", safety: Safety = Safety.SAFE) -> Entry:
    rewrite = Rewrite("Open it with `async with`", safety, ())
    finding = Finding(code, "it leaks", Severity.WARNING, path, Span(1, 1, 1, 2), "<module>", id, rewrite)
    return Entry(id, finding, Status.FIXED)


def proposal(ids: str, *, scope: Scope = SCOPE, patch: str = "@@ -1 +1 @@\n-a\n+b\n") -> Proposal:
    change = Change(Source("a.py", b"a\n"), Source("a.py", b"b\n"))
    choice = Choice(scope, frozenset(ids))
    return Proposal(choice, tuple(entry(id) for id in ids), (), {"a.py": change}, patch)


def seen(ids: str, state: State = State.OPEN, *, number: int = 1, made: Proposal | None = None, **more: object) -> Seen:
    digest = (made or proposal(ids)).digest
    mark = Marker(SCOPE, frozenset(ids), frozenset({short("a.py")}), "f" * 40, digest)
    pull = PullRequest(number, "url", state, "title", mark.render(), SCOPE.branch, HERE, "f" * 40, "main")
    return replace(Seen(pull, mark), **more)  # type: ignore[arg-type]


def kinds(
    proposals: list[Proposal],
    observed: Observed,
    *,
    look: Look = LOOK,
    may_open: int = 9,
    choices: list[Choice] | None = None,
) -> list[str]:
    given = [each.choice for each in proposals] if choices is None else choices
    return [type(action).__name__ for action in actions(proposals, given, observed, look, may_open=may_open)]


def test_open_update_leave() -> None:
    made = proposal("ab")
    assert kinds([made], Observed()) == ["Open"]
    assert kinds([made], Observed([seen("ab")])) == ["Leave"]
    assert kinds([made], Observed([seen("a", made=proposal("a", patch="other"))])) == ["Update"]
    assert kinds([made], Observed([seen("ab", pull=replace(seen("ab").pull, head_sha="0" * 40))])) == ["Update"]


def test_line_numbers_are_nothing_new() -> None:
    assert (
        proposal("a", patch="@@ -1 +1 @@ def f\n-a\n+b\n").digest == proposal("a", patch="@@ -9 +9 @@\n-a\n+b\n").digest
    )
    assert proposal("a", patch="@@ -1 +1 @@\n-a\n+c\n").digest != proposal("a").digest


def test_hands_off() -> None:
    theirs = seen("a", untouched=False)
    assert kinds([proposal("ab")], Observed([theirs])) == ["Comment"]
    assert kinds([proposal("ab")], Observed([replace(theirs, told=frozenset("b"))])) == ["Leave"]
    assert kinds([proposal("a", patch="other")], Observed([theirs])) == ["Leave"]
    assert kinds([], Observed([theirs]), look=replace(LOOK, present=frozenset())) == ["Leave"]
    assert kinds([proposal("ab")], Observed([replace(theirs, marker=None)])) == ["Leave"]
    turned = seen("a", pull=replace(seen("a").pull, base="develop"))
    assert kinds([proposal("ab")], Observed([turned])) == ["Leave"]
    assert kinds([proposal("ab")], Observed(foreign=frozenset({SCOPE.branch}))) == ["Skip"]


def test_close_only_what_this_run_can_know() -> None:
    gone = replace(LOOK, present=frozenset())
    assert kinds([], Observed([seen("a")]), look=gone) == ["Close"]
    assert kinds([], Observed([seen("a")])) == ["Leave"], "the finding is still there"
    assert kinds([], Observed([seen("a")]), look=replace(gone, covers=lambda scope: False)) == ["Leave"]
    assert kinds([], Observed([seen("a")]), look=replace(gone, unread=frozenset({"a.py"}))) == ["Leave"]
    assert kinds([], Observed([seen("a")]), look=replace(gone, unread=frozenset({"b.py"}))) == ["Close"]
    assert kinds([], Observed([seen("a")]), look=replace(gone, complete=False)) == ["Leave"]


def test_limits() -> None:
    second = proposal("c", scope=replace(SCOPE, name="LM301"))
    assert kinds([proposal("a"), second], Observed(), may_open=1) == ["Open", "Skip"]
    assert kinds([proposal("a"), second], Observed([seen("a")]), may_open=0) == ["Leave", "Skip"]
    assert kinds([proposal("a")], Observed(), may_open=-1) == ["Skip"]


def test_tidy() -> None:
    merged = seen("a", State.MERGED)
    at = {SCOPE.branch: "f" * 40}
    assert kinds([], Observed([merged], at)) == ["Tidy"]
    assert kinds([], Observed([merged], {SCOPE.branch: "0" * 40})) == [], "somebody has used the branch since"
    assert kinds([proposal("b")], Observed([merged], at)) == ["Open"], "it is used again at once"
    assert kinds([], Observed([merged, seen("a", number=2)], at)) == ["Leave"]
    assert kinds([], Observed([seen("a", State.CLOSED)], at)) == [], "it may be reopened"
    assert kinds([], Observed(branches={"loopmend/staging-lm201-12345678": "0" * 40})) == ["Tidy"]


def test_no_means_these_findings() -> None:
    group = Group(SCOPE, (entry("a"), entry("b"), entry("c", "z.py")))
    no = seen("ab", State.CLOSED)
    (choice,) = choose([group], Observed([no]), Policy())
    assert (choice.ids, choice.declined) == (frozenset("c"), 2)
    ours = replace(no, marker=replace(no.marker, withdrawn=True))  # type: ignore[type-var]
    assert choose([group], Observed([ours]), Policy())[0].ids == frozenset("abc")
    assert choose([group], Observed([seen("ab", State.MERGED)]), Policy())[0].ids == frozenset("abc")
    (none,) = choose([group], Observed([seen("abc", State.CLOSED)]), Policy())
    (action,) = actions([], [none], Observed(), LOOK, may_open=1)
    assert action.why == "people have said no to all of it"


def test_files_of_an_open_one_stay_in_it() -> None:
    group = Group(SCOPE, tuple(entry(id, f"{id}.py") for id in "abcd"))
    (first,) = choose([group], Observed(), Policy(max_files=2))
    assert (first.ids, first.waiting) == (frozenset("ab"), 2)
    (then,) = choose([group], Observed([seen("cd")]), Policy(max_files=2))
    assert then.ids == frozenset("cd")


def test_many_findings_in_few_files() -> None:
    group = Group(SCOPE, tuple(entry(f"{number}", f"{number // 400}.py") for number in range(1000)))
    (choice,) = choose([group], Observed(), Policy())
    assert (len(choice.ids), choice.waiting) == (400, 600)


def test_groups() -> None:
    found = [
        entry("a", "src/x/a.py"),
        entry("b", "src/y/b.py", "LM101", Safety.UNSAFE),
        entry("c", "c.py", "LM301"),
        Entry("d", Finding("LM201", "m", Severity.ERROR, "d.py", Span(1, 1, 1, 2), "", "d", refusal="no")),
    ]
    report = Report(Verb.CHECK, directory=Path(), entries=found)

    def names(policy: Policy, *, unsafe: bool = True) -> list[str]:
        owners = CodeOwners("/src/x/ @ann\n")
        made = groups(report, policy, "main", unsafe=unsafe, owners=owners)
        assert all(len({each.finding.rewrite.safety for each in group.entries}) == 1 for group in made)  # type: ignore[union-attr]
        return [group.scope.branch.removeprefix("loopmend/")[:-9] for group in made]

    assert names(Policy()) == ["lm201", "lm301", "lm101-unsafe"]
    assert names(Policy(), unsafe=False) == ["lm201", "lm301"]
    assert names(Policy(group_by=GroupBy.DIRECTORY)) == ["top", "src", "src-unsafe"]
    assert names(Policy(group_by=GroupBy.DIRECTORY, depth=2)) == ["top", "src-x", "src-y-unsafe"]
    assert names(Policy(group_by=GroupBy.OWNERS)) == ["ann", "nobody", "nobody-unsafe"]


def test_a_branch_is_named_after_its_scope_and_not_after_what_is_in_it() -> None:
    assert SCOPE.branch == "loopmend/lm201-b5c99aca", (
        "a change here makes every pull request of the world a second time"
    )
    others = [replace(SCOPE, base="dev"), replace(SCOPE, unsafe=True), replace(SCOPE, name="LM202")]
    assert len({SCOPE.key, *(scope.key for scope in others)}) == 4
    wild = Scope(GroupBy.DIRECTORY, "../ä b~^:?*[\\\n.lock", False, "main")
    assert wild.branch.startswith("loopmend/b-lock-")


def test_what_a_run_looks_after() -> None:
    def after(policy: Policy, scope: Scope, *, unsafe: bool = False) -> bool:
        return covers(policy, "main", {"LM201"}, unsafe=unsafe, scope=scope)

    folder = Scope(GroupBy.DIRECTORY, "src", False, "main", ("LM201",))
    assert after(Policy(), SCOPE)
    assert not after(Policy(), replace(SCOPE, name="LM301"))
    assert not after(Policy(), replace(SCOPE, base="dev"))
    assert not after(Policy(), replace(SCOPE, unsafe=True))
    assert after(Policy(), replace(SCOPE, unsafe=True), unsafe=True)
    assert not after(Policy(), folder)
    assert after(Policy(group_by=GroupBy.DIRECTORY, select=("LM201",)), folder)
    assert not after(Policy(group_by=GroupBy.DIRECTORY), folder)


@pytest.mark.parametrize(
    ("path", "owners"),
    [
        ("a.py", ("@all",)),
        ("docs/a.md", ("@docs",)),
        ("src/docs/a.md", ("@all",)),
        ("src/apps/x/y.py", ("@apps", "me@example.org")),
        ("src/apps/free/y.py", ()),
        ("with space/a.py", ("@spaced",)),
        ("lib/deep/er/a.js", ("@js",)),
    ],
)
def test_codeowners(path: str, owners: tuple[str, ...]) -> None:
    text = (
        "# c\n* @all\n/docs/ @docs\napps/ @apps me@example.org # why\n*.js @js\nsrc/apps/free\nwith\\ space/ @spaced\n"
    )
    assert CodeOwners(text)(path) == owners


SECTIONS = r"""
* @all
[Docs] @writers @editors   # of the handbook
docs/
docs/api/ @api
README.md

^[Databases][2] @dba
*.sql
model/db/ @model
!model/db/seed.sql

[DOCS]
CHANGELOG.md
[Without anybody]
lib/
"""


@pytest.mark.parametrize(
    ("path", "owners"),
    [
        ("a.py", ("@all",)),
        ("docs/a.md", ("@all", "@writers", "@editors")),
        ("docs/api/a.md", ("@all", "@api")),
        ("CHANGELOG.md", ("@all", "@writers", "@editors")),
        ("docs/x.sql", ("@all", "@writers", "@editors", "@dba")),
        ("model/db/a.sql", ("@all", "@model")),
        ("model/db/seed.sql", ("@all",)),
        ("lib/a.py", ("@all",)),
    ],
)
def test_codeowners_with_sections(path: str, owners: tuple[str, ...]) -> None:
    assert CodeOwners(SECTIONS)(path) == owners


def test_the_mark_comes_back_as_it_was() -> None:
    wild = Scope(GroupBy.DIRECTORY, "--> <b>@ann #1 `x` --", True, "re/--l", ("LM2",))
    mark = Marker(
        wild, frozenset({"a", "b"}), frozenset({short("--><script>.py")}), "f" * 40, "d", short("Title"), withdrawn=True
    )
    text = mark.render()
    assert text.count("-->") == 1
    assert not set("@#`") & set(text)
    assert markers.read(f"{text}\r\n\r\nsome text {Marker(SCOPE, frozenset(), frozenset(), '', '').render()}") == mark
    assert markers.read(markers.replaced(f"{text}\n\ntext", replace(mark, withdrawn=False))) == replace(
        mark, withdrawn=False
    )


@pytest.mark.parametrize(
    "body",
    ["", "text", "<!-- loopmend:pull-request {} -->", "<!-- loopmend:pull-request {nonsense} -->"],
)
def test_a_mark_that_is_lost_is_none(body: str) -> None:
    assert markers.read(body) is None
    broken = Marker(SCOPE, frozenset("a"), frozenset(), "", "").render().replace("LM201", "LM301")
    assert markers.read(broken) is None, "its key belongs to something else"


def test_told() -> None:
    assert markers.read_told(markers.told(frozenset({"ab12", "cd34"})) + "\ntext") == frozenset({"ab12", "cd34"})
    assert markers.read_told("text") == frozenset()


def test_the_reasons_of_what_is_left() -> None:
    fixed, other = entry("a"), entry("b", code="LM301")
    refused = Entry(
        "c", Finding("LM201", "m", Severity.ERROR, "d.py", Span(1, 1, 1, 2), "", "d", refusal="it is handed on")
    )
    rejected = Entry("d", fixed.finding, Status.REJECTED, reason="a comment would be lost")
    unsafe = Entry("e", entry("e", safety=Safety.UNSAFE).finding, reason="the fix is unsafe")
    waiting = Entry("f", entry("f").finding, reason="not asked for")
    found = [fixed, other, refused, rejected, unsafe, waiting]
    left = unmended(found, [fixed], unsafe=False)
    assert [reason(each) for each in left] == ["it is handed on", "a comment would be lost", "the fix is unsafe"]
    assert [each.id for each in unmended(found, [fixed], unsafe=True)] == ["c", "d"]
