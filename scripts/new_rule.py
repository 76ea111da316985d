"""Start a rule: its file with a page to fill in, its first fixture, its code.

Run by ``make new-rule NAME=some-name FAMILY=6``.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

INDEX = "codemods/rules/index.py"

RULE = '''"""{code}: say in one line what this rule is about."""

from __future__ import annotations

from collections.abc import Iterator

from codemods.facts.module import Module
from codemods.model import Finding, Severity
from codemods.rules.base import Rule


class {class_name}(Rule):
    """One line that says what the rule finds.

    What it finds
        The code, in the words of somebody who wrote it.

    Why it breaks
        What happens at run time, and when.

    What it changes
        The rewrite. Name what stays as it is.

    When it refuses
        Each reason, in the words of the refusal.

    Safety
        When the rewrite is safe, when it is not, and why.
    """

    code = "{code}"
    name = "{name}"
    fixable = False

    def find(self, module: Module) -> Iterator[Finding]:
        """Every candidate, with its rewrite or the reason that there is none."""
        for call in module.calls("asyncio.replace_me"):
            yield self.finding(
                module,
                call,
                "say what happens at run time",
                Severity.WARNING,
                refusal="say why there is no fix, and what to do by hand",
            )
'''

BEFORE = """import asyncio


asyncio.replace_me()
"""

CASE = """# What must be found in before.py. Add after.py when the rule rewrites it, then run `make accept`.
summary = "say what this case shows"
docs = true

[[finding]]
line = 4
code = "{code}"
refusal = "say why"
"""


def main(arguments: list[str] | None = None) -> int:
    """Write the files and say what to do next."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="lower case, with hyphens, such as shared-across-runs")
    parser.add_argument("--family", default="6", help="the first digit of the code")
    options = parser.parse_args(arguments)
    name: str = options.name
    if not re.fullmatch(r"[a-z]+(-[a-z]+)*", name):
        parser.error(f"{name!r} is not a name such as shared-across-runs")
    if not re.fullmatch(r"[1-9]", options.family):
        parser.error(f"{options.family!r} is not a family: one digit from 1 to 9")
    rules, case = ROOT / "codemods" / "rules", ROOT / "fixtures" / name / "finds-the-bug"
    taken = sorted(path.stem for path in rules.glob("lm[0-9]*.py"))
    if any(stem[6:] == name.replace("-", "_") for stem in taken) or case.exists():
        parser.error(f"there is a rule {name} already")
    code = next_code(options.family, taken)
    rule = rules / f"{code.lower()}_{name.replace('-', '_')}.py"
    class_name = "".join(word.capitalize() for word in name.split("-"))
    rule.write_text(RULE.format(code=code, name=name, class_name=class_name), encoding="utf-8")
    add_needles(code)
    case.mkdir(parents=True)
    (case / "before.py").write_text(BEFORE, encoding="utf-8")
    (case / "case.toml").write_text(CASE.format(code=code), encoding="utf-8")
    print(
        f"{code} {name}\n"
        f"  1. {case.relative_to(ROOT)}/before.py: the code with the bug\n"
        f"  2. {rule.relative_to(ROOT)}: the page, find(); its needles in {INDEX}\n"
        f"  3. make test ARGS='-k {name}'; make accept; make docs"
    )
    return 0


def add_needles(code: str) -> None:
    """Give the rule a line in the index, behind those of the codes before it."""
    path = ROOT / INDEX
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    end = lines.index("}\n")  # NEEDLES is the first table
    before = max(n for n, line in enumerate(lines[:end]) if (m := re.match(r'    "(LM\d{3})": ', line)) and m[1] < code)
    lines.insert(before + 1, f'    "{code}": ((b"asyncio.replace_me(",),),\n')
    path.write_text("".join(lines), encoding="utf-8")


def next_code(family: str, taken: list[str]) -> str:
    """The first free code of a family, given the names of the files that exist."""
    used = {int(stem[2:5]) for stem in taken}
    free = (number for number in range(int(family) * 100 + 1, int(family) * 100 + 100) if number not in used)
    return f"LM{next(free)}"


if __name__ == "__main__":
    sys.exit(main())
