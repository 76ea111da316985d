"""The cases of the project rules: small trees, checked against the rules and run by pytest itself."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import tomlkit

from codemods.engine.converge import converge_project
from codemods.facts.module import Module
from codemods.model import Edit, Finding
from codemods.project.tree import Project
from codemods.rewriting.lower import lower
from codemods.rules.base import ProjectRule
from codemods.rules.index import CONTEXT
from codemods.rules.registry import all_rules
from codemods.source import Source
from tests.cases import execute, missing

ROOT = Path(__file__).parent.parent / "fixtures"
RULES = [rule for rule in all_rules() if isinstance(rule, ProjectRule)]
NEEDLES = {group for rule in RULES for group in CONTEXT[rule.code]}
CASES = sorted(path.parent for path in ROOT.glob("*/*/before"))
PYTEST = {
    **dict.fromkeys(["0.21.2", "0.23.8"], "7.4.4"),
    **dict.fromkeys(["0.24.0", "0.25.3", "0.26.0", "1.0.0"], "8.4.2"),
    "1.5.0": "9.2.0",
}
"""The versions that cases run with, each with a pytest of its time."""
SYMPTOMS = (
    "attached to a different loop",
    "ScopeMismatch",
    "Multiple asyncio event loops",
    "has been deprecated",
    "Event loop is closed",
    "async_generator' object",
    "requested an async fixture",
    'defines both "scope" and "loop_scope"',
)


def load(directory: Path, python: Path | None = None) -> Project:
    modules = {}
    for path in sorted(directory.rglob("*.py")):
        name, data = path.relative_to(directory).as_posix(), path.read_bytes()
        if any(all(needle in data for needle in group) for group in NEEDLES):
            modules[name] = Module(Source(name, data))
    return Project(directory, modules, python=python, environ={})


def find(directory: Path) -> list[Finding]:
    return find_in(load(directory))


def find_in(project: Project) -> list[Finding]:
    found = [finding for rule in RULES for finding in rule.find_in(project)]
    return sorted(found, key=lambda finding: (finding.path, finding.span, finding.code))


def edits_of(directory: Path, finding: Finding) -> tuple[Edit, ...]:
    assert finding.rewrite is not None
    return lower(finding.rewrite, finding.path, load(directory).source)


def write(directory: Path, edits: Iterable[Edit]) -> None:
    for edit in sorted(set(edits), key=lambda edit: (edit.path, edit.start), reverse=True):
        path = directory / edit.path
        source = Source(edit.path, path.read_bytes())
        text = source.text[: edit.start] + edit.text + source.text[edit.end :]
        path.write_bytes(source.with_text(text).data)


def settle(directory: Path, python: Path | None = None) -> None:
    """Make every rewrite, unsafe ones too, as the engine does: with its checks, until none is left."""
    project = load(directory, python)
    outcome = converge_project(project, find_in, lambda finding: finding.rewrite is not None)
    assert not outcome.rejected, outcome.rejected
    for path, source in outcome.sources.items():
        (directory / path).write_bytes(source.data)


def accept(case: Path, directory: Path) -> None:
    """Write what the rules find and do now into the case; a person reads it."""
    document = tomlkit.parse((case / "case.toml").read_text())
    run = document.pop("run", None)
    document.pop("finding", None)
    found = tomlkit.aot()
    for finding in find(directory):
        found.append(tomlkit.item(described(finding)))
    if found:
        document["finding"] = found
    if run is not None:
        document["run"] = run
    (case / "case.toml").write_text(tomlkit.dumps(document))
    settle(directory)
    shutil.rmtree(case / "after", ignore_errors=True)
    if tree(directory) != tree(case / "before"):
        shutil.copytree(directory, case / "after")


def tree(directory: Path) -> dict[str, bytes]:
    return {p.relative_to(directory).as_posix(): p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def described(finding: Finding) -> dict[str, object]:
    fix = {"safety": finding.rewrite.safety.value} if finding.rewrite else {"refusal": finding.refusal}
    return {"path": finding.path, "line": finding.span.line, "code": finding.code, **fix}


def copy(case: Path, part: str, to: Path) -> Path:
    shutil.copytree(case / part, to, dirs_exist_ok=True)
    return to


@pytest.fixture(params=CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
def case(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_the_findings_are_those_of_the_case(case: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--accept"):
        accept(case, copy(case, "before", tmp_path / "accept"))
    wanted = tomllib.loads((case / "case.toml").read_text())
    found = [described(finding) for finding in find(copy(case, "before", tmp_path / "0"))]
    expected = wanted.get("finding", [])
    assert [(f["path"], f["line"], f["code"]) for f in found] == [(e["path"], e["line"], e["code"]) for e in expected]
    for got, entry in zip(found, expected, strict=True):
        assert got.get("safety") == entry.get("safety")
        assert entry.get("refusal", "") in str(got.get("refusal", ""))
        assert ("refusal" in got) == ("refusal" in entry)


def test_the_rewrites_give_the_tree_of_the_case_and_then_nothing_is_left(case: Path, tmp_path: Path) -> None:
    settle(copy(case, "before", tmp_path))
    assert tree(tmp_path) == tree(case / ("after" if (case / "after").is_dir() else "before"))
    assert not [finding for finding in find(tmp_path) if finding.rewrite]


def test_each_rewrite_is_complete_by_itself(case: Path, tmp_path: Path) -> None:
    before = find(copy(case, "before", tmp_path / "0"))
    for number, finding in enumerate(before, start=1):
        if finding.rewrite:
            alone = copy(case, "before", tmp_path / str(number))
            write(alone, edits_of(alone, finding))
            left = {(other.path, other.anchor) for other in find(alone)}
            assert (finding.path, finding.anchor) not in left
            assert len(left) < len(before)


RUNS = {case: tomllib.loads((case / "case.toml").read_text()).get("run", {}) for case in CASES}
RUN_CASES = [case for case in CASES if "pytest-asyncio" in RUNS[case]]
PROGRAMS = [case for case in CASES if "program" in RUNS[case]]


@pytest.mark.parametrize("case", PROGRAMS, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_the_program_shows_the_symptom(case: Path, tmp_path: Path) -> None:
    run = RUNS[case]
    if reason := missing(run["requires"]):
        pytest.skip(reason)
    done = execute(copy(case, "before", tmp_path) / run["program"])
    assert done.code != 0
    assert run["symptom"] in done.err


@pytest.mark.parametrize("case", RUN_CASES, ids=lambda case: f"{case.parent.name}/{case.name}")
def test_pytest_itself_agrees(case: Path, tmp_path: Path) -> None:
    run = tomllib.loads((case / "case.toml").read_text())["run"]
    python = environment(run["pytest-asyncio"])
    before = run_pytest(python, copy(case, "before", tmp_path / "before"))
    wanted = run.get("expect-before", "passed")
    assert (before.returncode != 0) == (wanted == "failed"), before.stdout + before.stderr
    assert wanted == "passed" or any(symptom in before.stdout for symptom in SYMPTOMS), before.stdout
    if (case / "after").is_dir():
        after = run_pytest(python, copy(case, "after", tmp_path / "after"))
        assert (after.returncode != 0) == (run.get("expect-after") == "failed"), after.stdout + after.stderr


def run_pytest(python: Path, directory: Path) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LANG") if name in os.environ}
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    return subprocess.run(
        command,
        cwd=directory,
        env={**kept, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def environment(version: str) -> Path:
    """The interpreter of an environment with this pytest-asyncio, built once and kept."""
    demands = [f"pytest-asyncio=={version}", f"pytest=={PYTEST[version]}"]
    key = hashlib.sha256(" ".join([sys.version, *demands]).encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "loopmend-tests"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"pytest-asyncio-{version}-{key}"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    with locked(cache / f"{folder.name}.lock"):
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            for command in build_commands(folder, python, demands):
                subprocess.run(command, check=True, capture_output=True, timeout=300)
            (folder / "complete").touch()
    return python


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time, for the workers of xdist."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def build_commands(folder: Path, python: Path, demands: list[str]) -> list[list[str]]:
    uv = shutil.which("uv")
    if uv:
        return [
            [uv, "venv", "-q", "--python", sys.executable, str(folder)],
            [uv, "pip", "install", "-q", "--python", str(python), *demands],
        ]
    return [
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *demands],
    ]
