"""A loop that a coroutine gets for nothing: all that is done with it goes away, and it goes too."""

from __future__ import annotations

import ast

from codemods.facts.loops import HeldLoop, How, Use, held_loops, is_bound_once
from codemods.facts.module import Module
from codemods.model import Operation
from codemods.rewriting.operations import RemoveKeyword
from codemods.rules.dropping import drop_all
from codemods.rules.loop_arguments import is_needless

_OF_THE_COROUTINE = (How.RUNNING, How.CURRENT)


def running_loops(module: Module) -> list[HeldLoop]:
    """The loops that coroutines get by ``get_running_loop()`` or ``get_event_loop()``: the ones that run them."""
    return [held for held in held_loops(module) if held.how in _OF_THE_COROUTINE and module.in_coroutine(held.made)]


def is_close(module: Module, held: HeldLoop, use: Use) -> bool:
    """Whether a use is the statement ``loop.close()``, on a line of its own, in the coroutine that got the loop."""
    if use.method != "close" or module.function(use.node) is not module.function(held.made):
        return False
    call = use.call(module)
    statement = module.parent(call)
    return isinstance(statement, ast.Expr) and not (call.args or call.keywords) and module.stands_alone(statement)


def needless(module: Module, held: HeldLoop) -> tuple[Operation, ...]:
    """What takes out ``loop = get_event_loop()`` and each use of ``loop``; nothing where one has to stay."""
    binding = held.binding
    if binding is None or not isinstance(held.scope, ast.AsyncFunctionDef) or not module.stands_alone(binding):
        return ()
    if not is_bound_once(module, held) or len(module.block(binding).statements) == 1:
        return ()
    dropped: list[ast.stmt] = [binding]
    arguments: list[Operation] = []
    for use in held.uses:
        keyword = module.parent(use.node)
        if is_close(module, held, use):
            dropped.append(module.statement(use.node))
        elif is_needless(module, keyword) and module.function(use.node) is held.scope:
            call = module.parent(keyword)  # type: ignore[arg-type]
            assert isinstance(call, ast.Call)
            arguments.append(RemoveKeyword(module.span(call), "loop"))
        else:
            return ()
    return (*drop_all(module, dropped), *arguments)
