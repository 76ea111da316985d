"""Write docs/rules out of the pages of the rules and the fixtures that are marked ``docs = true``,
and the diffs in README.md out of the example service.

Run by ``make docs``; a test fails when what is committed differs.
"""

from __future__ import annotations

import os
import sys
import tomllib
from difflib import unified_diff
from pathlib import Path

from codemods.engine.results import Status, Verb
from codemods.engine.run import Request, run
from codemods.engine.settings import Settings
from codemods.notebooks.cells import split
from codemods.notebooks.document import Notebook
from codemods.reports.patch import file_patch
from codemods.rules.base import AnyRule
from codemods.rules.registry import SECTIONS, all_rules, page
from codemods.source import Source

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Write the pages, remove those of rules that are gone."""
    folder = ROOT / "docs" / "rules"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = pages(ROOT / "fixtures")
    for old in folder.glob("*.md"):
        if old.name not in wanted:
            old.unlink()
    for name, text in wanted.items():
        (folder / name).write_text(text, encoding="utf-8")
    file = ROOT / "README.md"
    file.write_text(readme(file.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"{len(wanted)} pages in {folder.relative_to(ROOT)}")
    return 0


def pages(fixtures: Path) -> dict[str, str]:
    """The text of every page by file name."""
    result = {f"{rule.code}.md": _rule(rule, fixtures) for rule in all_rules()}
    result["README.md"] = _index()
    return result


def readme(text: str) -> str:
    """The README with the diffs of the example service between its two marks."""
    head, rest = text.split(_BEGIN)
    tail = rest.split(_END)[1]
    return f"{head}{_BEGIN}\n{_service_diffs()}\n{_END}{tail}"


_BEGIN, _END = "<!-- diffs: begin, written by make docs -->", "<!-- diffs: end -->"


def _service_diffs() -> str:
    """What loopmend does to each file of the example service, under the rule that does it."""
    os.environ.pop("VIRTUAL_ENV", None)  # the example's own pins decide, not what is installed here
    service = ROOT / "examples" / "service"
    settings = Settings(root=service, unsafe_fixes=True)
    report = run(Request(Verb.DIFF, ["."], settings, service, jobs=1, cache=False))
    parts: list[str] = []
    for entry in report.with_status(Status.FIXED):
        rewrite = entry.finding.rewrite
        touched = sorted({edit.path for edit in entry.fix.edits}) if entry.fix else []
        if rewrite is None:
            continue
        code, name = entry.finding.code, report.names[entry.finding.code]
        why = f": {rewrite.why_unsafe}" if rewrite.why_unsafe else ""
        diffs = "".join(file_patch(path, report.changes[path]).decode() for path in touched)
        parts.append(
            f"**[{code}](docs/rules/{code}.md) {name}**: {entry.finding.message}.\n"
            f"*{rewrite.title}* ({rewrite.safety}{why}).\n\n```diff\n{diffs}```\n"
        )
    return "\n".join(parts)


def _index() -> str:
    rows = [
        f"| [{rule.code}]({rule.code}.md) | `{rule.name}` | {'yes' if rule.fixable else ''} | {page(rule).summary} |"
        for rule in all_rules()
    ]
    head = ["# Rules", "", "Written by `make docs`.", "", "| code | name | fix | what it finds |", "|---|---|---|---|"]
    return "\n".join([*head, *rows]) + "\n"


def _rule(rule: AnyRule, fixtures: Path) -> str:
    text = page(rule)
    parts = [f"# {rule.code} {rule.name}", text.summary]
    for title in SECTIONS:
        parts += [f"## {title}", text.sections.get(title, "")]
    for case in _examples(fixtures / rule.name):
        parts += [f"## Example: {case.name.replace('-', ' ')}", f"```diff\n{_diff(case)}```"]
    return "\n\n".join(parts) + "\n"


def _examples(folder: Path) -> list[Path]:
    cases = sorted(folder.glob("*/case.toml"))
    return [case.parent for case in cases if tomllib.loads(case.read_text(encoding="utf-8")).get("docs")]


def _diff(case: Path) -> str:
    """All of the file with what changes, or without any change; of a small project, all of each file that changes."""
    if not (case / "before").is_dir():
        before = next(case.glob("before.*"))
        return _file_diff(before, case / f"after{before.suffix}")
    names = sorted(path.relative_to(case / "after") for path in (case / "after").rglob("*") if path.is_file())
    diffs = {name.as_posix(): _file_diff(case / "before" / name, case / "after" / name) for name in names}
    changed = {name: diff for name, diff in diffs.items() if any(line[0] in "+-" for line in diff.splitlines())}
    return "\n".join(f"--- {name}\n+++ {name}\n{diff}" for name, diff in changed.items())


def _file_diff(before_file: Path, after_file: Path) -> str:
    before = _lines(before_file)
    after = _lines(after_file) if after_file.exists() else before
    lines = list(unified_diff(before, after, n=max(len(before), 1)))[3:] or [" " + line for line in before]
    return "".join(line if line.endswith("\n") else line + "\n" for line in lines)


def _lines(file: Path) -> list[str]:
    """The lines of a program; of a notebook, those of its Python cells, each under its number."""
    source = Source(file.name, file.read_bytes())
    if not source.is_notebook:
        return source.lines
    cells = split(Notebook.read(source).module)
    text = "\n\n".join(f"# cell {cell.number}\n{cell.text}" for cell in cells)
    return f"{text}\n".splitlines(keepends=True)


if __name__ == "__main__":
    sys.exit(main())
