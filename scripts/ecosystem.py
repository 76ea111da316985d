"""What loopmend finds in real trees, as a table for docs/ecosystem.md.

    python scripts/ecosystem.py name-1.0/ other-2.3/ ... > docs/ecosystem.md

A tree is an unpacked source distribution, or a snapshot of a repository in a folder ``name@commit``;
its folder gives it its name in the table. Each diff, with and without the unsafe fixes, is checked
with ``git apply``, and what it changes has to compile.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

LOOPMEND = [sys.executable, "-m", "codemods"]
OPTIONS = ["--isolated", "--no-cache"]
HEAD = """# What it finds in real code

Counts of `loopmend check` over whole source distributions (`name-version`) and repositories
(`name@commit`), tests and examples included. *safe* is applied by `loopmend apply`, *unsafe* with
`--unsafe-fixes`; *reported* stands for findings without a fix, in brackets those that are only a hint
(`info`). Every diff, with and without the unsafe fixes, applies with `git apply`, and the result
compiles. Made by `scripts/ecosystem.py`; a change of a rule shows here as a diff.

| tree | files | code | safe | unsafe | reported (hints) |
|---|---:|---|---:|---:|---:|
"""


def main() -> int:
    """Print the table; 1 when a diff does not apply or its result does not compile."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trees", nargs="+", type=Path)
    failed = False
    print(HEAD, end="")
    for tree in sorted(parser.parse_args().trees, key=lambda path: path.name.lower()):
        findings = _findings(tree)
        print("\n".join(_rows(tree, findings)))
        for level in ([], ["--unsafe-fixes"]):
            if problem := _try_diff(tree, level):
                print(f"{tree.name}: {problem}", file=sys.stderr)
                failed = True
    return int(failed)


def _findings(tree: Path) -> list[dict[str, Any]]:
    run = subprocess.run([*LOOPMEND, "check", *OPTIONS, "--output-format", "json"], cwd=tree, capture_output=True)
    if run.returncode > 1:
        raise SystemExit(f"{tree.name}: {run.stderr.decode(errors='replace')}")
    found: list[dict[str, Any]] = json.loads(run.stdout)
    return found


def _rows(tree: Path, findings: list[dict[str, Any]]) -> list[str]:
    files = sum(1 for _ in tree.rglob("*.py"))
    name, rows = tree.name, []
    for code in sorted({finding["code"] for finding in findings}):
        here = [finding for finding in findings if finding["code"] == code]
        levels = Counter(finding["fix"]["safety"] if finding["fix"] else "none" for finding in here)
        hints = sum(finding["severity"] == "info" for finding in here if not finding["fix"])
        reported = f"{levels['none']} ({hints})" if levels["none"] else "0"
        rows.append(f"| {name} | {files} | {code} | {levels['safe']} | {levels['unsafe']} | {reported} |")
        name, files = "", ""  # type: ignore[assignment]
    return rows or [f"| {name} | {files} | none | | | |"]


def _try_diff(tree: Path, level: list[str]) -> str:
    """Apply the diff of one level of safety to a copy of the tree; what went wrong, empty when nothing did."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "tree")
        shutil.copytree(tree, copy, symlinks=True, ignore=shutil.ignore_patterns(".git"))
        run = subprocess.run([*LOOPMEND, "diff", *OPTIONS, *level], cwd=copy, capture_output=True)
        if run.returncode > 1:
            return run.stderr.decode(errors="replace")
        if not run.stdout:
            return ""
        applied = subprocess.run(
            ["git", "apply", "--whitespace=nowarn"], cwd=copy, input=run.stdout, capture_output=True
        )
        if applied.returncode:
            return applied.stderr.decode(errors="replace")
        names = [line[6:].decode().rstrip() for line in run.stdout.splitlines() if line.startswith(b"+++ b/")]
        for name in names:
            if name.endswith(".py"):
                compile((copy / name).read_bytes(), name, "exec", dont_inherit=True)
        return ""


if __name__ == "__main__":
    sys.exit(main())
