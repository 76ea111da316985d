"""Every case under ``fixtures/``: what is found, what becomes of it, and what both programs do."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import tomlkit

from codemods.engine.results import Change
from codemods.reports.patch import file_patch
from codemods.source import Source
from tests import cases
from tests.cases import CLOTHES, Case, analyse, result, rewrite

CASES = cases.cases()
CHANGING = [case for case in CASES if case.after != case.before]
RUNNING = [case for case in CASES if "run" in case.spec]


def each(some: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", some, ids=[case.id for case in some])


@each(CASES)
def test_finds_what_the_case_says(case: Case, request: pytest.FixtureRequest) -> None:
    found = sorted(analyse(Source("before.py", case.before)), key=lambda f: (f.span.line, f.code))
    if request.config.getoption("--accept"):
        return accept(case)
    agreeing = [cases.agrees(f, e) for f, e in zip(found, case.expected, strict=False)]
    assert len(found) == len(case.expected), [cases.describe(f) for f in found]
    assert all(agreeing), [cases.describe(f) for f in found]
    return None


@each(CASES)
def test_rewrites_to_what_the_case_says(case: Case) -> None:
    outcome = rewrite(case, case.before)
    assert not outcome.rejected, [(r.finding.code, r.reason) for r in outcome.rejected]
    assert result(outcome, case.before).decode() == case.after.decode()


@each(CHANGING)
def test_a_second_run_changes_nothing(case: Case) -> None:
    outcome = rewrite(case, case.after)
    assert outcome.sources == {}
    assert not outcome.rejected


@each(CHANGING)
def test_each_fix_holds_alone(case: Case) -> None:
    source = Source("before.py", case.before)
    for chosen in filter(case.wanted, analyse(source)):
        outcome = cases.converge_file(source, analyse, lambda finding, chosen=chosen: finding == chosen)
        assert not outcome.rejected, [(r.finding.code, r.reason) for r in outcome.rejected]
        assert [fix.finding for fix in outcome.fixed] == [chosen]


# LM104 is left out: what it finds LM103 mends in another way, so the first of the two decides.
@each([case for case in CHANGING if len({e["code"] for e in case.expected if "safety" in e} - {"LM104"}) > 1])
def test_the_order_of_the_rules_does_not_matter(case: Case) -> None:
    source = Source("before.py", case.before)
    for first in {finding.code for finding in analyse(source) if case.wanted(finding)}:
        outcome = cases.converge_file(source, analyse, lambda f, first=first: f.code == first and case.wanted(f))
        data = result(outcome, case.before)
        assert result(rewrite(case, data), data).decode() == case.after.decode(), first


@pytest.mark.parametrize("clothes", CLOTHES, ids=[c.__name__ for c in CLOTHES])
@each(CASES)
def test_the_same_program_in_other_clothes(case: Case, clothes: cases.Clothes) -> None:
    before, after = clothes(case.before), clothes(case.after)
    if before is None or after is None:
        return  # the program cannot wear them: see the function
    assert result(rewrite(case, before), before).decode() == after.decode()


@pytest.mark.parametrize("header", ["if True:", "def around():", "class Around:", "async def around():"])
@each(CHANGING)
def test_nothing_breaks_inside_another_block(case: Case, header: str) -> None:
    data = cases.wrapped(case.before, header)
    if data is None:
        return  # indenting changes what the program says
    outcome = rewrite(case, data)
    assert not outcome.rejected, [(r.finding.code, r.reason) for r in outcome.rejected]
    if header == "if True:":
        assert len(outcome.fixed) == len(rewrite(case, case.before).fixed)
    again = result(outcome, data)
    assert rewrite(case, again).sources == {}


@each(CHANGING)
def test_git_applies_the_patch(case: Case, tmp_path: Path) -> None:
    patch = file_patch("before.py", Change(Source("before.py", case.before), Source("before.py", case.after)))
    (tmp_path / "before.py").write_bytes(case.before)
    subprocess.run(["git", "apply", "-"], input=patch, cwd=tmp_path, check=True)
    assert (tmp_path / "before.py").read_bytes() == case.after


@each(RUNNING)
def test_the_symptom_is_there_before_and_gone_after(case: Case, tmp_path: Path) -> None:
    if reason := cases.missing(case.spec["run"].get("requires", [])):
        pytest.skip(reason)
    symptom = case.spec["run"].get("symptom", "")
    for name, data in (("before", case.before), ("after", case.after)):
        (tmp_path / f"{name}.py").write_bytes(data)
    before = cases.execute(tmp_path / "before.py")
    if symptom == "exit":
        assert before.code != 0, before
    elif symptom:
        assert symptom in before.err + before.out
    if case.after == case.before and not symptom:
        assert (before.code, before.err) == (0, "")
        return
    if case.after == case.before:
        return
    after = cases.execute(tmp_path / "after.py")
    assert (after.code, after.err) == (0, "")
    assert after.out.startswith(before.out)
    assert before.code != 0 or after.out == before.out


def test_no_case_is_without_a_summary() -> None:
    assert [case.id for case in CASES if not case.spec.get("summary")] == []


def accept(case: Case) -> None:
    """Write what the rules do now into the case."""
    document = tomlkit.parse((case.folder / "case.toml").read_text())
    document.pop("finding", None)
    found = tomlkit.aot()
    for finding in analyse(Source("before.py", case.before)):
        found.append(tomlkit.item(cases.describe(finding)))
    if found:
        document["finding"] = found
    (case.folder / "case.toml").write_text(tomlkit.dumps(document))
    after = result(rewrite(case, case.before), case.before)
    if after == case.before:
        (case.folder / "after.py").unlink(missing_ok=True)
    else:
        (case.folder / "after.py").write_bytes(after)
