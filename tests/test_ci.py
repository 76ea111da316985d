"""The action and the CI templates: valid, careful with what strangers write, and seen to run.

The steps of the composite action are executed as a runner does it, by bash in a ``GITHUB_*``
environment, with a ``gh`` that notes what it was asked.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
ACTION = ROOT / "action.yml"
WORKFLOWS = sorted((ROOT / "docs/ci").glob("github-*.yml"))
GITLAB = ROOT / "docs/ci/gitlab.yml"


def _load(path: Path) -> Any:
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


def _steps(path: Path) -> Iterator[dict[str, Any]]:
    data = _load(path)
    for job in [data["runs"]] if "runs" in data else data["jobs"].values():
        yield from job["steps"]


# What is written


@pytest.mark.parametrize(
    ("schema", "paths"),
    [("github-actions", [ACTION]), ("github-workflows", WORKFLOWS), ("gitlab-ci", [GITLAB])],
)
def test_the_published_schemas_allow_it(schema: str, paths: list[Path]) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    command += ["--data-transform", "gitlab-ci"] if schema == "gitlab-ci" else []
    # Proxies that lead nowhere: the schemas come with the tool, and must not be asked for.
    environment = {**os.environ, "https_proxy": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}
    done = subprocess.run([*command, *map(str, paths)], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", [ACTION, *WORKFLOWS], ids=lambda path: path.name)
def test_no_expression_stands_in_a_script(path: Path) -> None:
    """What a stranger may write, a branch's name or a path, would be run as a command there."""
    assert [step["name"] for step in _steps(path) if "${{" in step.get("run", "")] == []


@pytest.mark.parametrize("path", [ACTION, *WORKFLOWS], ids=lambda path: path.name)
def test_other_actions_are_pinned_to_a_commit(path: Path) -> None:
    used = [step["uses"] for step in _steps(path) if "uses" in step]
    assert [name for name in used if not re.fullmatch(r"[\w/-]+@([0-9a-f]{40}|COMMIT)", name)] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_say_what_their_token_may_and_keep_it_from_git(path: Path) -> None:
    workflow = _load(path)
    writes = {name for name, level in workflow["permissions"].items() if level == "write"}
    assert writes <= {"contents", "pull-requests"}
    assert "contents" not in writes or path.name == "github-scheduled.yml"
    assert "pull_request_target" not in workflow["on"]
    for step in _steps(path):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_the_step_with_a_token_has_no_code_and_the_step_with_code_has_no_token() -> None:
    check, comment = ROOT / "docs/ci/github-forks-check.yml", ROOT / "docs/ci/github-forks-comment.yml"
    assert set(_load(check)["permissions"].values()) == {"read"}
    assert not any("token" in json.dumps(step) for step in _steps(check))
    assert not any("checkout" in step.get("uses", "") for step in _steps(comment))
    assert _load(comment)["on"]["workflow_run"]["workflows"] == [_load(check)["name"]]


def test_the_page_names_every_template() -> None:
    page = (ROOT / "docs/ci/README.md").read_text(encoding="utf-8")
    assert [path.name for path in [*WORKFLOWS, GITLAB] if f"({path.name})" not in page] == []


# What happens


@dataclass
class Runner:
    """One job's machine: ``answers`` are what ``gh`` prints, by a part of its command line."""

    temp: Path
    answers: dict[str, str] = field(default_factory=dict)
    event: dict[str, str] = field(default_factory=dict)

    def run(self, mode: str, **inputs: str) -> subprocess.CompletedProcess[str]:
        """The steps of the action in turn, until one fails."""
        given = {name: spec.get("default", "") for name, spec in _load(ACTION)["inputs"].items()}
        given |= {name.replace("_", "-"): value for name, value in inputs.items()} | {"mode": mode}
        done = subprocess.CompletedProcess([], 0, "", "")
        for step in _steps(ACTION):
            if self._skipped(step.get("if", ""), given):
                continue
            own = {name: self._value(text, given) for name, text in step["env"].items()}
            command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
            done = subprocess.run(
                command, cwd=self.temp / "code", env=self._environment(own), capture_output=True, text=True, check=False
            )
            if done.returncode:
                break
        return done

    def _environment(self, own: dict[str, str]) -> dict[str, str]:
        self.answers.setdefault("nothing else", "")
        (self.temp / "answers.json").write_text(json.dumps(self.answers))
        return {
            "PATH": f"{self.temp / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self.temp),
            "RUNNER_TEMP": str(self.temp),
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_OUTPUT": str(self.temp / "output"),
            "GITHUB_STEP_SUMMARY": str(self.temp / "summary"),
            "GITHUB_REPOSITORY": "acme/app",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_WORKSPACE": str(self.temp / "code"),
            **own,
        }

    def _skipped(self, condition: str, given: dict[str, str]) -> bool:
        if not condition:
            return False
        words = re.sub(r"inputs\.(\w+)", lambda found: repr(given[found[1]]), condition)
        return not eval(words.replace("&&", " and ").replace("||", " or "), {})

    def _value(self, text: str, given: dict[str, str]) -> str:
        match = re.fullmatch(r"\$\{\{ (.+) \}\}", text)
        assert match, text
        return next((value for value in (self._one(name, given) for name in match[1].split(" || ")) if value), "")

    def _one(self, name: str, given: dict[str, str]) -> str:
        if name.startswith("inputs."):
            return given[name.removeprefix("inputs.")]
        if name.startswith("steps.check.outputs."):
            return self.outputs().get(name.rpartition(".")[2], "")
        assert name.startswith("github.event."), name
        return self.event.get(name.removeprefix("github.event."), "")

    def outputs(self) -> dict[str, str]:
        path = self.temp / "output"
        return dict(line.split("=", 1) for line in path.read_text().splitlines()) if path.exists() else {}

    def calls(self) -> list[list[str]]:
        path = self.temp / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def posted(self) -> str:
        return (self.temp / "posted").read_text()


_GH = """#!{python}
import json, sys
from pathlib import Path
here = Path({temp!r})
with (here / "calls").open("a") as calls:
    calls.write(json.dumps(sys.argv[1:]) + "\\n")
for word in sys.argv:
    if word.startswith("body=@"):
        (here / "posted").write_text(Path(word.removeprefix("body=@")).read_text())
line = " ".join(sys.argv[1:])
answers = json.loads((here / "answers.json").read_text())
print(next((text for part, text in answers.items() if part in line), ""), end="")
"""

BUG = "import asyncio\n\nimport aiohttp\n\n\nasync def main():\n    session = aiohttp.ClientSession()\n"
BUG += "    print((await session.get('http://localhost')).status)\n\n\nasyncio.run(main())\n"


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    (tmp_path / "code").mkdir()
    (tmp_path / "code/app.py").write_text(BUG)
    (tmp_path / "code/fine.py").write_text("x = 1\n")
    tool = tmp_path / "loopmend/bin"
    tool.mkdir(parents=True)
    for name in ("python", "loopmend"):
        (tool / name).write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{Path(sys.executable).parent / name}" "$@"\n')
        (tool / name).chmod(0o755)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/gh").write_text(_GH.format(python=sys.executable, temp=str(tmp_path)))
    (tmp_path / "bin/gh").chmod(0o755)
    return Runner(tmp_path)


needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="runners have bash")


@needs_bash
def test_reports(runner: Runner) -> None:
    done = runner.run("report")
    assert done.returncode == 0, done.stderr
    assert "::warning file=app.py,line=7" in done.stdout
    assert re.search(r"^\| LM201 \| .app\.py.*:7 \| ", (runner.temp / "summary").read_text(), re.MULTILINE)
    assert runner.outputs()["findings"] == "1"
    assert runner.calls() == []


@needs_bash
def test_fails_when_it_is_told_to(runner: Runner) -> None:
    assert runner.run("report", fail_on_findings="true").returncode == 1
    (runner.temp / "code/app.py").write_text("")
    assert runner.run("report", fail_on_findings="true").returncode == 0


@needs_bash
def test_what_goes_wrong_is_no_finding(runner: Runner) -> None:
    done = runner.run("report", args="--select\nNOTHING")
    assert done.returncode == 2
    assert runner.outputs() == {}


@needs_bash
def test_an_unknown_mode_is_said(runner: Runner) -> None:
    done = runner.run("everything")
    assert (done.returncode, done.stdout) == (1, "::error::mode is report, collect, comment or pull-requests\n")


@needs_bash
def test_paths_are_one_on_each_line(runner: Runner) -> None:
    folder = runner.temp / "code/with a space; touch pwned"
    folder.mkdir()
    (folder / "more.py").write_text(BUG)
    assert runner.run("collect", paths=f"{folder.name}\n\nfine.py\n").returncode == 0
    assert runner.outputs()["findings"] == "1"
    assert not (runner.temp / "code/pwned").exists()


@needs_bash
def test_comments_on_what_the_pull_request_changes(runner: Runner) -> None:
    (runner.temp / "code/old.py").write_text(BUG)
    runner.event["pull_request.number"] = "7"
    runner.answers["pulls/7/files"] = "app.py\nfine.py\n"
    done = runner.run("comment", token="t")
    assert done.returncode == 0, done.stderr
    assert runner.calls()[-1][:4] == ["api", "--method", "POST", "repos/acme/app/issues/7/comments"]
    assert "app.py" in runner.posted()
    assert "old.py" not in runner.posted()


@needs_bash
def test_keeps_one_comment_up_to_date(runner: Runner) -> None:
    runner.event["pull_request.number"] = "7"
    runner.answers |= {"pulls/7/files": "fine.py\n", "issues/7/comments": "99\n"}
    assert runner.run("comment", token="t").returncode == 0
    assert runner.calls()[-1][:4] == ["api", "--method", "PATCH", "repos/acme/app/issues/comments/99"]
    assert "No findings" in runner.posted()


@needs_bash
def test_says_nothing_where_there_is_nothing_to_say(runner: Runner) -> None:
    runner.event["pull_request.number"] = "7"
    runner.answers["pulls/7/files"] = "fine.py\n"
    assert runner.run("comment", token="t").returncode == 0
    assert not any("POST" in call or "PATCH" in call for call in runner.calls())


SHA = "0123456789abcdef0123456789abcdef01234567"


def _collected(runner: Runner, *findings: dict[str, Any]) -> str:
    path = runner.temp / "artifact.json"
    path.write_text(json.dumps(findings))
    return str(path)


def _finding(**more: Any) -> dict[str, Any]:
    return {"code": "LM201", "path": "app.py", "line": 7, "message": "`s` is never closed", "fix": None, **more}


def _fork(runner: Runner, branch: str) -> None:
    runner.event |= {
        "workflow_run.head_sha": SHA,
        "workflow_run.head_repository.owner.login": "stranger",
        "workflow_run.head_branch": branch,
    }


@needs_bash
def test_the_second_step_asks_github_for_the_pull_request(runner: Runner) -> None:
    _fork(runner, "fix")
    runner.answers |= {"head=stranger:fix": "7\n", "pulls/7/files": "app.py\n"}
    done = runner.run("comment", token="t", report=_collected(runner, _finding(pull_request=1)))
    assert done.returncode == 0, done.stderr
    assert SHA in " ".join(runner.calls()[0])
    assert runner.calls()[-1][3] == "repos/acme/app/issues/7/comments"


@needs_bash
def test_the_second_step_leaves_a_pull_request_that_went_on(runner: Runner) -> None:
    _fork(runner, "fix")
    done = runner.run("comment", token="t", report=_collected(runner, _finding()))
    assert done.returncode == 0
    assert len(runner.calls()) == 1


@needs_bash
@pytest.mark.parametrize("branch", ["$(touch pwned)", "`touch pwned`", "x;touch pwned", "'; touch pwned; '", "--help"])
def test_a_branch_is_no_command(runner: Runner, branch: str) -> None:
    _fork(runner, branch)
    runner.answers |= {f"head=stranger:{branch}": "7\n", "pulls/7/files": "app.py\n"}
    done = runner.run("comment", token="t", report=_collected(runner, _finding()))
    assert done.returncode == 0, done.stderr
    assert f"head=stranger:{branch}" in runner.calls()[0]
    assert not (runner.temp / "code/pwned").exists()


@needs_bash
def test_what_a_stranger_writes_does_nothing(runner: Runner) -> None:
    _fork(runner, "fix")
    evil = "@acme/everybody closes #1 | <img src=x> [x](https://evil.example.org) <!-- -->\n/approve `a` ```"
    runner.answers |= {"head=stranger:fix": "7\n", "pulls/7/files": f"{evil.splitlines()[0]}\napp.py\n"}
    report = _collected(runner, _finding(message=evil), _finding(path=evil.splitlines()[0]))
    assert runner.run("comment", token="t", report=report).returncode == 0
    shown = runner.posted().split("| --- |", 1)[1]
    for harm in ("@acme", "closes #1", "<img", "](", "https://", "<!--", "\n/approve"):
        assert harm not in shown


@needs_bash
@pytest.mark.parametrize(
    "bad",
    [
        {"code": "LM201 @all"},
        {"line": "7"},
        {"line": True},
        {"path": ["app.py"]},
        {"message": None},
        {"fix": {"safety": 1}},
        {"fix": "safe"},
    ],
    ids=str,
)
def test_a_report_of_another_shape_is_refused(runner: Runner, bad: dict[str, Any]) -> None:
    _fork(runner, "fix")
    runner.answers |= {"head=stranger:fix": "7\n", "pulls/7/files": "app.py\n"}
    assert runner.run("comment", token="t", report=_collected(runner, _finding(**bad))).returncode != 0
    assert not any("POST" in call or "PATCH" in call for call in runner.calls())


@needs_bash
@pytest.mark.parametrize("number", ["", "7; touch pwned", "../../x", "7/merge"])
def test_only_a_number_is_a_pull_request(runner: Runner, number: str) -> None:
    done = runner.run("comment", token="t", pull_request=number, report=_collected(runner, _finding()))
    assert done.returncode == 1
    assert runner.calls() == []
    assert not (runner.temp / "code/pwned").exists()


@needs_bash
def test_opens_pull_requests_with_the_token_in_the_environment(runner: Runner) -> None:
    tool = runner.temp / "loopmend/bin/loopmend"
    tool.write_text('#!/bin/sh\necho "$GITHUB_TOKEN"\nprintf "%s|" "$@"\n')
    done = runner.run("pull-requests", token="the-token", args="--max-files\n5")
    assert done.stdout == "the-token\npr|--repo|https://github.com/acme/app|--max-files|5|"
