"""The notebooks under ``fixtures/``: read them, run the engine on them, lay them out anew, execute them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from codemods.engine.examine import Examined, Examiner, Task
from codemods.engine.settings import Settings
from codemods.model import Finding, Safety
from codemods.source import Source
from tests.cases import FIXTURES, Case, describe

NAME = "before.ipynb"


class NotebookCase(Case):
    """One folder with a ``before.ipynb``."""

    @cached_property
    def before(self) -> bytes:
        return (self.folder / NAME).read_bytes()

    @cached_property
    def after(self) -> bytes:
        path = self.folder / "after.ipynb"
        return path.read_bytes() if path.exists() else self.before


def cases() -> list[NotebookCase]:
    return [NotebookCase(path.parent) for path in sorted(FIXTURES.glob(f"*/*/{NAME}"))]


def examine(data: bytes, *, unsafe: bool = True, only: frozenset[str] = frozenset()) -> Examined:
    """What the engine says of a notebook, and makes of it."""
    task = Task(Settings(unsafe_fixes=unsafe), Path(), fix=True, only=only)
    return Examiner(task)(Source(NAME, data))


def rewrite(case: NotebookCase, data: bytes) -> bytes:
    return result(examine(data, unsafe=case.level is Safety.UNSAFE), data)


def result(examined: Examined, data: bytes) -> bytes:
    sources = examined.outcome.sources if examined.outcome else {}
    return sources[NAME].data if sources else data


def in_cell(finding: Finding) -> dict[str, Any]:
    """A finding as a ``case.toml`` describes it."""
    return {"cell": finding.span.cell, **describe(finding)}


# -- the same notebook in other layouts -------------------------------------------------------


def compact(content: Any) -> str:
    return json.dumps(content, separators=(",", ":"))


def on_one_line(content: Any) -> str:
    return json.dumps(content)


def as_jupyter_writes_it(content: Any) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def as_colab_writes_it(content: Any) -> str:
    return json.dumps(content, indent=2)


def sorted_and_wide(content: Any) -> str:
    return json.dumps(content, indent=4, sort_keys=True, separators=(" , ", " : ")) + "\n\n"


def with_tabs_and_crlf(content: Any) -> str:
    return as_jupyter_writes_it(content).replace("\n ", "\n\t").replace("\n", "\r\n")


def with_bom(content: Any) -> str:
    return "\ufeff" + as_jupyter_writes_it(content)


def with_sources_in_one_string(content: Any) -> str:
    cells = [{**cell, "source": "".join(cell["source"])} for cell in content["cells"]]
    return as_jupyter_writes_it({**content, "cells": cells})


Layout = Callable[[Any], str]
LAYOUTS: tuple[Layout, ...] = (
    *(compact, on_one_line, as_jupyter_writes_it, as_colab_writes_it, sorted_and_wide),
    *(with_tabs_and_crlf, with_bom, with_sources_in_one_string),
)


# -- running ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Executed:
    """What the cells of a notebook put out."""

    errors: list[str]
    text: str


def execute(data: bytes, folder: Path) -> Executed:
    """Run all cells of a notebook in a kernel of its own, also those behind one that raises."""
    file = folder / "notebook.ipynb"
    file.write_bytes(data)
    command = "from nbclient.cli import main; main()"
    places = {name: str(folder / name.lower()) for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR")}
    subprocess.run(
        [sys.executable, "-c", command, "--allow-errors", "--inplace", file],
        cwd=folder,
        env={**os.environ, **places, "PYDEVD_DISABLE_FILE_VALIDATION": "1"},
        check=True,
        capture_output=True,
        timeout=120,
    )
    outputs = [output for cell in json.loads(file.read_bytes())["cells"] for output in cell.get("outputs", ())]
    errors = [f"{output['ename']}: {output['evalue']}" for output in outputs if output["output_type"] == "error"]
    return Executed(errors, "".join("".join(output.get("text", "")) for output in outputs))
