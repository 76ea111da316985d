"""How a run in a notebook becomes an ``await``, and where it cannot."""

from __future__ import annotations

import ast
import re

from codemods.facts.comprehensions import evaluated_later
from codemods.facts.kernel import awaited, is_kernel_loop
from codemods.facts.loops import held_loops, is_bound_once
from codemods.facts.module import Module
from codemods.model import Operation, Rewrite, Safety
from codemods.notebooks.cells import cell_at, split
from codemods.notebooks.magics import MARK
from codemods.rewriting.operations import AwaitArgument
from codemods.rules.dropping import drop
from codemods.rules.needless_loop import is_close

_AUTOAWAIT = re.compile(rf"{MARK}:%?autoawait[ \t]+(?!(?:true|1|y|yes|on|asyncio)\b)\w", re.IGNORECASE)

_EXPORTED = re.compile(r"^#[ \t]*\|?[ \t]*exports?\b", re.MULTILINE)


class Refusal(Exception):
    """Why a run cannot become an ``await``, and what to do by hand."""


def await_it(module: Module, run: ast.Call) -> Rewrite:
    """The rewrite of a run that a cell or a coroutine makes itself.

    Raises Refusal.
    """
    _check_place(module, run)
    if isinstance(coroutine := awaited(run), ast.Name) and module.definition(coroutine.id, run):
        raise Refusal(f"`{coroutine.id}` is not called here, so there is nothing to await: write `{coroutine.id}()`")
    operations: list[Operation] = [AwaitArgument(at=module.span(run))]
    doubts = [doubt for keyword in run.keywords if (doubt := _lost_with(module, run, keyword))]
    doubts += [] if module.function(run) else _threats_to_kernel(module)
    if isinstance(run.func, ast.Attribute) and run.func.attr == "run_until_complete" and not module.function(run):
        loop = run.func.value
        if is_kernel_loop(module, loop):
            operations += _leftovers(module, loop)
        else:
            doubts.append(f"`{module.code(loop)}` may be another loop than that of the kernel")
    safety = Safety.UNSAFE if doubts else Safety.SAFE
    return Rewrite("Await the coroutine", safety, tuple(operations), "; ".join(doubts))


def _check_place(module: Module, run: ast.Call) -> None:
    function = module.function(run)
    if isinstance(function, ast.Lambda):
        raise Refusal("a lambda cannot await: make it a coroutine function, and await that where it is called")
    if isinstance(function, ast.FunctionDef):
        name = function.name
        raise Refusal(f"a plain function cannot await: make `{name}` `async def`, and await it where it is called")
    if evaluated_later(module, run):
        raise Refusal("an `await` would make this an asynchronous generator: use a list, or a loop")
    if function is not None:
        return
    if isinstance(module.scope(run), ast.ClassDef):
        raise Refusal("a class body cannot await: do it above the class, and give it the result")
    cell = cell_at(split(module.source), run.lineno)
    if cell.magic:
        raise Refusal(f"a cell under `%%{cell.magic}` cannot await: take the magic away, then await the coroutine")
    if _EXPORTED.search(cell.text):
        raise Refusal(
            "nbdev exports this cell to a module, which cannot await at its top level: run it in another cell"
        )
    if _AUTOAWAIT.search(module.text):
        raise Refusal("`%autoawait` is switched off in this notebook, so its cells cannot await: take that out")


def _lost_with(module: Module, run: ast.Call, keyword: ast.keyword) -> str:
    """What the program loses with a keyword argument of a run; empty when it is nothing."""
    if keyword.value is awaited(run):
        return ""
    if keyword.arg != "debug":
        raise Refusal("the loop of the kernel is there already, and not one of this `loop_factory`")
    if isinstance(keyword.value, ast.Constant) and not keyword.value.value:
        return ""
    return f"`{module.segment(module.span(keyword))}` goes"


def _threats_to_kernel(module: Module) -> list[str]:
    """What this notebook does to the loop that runs a coroutine, or to all of its tasks: the kernel's, then."""
    threats = []
    if module.calls("asyncio.all_tasks"):
        threats.append("`asyncio.all_tasks()` gives the tasks of the kernel as well")
    if any(use.method == "stop" for held in held_loops(module) for use in held.uses):
        threats.append("the loop that is stopped here may be that of the kernel")
    return threats


def _leftovers(module: Module, loop: ast.expr) -> list[Operation]:
    """What else goes when the kernel's loop is not named any more: its close, which would raise, and its name.

    Raises Refusal when the close cannot be taken out.
    """
    held = next((held for held in held_loops(module) if any(use.node is loop for use in held.uses)), None)
    if held is None or held.binding is None:
        return []
    others = [use for use in held.uses if use.node is not loop]
    closes = [use for use in others if use.method == "close"]
    if not all(is_close(module, held, use) for use in closes):
        raise Refusal(f"`{held.name}.close()` would raise, because the kernel runs on that loop: take it out first")
    gone = [drop(module, module.statement(use.node)) for use in closes]
    if len(closes) == len(others) and is_bound_once(module, held) and _has_lines_of_its_own(module, held.binding):
        gone.append(drop(module, held.binding))
    return gone


def _has_lines_of_its_own(module: Module, statement: ast.stmt) -> bool:
    """Whether a statement shares its lines with nothing, not even a comment, which would be left alone."""
    span = module.span(statement)
    return module.stands_alone(statement) and not module.source.lines[span.end_line - 1][span.end_column - 1 :].strip()
