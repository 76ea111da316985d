"""CPU time of loopmend beside ruff's, whole processes, medians of paired runs.

    python scripts/bench.py path/to/tree ...

A good tree is homeassistant 2024.3.3, 6,725 files:

    pip download --no-deps homeassistant==2024.3.3 -d /tmp/ha
    python -m zipfile -e /tmp/ha/homeassistant-2024.3.3-py3-none-any.whl /tmp/ha/src
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

RUFF = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "ASYNC,RUF006"]
LOOPMEND = [sys.executable, "-m", "codemods"]
LIBCST = [sys.executable, "-m", "libcst.tool", "codemod", "noop.NOOPCommand", "--no-format", "--jobs", "1"]


def main() -> int:
    """Measure what the budgets speak of, and print one line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trees", nargs="*", metavar="TREE")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--libcst", action="store_true", help="also one codemod of libcst that does nothing (minutes)")
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed tool has its bytecode
    with tempfile.TemporaryDirectory() as folder:
        os.environ["LOOPMEND_CACHE_DIR"] = folder
        clean = Path(folder, "clean.py")
        clean.write_text("import os\n", encoding="utf-8")
        _show("python itself", _median([[sys.executable, "-c", "pass"]], options.runs))
        _show("loopmend --version", _median([[*LOOPMEND, "--version"]], options.runs))
        _show("check of one clean file", _median([[*LOOPMEND, "check", str(clean)]], options.runs))
        for tree in options.trees:
            check = [*LOOPMEND, "check", "--isolated", tree]
            subprocess.run([*check, "-q"], capture_output=True, check=False)  # fills the cache
            print(f"\n{tree}")
            commands = [[*check, "--no-cache"], [*RUFF, "--no-cache", tree], check, [*LOOPMEND, "diff", tree]]
            _show("check | ruff | check, cached | diff", _median(commands, options.runs))
            if options.libcst:
                _show("libcst.tool codemod noop", _median([[*LIBCST, tree]], 1))
    return 0


def _median(commands: list[list[str]], runs: int) -> list[float]:
    """The median CPU milliseconds of each command; they take turns, so all see the same machine."""
    times: list[list[float]] = [[] for _ in commands]
    for _ in range(runs):
        for number, command in enumerate(commands):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(command, capture_output=True, check=False)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            times[number].append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return [statistics.median(each) * 1000 for each in times]


def _show(what: str, milliseconds: list[float]) -> None:
    print(f"{what:<40}" + "".join(f"{each:8.0f} ms" for each in milliseconds))


if __name__ == "__main__":
    sys.exit(main())
