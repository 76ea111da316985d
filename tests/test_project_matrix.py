"""The suites of the fixtures under every kind of pytest-asyncio: mended where they failed, or reported.

Oldest and newest in every run; ``make test-matrix`` has those between as well.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.test_project_fixtures import (
    CASES,
    SYMPTOMS,
    copy,
    environment,
    find_in,
    load,
    run_pytest,
    settle,
    tree,
)

BETWEEN = [pytest.param(version, marks=pytest.mark.slow) for version in ("0.23.8", "0.24.0", "0.26.0", "1.0.0")]
VERSIONS = ["0.21.2", *BETWEEN, "1.5.0"]
SUITES = [case for case in CASES if tomllib.loads((case / "case.toml").read_text()).get("run", {}).get("matrix")]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("case", SUITES, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_a_suite_is_mended_or_reported(case: Path, version: str, tmp_path: Path) -> None:
    python = environment(version)
    before = run_pytest(python, copy(case, "before", tmp_path / "before"))
    assert before.returncode in (0, 1), before.stdout + before.stderr
    mended = copy(case, "before", tmp_path / "after")
    reported = find_in(load(mended, python))
    settle(mended, python)
    after = run_pytest(python, mended)
    if tree(mended) != tree(case / "before"):
        assert after.returncode == 0, after.stdout + after.stderr
    elif before.returncode:
        assert any(symptom in before.stdout for symptom in SYMPTOMS), before.stdout
        assert reported
