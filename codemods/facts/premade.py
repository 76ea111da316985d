"""What a run uses that was made before its loop ran, and that may have taken hold of the current loop."""

from __future__ import annotations

import ast
import builtins
import sys
from collections.abc import Iterator
from dataclasses import replace

from codemods.facts.callees import assigned_values, instance_class
from codemods.facts.early_tasks import is_coroutine
from codemods.facts.loops import origin
from codemods.facts.module import Module
from codemods.facts.nodes import tail
from codemods.facts.runs import Run
from codemods.facts.sharing import carried

PRIMITIVES = frozenset(
    {"Queue", "PriorityQueue", "LifoQueue", "Lock", "Event", "Condition", "Semaphore", "BoundedSemaphore"}
)
"""What of asyncio takes the loop when somebody waits, from Python 3.10 on, and so may be made anywhere."""

_WAIT_SINCE = (3, 10)
_PLAIN = sys.stdlib_module_names - {"asyncio", "concurrent", "subprocess"}


def made_before(module: Module, run: Run) -> str:
    """The name of an object that may belong to the loop that was current when it was made; else empty.

    Objects of other libraries, of asyncio, and of classes of this file that handle loops count;
    those of builtins and of the standard library do not.
    """
    for coroutine in _coroutines(module, run.coroutine):
        for name, node in carried(module, replace(run, coroutine=coroutine)).items():
            root: ast.expr = node
            while isinstance(root, ast.Attribute | ast.Subscript):
                root = root.value
            if isinstance(root, ast.Name) and any(_may_hold(module, v) for v in assigned_values(module, root)):
                return name
    arguments = [*run.coroutine.args, *run.coroutine.keywords] if isinstance(run.coroutine, ast.Call) else []
    for call in (node for argument in arguments for node in ast.walk(argument)):
        if isinstance(call, ast.Call) and _may_hold(module, call):
            return module.code(call)
    return ""


def _coroutines(module: Module, run: ast.expr) -> Iterator[ast.expr]:
    """What is run, and the calls it is made of: ``asyncio.gather(fetch(client), *[work(n) for n in numbers])``."""
    yield run
    for node in ast.walk(run):
        if isinstance(node, ast.Call) and node is not run:
            yield node
        elif isinstance(node, ast.Name):
            values = assigned_values(module, node)
            yield from (call for value in values for call in ast.walk(value) if isinstance(call, ast.Call))


def _may_hold(module: Module, value: ast.expr) -> bool:
    """Whether a value is an object that may keep the loop that is current when it is made."""
    if not isinstance(value, ast.Call) or origin(module, value) is not None or "logger" in tail(value.func).lower():
        return False
    if isinstance(value.func, ast.Name) and not module.is_bound(value.func.id, value):
        return not hasattr(builtins, value.func.id)
    qualname = module.qualname(value.func)
    if qualname is not None and qualname.removeprefix("asyncio.") in PRIMITIVES:
        return module.target < _WAIT_SINCE
    if is_coroutine(module, value):
        return False  # it takes the loop that runs it
    if qualname is not None:
        return qualname.partition(".")[0] not in _PLAIN
    cls = instance_class(module, value)
    if cls is not None:
        return any("loop" in ast.unparse(node.func) for node in ast.walk(cls) if isinstance(node, ast.Call))
    if isinstance(value.func, ast.Attribute):
        return isinstance(value.func.value, ast.Call) and _may_hold(module, value.func.value)
    return False
