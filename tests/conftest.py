"""What several test files use: a project in a folder, the command line, two rules made for tests."""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from codemods import rules
from codemods.cli.main import run
from codemods.rules import index
from codemods.rules.registry import all_rules


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--accept", action="store_true", help="write what the rules do now into fixtures/")


def pytest_configure() -> None:
    # A shell starts a job in the background with SIGINT ignored, and every child would inherit it: no Ctrl-C to test.
    signal.signal(signal.SIGINT, signal.default_int_handler)


RULES_FOR_TESTS = Path(__file__).parent / "rules"


@dataclass(frozen=True)
class Result:
    code: int
    data: bytes
    err: str

    @property
    def out(self) -> str:
        return self.data.decode()


Loopmend = Callable[..., Result]


@pytest.fixture
def rules_for_tests(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """LM901 old-call and LM902 old-pair beside the real rules, so that no test here depends on those."""
    monkeypatch.setattr(rules, "__path__", [*rules.__path__, str(RULES_FOR_TESTS)])
    monkeypatch.setattr(index, "package_path", rules.__path__)
    monkeypatch.setitem(index.NEEDLES, "LM901", ((b"old_",),))
    monkeypatch.setitem(index.NEEDLES, "LM902", ((b"pair_is_old",),))
    monkeypatch.setitem(index.CONTEXT, "LM902", ((b"pair_",),))
    forget_rules()
    yield
    forget_rules()


def forget_rules() -> None:
    """Look for the rules anew."""
    index.entries.cache_clear()
    all_rules.cache_clear()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project, which is the working directory; nothing outside of it counts."""
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("LOOPMEND_CACHE_DIR", str(tmp_path / "cache"))
    return folder


@pytest.fixture
def loopmend(rules_for_tests: None, project: Path, monkeypatch: pytest.MonkeyPatch) -> Loopmend:
    """Runs the command line in this process."""

    def call(*arguments: str, stdin: bytes = b"") -> Result:
        out, err = io.BytesIO(), io.BytesIO()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
            patch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding="utf-8", write_through=True))
            patch.setattr(sys, "stderr", io.TextIOWrapper(err, encoding="utf-8", write_through=True))
            code = run(list(arguments))
            return Result(code, out.getvalue(), err.getvalue().decode())

    return call
