"""What the rules about loops say of a loop: whether it is closed, and by whom, has to be true."""

from __future__ import annotations

from pathlib import Path

import pytest

from codemods.facts.module import Module
from codemods.rules.lm103_manual_loop import ManualLoop
from codemods.rules.lm205_finalizer_cleanup import FinalizerCleanup
from codemods.source import Source

FIXTURES = Path(__file__).parents[1] / "fixtures"
LEFT_OPEN = "nothing closes this loop, and what is still running on it is never shut down"
CLOSED = "nothing shuts down what is still running on this loop when it is closed"


def messages(rule: ManualLoop | FinalizerCleanup, case: str) -> dict[int, str]:
    before = FIXTURES / rule.name / case / "before.py"
    module = Module(Source("before.py", before.read_bytes()))
    return {finding.span.line: finding.message for finding in rule.find(module)}


@pytest.mark.parametrize(
    ("line", "message"),
    [(12, CLOSED), (16, "what `asyncio.run` does at its end is done by hand here"), (32, CLOSED), (43, LEFT_OPEN)],
)
def test_a_loop_is_closed_where_it_is_kept(line: int, message: str) -> None:
    assert messages(ManualLoop(), "what-happens-to-the-loop")[line] == message


def test_a_finalizer_names_the_loop_that_it_runs_on() -> None:
    found = messages(FinalizerCleanup(), "on-a-loop-that-it-keeps")
    assert "at exit `self._loop` may be closed already" in found[16]
    assert "once `self.loop` is closed" in found[31]
    assert "at exit `loop` may be closed already" in found[36]
    assert "a new one" not in "".join(found.values())
