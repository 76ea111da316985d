"""Every notebook under ``fixtures/``: what is found, what becomes of it, and what a kernel says to both."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import nbformat
import pytest
import tomlkit

from codemods.engine.identity import identify
from codemods.engine.results import Change
from codemods.model import Safety
from codemods.reports.patch import file_patch
from codemods.source import Source
from tests import notebooks
from tests.notebooks import LAYOUTS, NAME, Layout, NotebookCase, examine, in_cell, result, rewrite

CASES = notebooks.cases()
CHANGING = [case for case in CASES if case.after != case.before]
RUNNING = [case for case in CASES if "run" in case.spec]


def each(some: list[NotebookCase]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", some, ids=[case.id for case in some])


@each(CASES)
def test_finds_what_the_case_says(case: NotebookCase, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--accept"):
        return accept(case)
    assert [in_cell(finding) for finding in examine(case.before).found] == case.spec.get("finding", [])
    return None


@each(CASES)
def test_rewrites_to_what_the_case_says(case: NotebookCase) -> None:
    assert rewrite(case, case.before).decode() == case.after.decode()


@each(CASES)
def test_nothing_is_rejected_and_a_second_run_changes_nothing(case: NotebookCase) -> None:
    for data in (case.before, case.after):
        outcome = examine(data, unsafe=case.level is Safety.UNSAFE).outcome
        assert outcome is None or outcome.rejected == ()
    assert rewrite(case, case.after) == case.after


@each(CHANGING)
def test_each_fix_holds_alone(case: NotebookCase) -> None:
    ids = identify(examine(case.before).found, directory=Path(), root=Path())
    for id_, finding in ids.items():
        if finding.rewrite is None:
            continue
        examined = examine(case.before, only=frozenset([id_]))
        assert examined.outcome is not None
        assert [fix.finding for fix in examined.outcome.fixed] == [finding]
        again = examine(result(examined, case.before)).found
        assert len(again) < len(examined.found)


@pytest.mark.parametrize("layout", LAYOUTS, ids=[layout.__name__ for layout in LAYOUTS])
@each(CASES)
def test_the_layout_stays_to_the_byte(case: NotebookCase, layout: Layout) -> None:
    before, after = (layout(json.loads(data)).encode() for data in (case.before, case.after))
    assert rewrite(case, before).decode() == after.decode()


@each(CHANGING)
def test_the_edits_of_each_fix_speak_of_the_file(case: NotebookCase) -> None:
    examined = examine(case.before, unsafe=case.level is Safety.UNSAFE)
    assert examined.outcome is not None
    for fix in examined.outcome.fixed:
        if fix.turn == 1:
            json.loads(Source(NAME, case.before).with_edits(fix.edits).data)
    if all(fix.turn == 1 for fix in examined.outcome.fixed):
        edits = [edit for fix in examined.outcome.fixed for edit in fix.edits]
        assert Source(NAME, case.before).with_edits(edits).data == case.after


@each(CHANGING)
def test_git_applies_the_patch(case: NotebookCase, tmp_path: Path) -> None:
    patch = file_patch(NAME, Change(Source(NAME, case.before), Source(NAME, case.after)))
    (tmp_path / NAME).write_bytes(case.before)
    subprocess.run(["git", "apply", "-"], input=patch, cwd=tmp_path, check=True)
    assert (tmp_path / NAME).read_bytes() == case.after


@each(CASES)
def test_both_are_valid_notebooks(case: NotebookCase) -> None:
    for data in (case.before, case.after):
        nbformat.validate(nbformat.reads(data.decode(), as_version=nbformat.NO_CONVERT))


@each(RUNNING)
def test_a_kernel_raises_before_and_not_after(case: NotebookCase, tmp_path: Path) -> None:
    symptom = case.spec["run"].get("symptom", "")
    before = notebooks.execute(case.before, tmp_path)
    assert any(symptom in error for error in before.errors) if symptom else before.errors == []
    if case.after != case.before:
        after = notebooks.execute(case.after, tmp_path)
        remaining = case.spec["run"].get("remaining", [])
        assert [error for error in after.errors if not any(text in error for text in remaining)] == []
        assert symptom or after.text == before.text


def test_no_case_is_without_a_summary() -> None:
    assert [case.id for case in CASES if not case.spec.get("summary")] == []


def accept(case: NotebookCase) -> None:
    """Write what the rules do now into the case."""
    document = tomlkit.parse((case.folder / "case.toml").read_text())
    document.pop("finding", None)
    found = tomlkit.aot()
    for finding in examine(case.before).found:
        found.append(tomlkit.item(in_cell(finding)))
    if found:
        document["finding"] = found
    (case.folder / "case.toml").write_text(tomlkit.dumps(document))
    after = rewrite(case, case.before)
    if after == case.before:
        (case.folder / "after.ipynb").unlink(missing_ok=True)
    else:
        (case.folder / "after.ipynb").write_bytes(after)
