"""The findings of ``loopmend check --output-format json`` as Markdown.

    comment.py REPORT [--only FILE]

``--only`` names a file that lists paths, one on each line: other findings are left out. The report may
have been written by a stranger's workflow, so its shape is checked, and no text of it is markup.
"""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codemods.bot.escape import code, prose

MARK = "<!-- loopmend:findings -->"
_MOST = 50
_LONGEST = 500
_BIGGEST = 10_000_000


@dataclass(frozen=True)
class Finding:
    """What is shown of a finding."""

    code: str
    path: str
    line: int
    message: str
    safety: str

    @classmethod
    def of(cls, data: Any) -> Finding:
        """Raises ValueError for what loopmend does not write."""
        try:
            fix = data["fix"]
            safety = "" if fix is None else fix["safety"]
            finding = cls(data["code"], data["path"], data["line"], data["message"], safety)
        except (TypeError, KeyError) as error:
            raise ValueError("this is no finding of loopmend") from error
        texts = (finding.path, finding.message, finding.safety)
        if not re.fullmatch(r"LM\d{3}", str(finding.code)) or type(finding.line) is not int:
            raise ValueError("this is no finding of loopmend")
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("this is no finding of loopmend")
        return finding


def read(report: Path) -> list[Finding]:
    """Raises ValueError for a file that loopmend does not write."""
    if report.stat().st_size > _BIGGEST:
        raise ValueError("the report is too big")
    data = json.loads(report.read_text(encoding="utf-8"))
    if not isinstance(data, list):
        raise ValueError("this is no report of loopmend")
    return [Finding.of(each) for each in data]


def render(findings: list[Finding]) -> str:
    """The comment."""
    if not findings:
        return f"{MARK}\nNo findings of loopmend are left in the changed files.\n"
    rows = [
        f"| {finding.code} | {code(_cut(finding.path))}:{finding.line} | {prose(_cut(finding.message))} "
        f"| {_FIX.get(finding.safety, 'by hand')} |"
        for finding in findings[:_MOST]
    ]
    more = f"\n{len(findings) - _MOST} more are not shown.\n" if len(findings) > _MOST else ""
    told = "`loopmend diff` shows the fixes, `loopmend apply` makes them, `loopmend explain CODE` says why."
    return f"{MARK}\n{_HEAD}\n" + "\n".join(rows) + f"\n{more}\n{told}\n"


_HEAD = """\
**loopmend** found code that ends in `RuntimeError: Event loop is closed` or in what goes with it.

| rule | where | what happens | fix |
| --- | --- | --- | --- |"""
_FIX = {"safe": "safe", "unsafe": "unsafe: read it first"}


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("report", type=Path)
    parser.add_argument("--only", type=Path)
    given = parser.parse_args()
    findings = read(given.report)
    if given.only is not None:
        changed = set(given.only.read_text(encoding="utf-8").splitlines())
        findings = [finding for finding in findings if finding.path in changed]
    print(render(findings), end="")


if __name__ == "__main__":
    main()
