"""Tests and fixtures that ask for ``event_loop``: let them take the loop that they run on."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from codemods.model import Operation
from codemods.project.event_loop import NAME
from codemods.project.pytest_syntax import Fixture, Test
from codemods.rewriting.operations import RemoveParameter, ReplaceExpression
from codemods.rules.unused_imports import top_level_name

_INSTEAD = "asyncio.get_running_loop"


def let_go(askers: Sequence[Test | Fixture]) -> tuple[str, list[Operation]]:
    """The operations that make ``askers`` independent of the fixture, or the reason that there are none."""
    operations: list[Operation] = []
    for node in dict.fromkeys(asker.node for asker in askers):
        asker = next(asker for asker in askers if asker.node is node)
        refusal = _refusal(asker)
        if refusal:
            return refusal, []
        operations += _operations(asker)
    return "", operations


def _refusal(asker: Test | Fixture) -> str:
    module, node = asker.module, asker.node
    kind = "test" if isinstance(asker, Test) else "fixture"
    if not asker.is_async:
        return (
            f"the sync {kind} {node.name} asks for event_loop, and no other loop is its own: "
            f"let it use asyncio.Runner, or make it async"
        )
    if NAME not in [argument.arg for argument in node.args.args]:
        return f"{node.name} asks for event_loop by a mark or by getfixturevalue: take that out by hand"
    uses = module.uses(NAME, node)
    if any(not isinstance(use.ctx, ast.Load) or module.function(use) is not node for use in uses):
        return f"{node.name} hands event_loop to a function inside it: use asyncio.get_running_loop() by hand"
    if uses and top_level_name(module, _INSTEAD) is None:
        return f"{node.name} asks for event_loop: use asyncio.get_running_loop() in it, and import asyncio"
    return ""


def _operations(asker: Test | Fixture) -> Iterator[Operation]:
    module, node = asker.module, asker.node
    yield RemoveParameter(module.span(node), NAME, path=module.path)
    call = f"{top_level_name(module, _INSTEAD)}()"
    for use in module.uses(NAME, node):
        yield ReplaceExpression(module.span(use), call, path=module.path)
