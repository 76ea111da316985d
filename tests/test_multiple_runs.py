"""What LM101 may write depends on the oldest Python that the code has to run on."""

from __future__ import annotations

from codemods.engine.converge import converge_file
from codemods.facts.module import Module
from codemods.model import Finding, Safety
from codemods.rules.lm101_multiple_runs import MultipleRuns
from codemods.source import Source

BEFORE = """import asyncio
import time


async def work(): ...


asyncio.run(work())
time.sleep(1)
asyncio.run(work())
"""


def find(source: Source, target: tuple[int, int]) -> list[Finding]:
    return list(MultipleRuns().find(Module(source, target)))


def mended(text: str, target: tuple[int, int]) -> str:
    source = Source("m.py", text.encode())
    outcome = converge_file(source, lambda source: find(source, target), lambda finding: True)
    assert not outcome.rejected
    return outcome.sources["m.py"].text if outcome.sources else text


def test_from_3_11_on_a_runner_leaves_the_code_between_where_it_is() -> None:
    assert mended(BEFORE, (3, 11)).endswith(
        "with asyncio.Runner() as runner:\n    runner.run(work())\n    time.sleep(1)\n    runner.run(work())\n"
    )


def test_before_3_11_the_code_between_moves_and_that_is_unsafe() -> None:
    (finding,) = find(Source("m.py", BEFORE.encode()), (3, 10))
    assert finding.rewrite is not None
    assert finding.rewrite.safety is Safety.UNSAFE
    assert mended(BEFORE, (3, 10)).endswith(
        "async def main():\n    await work()\n    time.sleep(1)\n    await work()\n\n\nasyncio.run(main())\n"
    )


def test_before_3_11_a_loop_is_left_to_a_person() -> None:
    text = "import asyncio\n\n\nasync def work(): ...\n\n\nfor number in range(3):\n    asyncio.run(work())\n"
    (finding,) = find(Source("m.py", text.encode()), (3, 10))
    assert finding.rewrite is None
    assert "needs Python 3.11" in finding.refusal
