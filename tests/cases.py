"""The single-file cases under ``fixtures/``: read them, run the rules on them, run their programs."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from codemods.engine.converge import converge_file
from codemods.engine.results import Outcome
from codemods.facts.module import Module
from codemods.model import Finding, Safety
from codemods.rules.base import Rule
from codemods.rules.registry import all_rules
from codemods.source import Source

FIXTURES = Path(__file__).parent.parent / "fixtures"
SERVERS = {"redis-server": "redis-server", "postgresql": "postgres"}
DEBIAN_POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
# With -X dev, asyncio tells of slow steps: that says something about the machine alone.
NOISE = re.compile(r"^Executing <.*> took [\d.]+ seconds$")


@dataclass(frozen=True)
class Case:
    """One folder with a ``before.py``."""

    folder: Path

    @property
    def id(self) -> str:
        return f"{self.folder.parent.name}/{self.folder.name}"

    @cached_property
    def spec(self) -> dict[str, Any]:
        return tomllib.loads((self.folder / "case.toml").read_text())

    @cached_property
    def before(self) -> bytes:
        return (self.folder / "before.py").read_bytes()

    @cached_property
    def after(self) -> bytes:
        """What the rewrites must make of ``before``: the same bytes when there is no ``after.py``."""
        path = self.folder / "after.py"
        return path.read_bytes() if path.exists() else self.before

    @property
    def level(self) -> Safety:
        return Safety(self.spec.get("level", "safe"))

    @property
    def expected(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.spec.get("finding", [])
        return sorted(found, key=lambda f: (f["line"], f["code"]))

    def wanted(self, finding: Finding) -> bool:
        """Whether this case applies the rewrite of ``finding``."""
        return finding.rewrite is not None and (finding.rewrite.safety is Safety.SAFE or self.level is Safety.UNSAFE)


def cases() -> list[Case]:
    return [Case(path.parent) for path in sorted(FIXTURES.glob("*/*/before.py"))]


def analyse(source: Source) -> list[Finding]:
    """What all rules about one module find, in order."""
    module = Module(source)
    found = [f for rule in all_rules() if isinstance(rule, Rule) for f in rule.find(module)]
    return sorted(found, key=lambda f: (f.span, f.code))


def rewrite(case: Case, data: bytes) -> Outcome:
    """Everything that the case wants done to ``data``."""
    return converge_file(Source("before.py", data), analyse, case.wanted)


def result(outcome: Outcome, data: bytes) -> bytes:
    return outcome.sources["before.py"].data if outcome.sources else data


def agrees(finding: Finding, expected: dict[str, Any]) -> bool:
    """Whether a finding is the one that a case.toml describes."""
    if (finding.span.line, finding.code) != (expected["line"], expected["code"]):
        return False
    if "severity" in expected and finding.severity != expected["severity"]:
        return False
    if "refusal" in expected:
        return finding.rewrite is None and expected["refusal"] in finding.refusal
    return finding.rewrite is not None and finding.rewrite.safety == expected["safety"]


def describe(finding: Finding) -> dict[str, Any]:
    how = {"safety": str(finding.rewrite.safety)} if finding.rewrite else {"refusal": finding.refusal}
    return {"line": finding.span.line, "code": finding.code, "severity": str(finding.severity), **how}


# -- the same program in other clothes --------------------------------------------------------


def with_crlf(data: bytes) -> bytes | None:
    return data.replace(b"\n", b"\r\n")


def with_bom(data: bytes) -> bytes | None:
    return b"\xef\xbb\xbf" + data


def without_final_newline(data: bytes) -> bytes | None:
    return data.rstrip(b"\n")


def with_tabs(data: bytes) -> bytes | None:
    """Tabs for each four blanks at the start of a line; None when a string goes over several lines."""
    if any(node.end_lineno != node.lineno for node in ast.walk(ast.parse(data)) if isinstance(node, ast.Constant)):
        return None
    return re.sub(rb"(?m)^(?: {4})+", lambda m: b"\t" * (len(m.group()) // 4), data)


def with_alias(data: bytes) -> bytes | None:
    """``import asyncio as aio``; None when the name occurs in any other way that counts."""
    if b"import asyncio\n" not in data or re.search(rb"from asyncio|['\"#].*\basyncio\b|\baio\b", data):
        return None
    return re.sub(rb"(?<!\.)\basyncio\b", b"aio", data).replace(b"import aio\n", b"import asyncio as aio\n")


Clothes = Callable[[bytes], bytes | None]
CLOTHES: tuple[Clothes, ...] = (with_crlf, with_bom, without_final_newline, with_tabs, with_alias)


def wrapped(data: bytes, header: str) -> bytes | None:
    """The whole program indented under ``header``; None when that changes a string or an import."""
    text = data.decode()
    if "from __future__" in text or "import *" in text:
        return None
    indented = f"{header}\n" + "".join(f"    {line}" if line.strip() else line for line in text.splitlines(True))
    before, after = (Counter(_strings(t)) for t in (text, indented))
    return indented.encode() if before == after else None


def _strings(text: str) -> list[str]:
    return [n.value for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Constant) and isinstance(n.value, str)]


# -- running ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    code: int
    out: str
    err: str


def missing(requires: list[str]) -> str:
    """Why a case cannot run here; empty when it can."""
    for name in requires:
        if name in SERVERS:
            if not shutil.which(SERVERS[name], path=server_path()):
                return f"{name} is not installed: make setup-servers installs it"
        elif importlib.util.find_spec(name.replace("-", "_")) is None:
            return f"{name} is not installed"
    return ""


def server_path() -> str:
    """PATH with the place where Debian keeps the programs of PostgreSQL."""
    return os.pathsep.join([os.environ.get("PATH", ""), *map(str, DEBIAN_POSTGRES)])


def execute(program: Path) -> Run:
    """Run a program as strictly as Python can."""
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", program],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=program.parent,
        env={**os.environ, "PATH": server_path(), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
    )
    errors = [line for line in done.stderr.splitlines(True) if not NOISE.match(line)]
    return Run(done.returncode, done.stdout, "".join(errors))
