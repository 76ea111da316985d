"""Where plain code asks for the current loop: what happens when there is none, and what to do about it."""

from __future__ import annotations

import ast
from typing import NamedTuple

from codemods.facts.flow import TRIES
from codemods.facts.loops import HeldLoop
from codemods.facts.manual_loops import kept_on
from codemods.facts.module import FunctionNode, Module
from codemods.facts.nodes import FUNCTIONS, tail
from codemods.model import Severity

_RAISES_SINCE = (3, 14)
_CATCHING = {"RuntimeError", "Exception", "BaseException", "DeprecationWarning"}
_RUNS = ("run_until_complete", "run_forever", "close", "is_running", "is_closed", "stop")
_WITHOUT_INSTANCE = ("classmethod", "staticmethod")
_SETS = ("asyncio.set_event_loop", "asyncio.set_event_loop_policy", "nest_asyncio.apply", "qasync.QEventLoop")


class MissingLoop(NamedTuple):
    """What to say of a ``get_event_loop()`` in plain code."""

    message: str
    severity: Severity
    advice: str


def missing_loop(module: Module, held: HeldLoop) -> MissingLoop | None:
    """What may go wrong at a ``get_event_loop()`` outside of coroutines; None where nothing does."""
    call = held.made
    if any(use.method in _RUNS for use in held.uses) or kept_on(module, held):
        return None  # LM103 has more to say of what is run
    if is_guarded(module, call) or _is_set(module, call):
        return None
    function = module.function(call)
    raises = "raises" if module.target >= _RAISES_SINCE else "raises from Python 3.14 on, and warns before"
    if function is None:
        severity = Severity.ERROR if module.target >= _RAISES_SINCE else Severity.WARNING
        message = f"no loop runs while the file is read: `{module.code(call)}` {raises}"
        return MissingLoop(message, severity, "take the loop in a coroutine, by `asyncio.get_running_loop()`")
    if isinstance(function, FUNCTIONS) and (_only_coroutines_call(module, function) or _is_in_test(module, function)):
        return None
    if _is_inside_coroutine(module, function):
        message = f"where this runs in another thread, `{module.code(call)}` raises: that has no loop"
        advice = "take the loop in the coroutine, by `asyncio.get_running_loop()`, and use that here"
        return MissingLoop(message, Severity.INFO, advice)
    message = f"where no loop is running, `{module.code(call)}` {raises}"
    advice = "take the loop where one runs, in a coroutine: `asyncio.get_running_loop()`"
    return MissingLoop(message, Severity.INFO, advice)


def is_guarded(module: Module, node: ast.AST) -> bool:
    """Whether the code around ``node`` is ready for its error: it asks if there is a loop."""
    child = node
    for above in module.ancestors(node):
        if isinstance(above, (*FUNCTIONS, ast.Lambda)):
            return False
        if isinstance(above, TRIES) and child in above.body and any(map(_catches, above.handlers)):
            return True
        if isinstance(above, ast.With) and any(_suppresses(item.context_expr) for item in above.items):
            return True
        child = above
    return False


def _catches(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or tail(kind) in _CATCHING for kind in kinds)


def _suppresses(context: ast.expr) -> bool:
    return isinstance(context, ast.Call) and tail(context.func) in ("suppress", "catch_warnings", "raises", "warns")


def _is_set(module: Module, node: ast.AST) -> bool:
    """Whether a loop, or what makes one, is set before ``node``: in the same scope or at the top."""
    scopes = (module.scope(node), module.tree)
    return any(
        module.scope(call) in scopes and (module.scope(call) is not module.scope(node) or call.lineno < node.lineno)  # type: ignore[attr-defined]
        for call in module.calls(*_SETS)
    )


def _only_coroutines_call(module: Module, function: FunctionNode) -> bool:
    """Whether coroutines of this file call ``function``, and nothing else in it does."""
    calls = module.calls_ending(function.name)
    return bool(calls) and all(module.in_coroutine(call) for call in calls)


def _is_in_test(module: Module, function: FunctionNode) -> bool:
    """Whether ``function`` is a method of an ``IsolatedAsyncioTestCase``, which sets its loop before ``setUp``."""
    cls = module.parent(function)
    if not isinstance(cls, ast.ClassDef) or any(tail(d) in _WITHOUT_INSTANCE for d in function.decorator_list):
        return False
    return any(tail(base).startswith("IsolatedAsyncio") for base in cls.bases)


def _is_inside_coroutine(module: Module, function: ast.AST) -> bool:
    return any(isinstance(above, ast.AsyncFunctionDef) for above in module.ancestors(function))
