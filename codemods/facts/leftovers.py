"""What a coroutine leaves behind when it ends: tasks, callbacks, context variables, loop settings."""

from __future__ import annotations

import ast

from codemods.facts.callees import body_nodes, callee, reached
from codemods.facts.module import Module

_SPAWNING = {"create_task", "ensure_future", "call_soon", "call_later", "call_at", "run_coroutine_threadsafe"}
_SETTING = {
    "set_debug",
    "set_exception_handler",
    "set_task_factory",
    "set_default_executor",
    "add_signal_handler",
    "add_reader",
    "add_writer",
    "set_event_loop",
    "set_asyncgen_hooks",
}
_SELF_CANCELLING = "asyncio.current_task"


def leaves_something(module: Module, coroutine: ast.expr) -> str:
    """What the coroutine may leave to the next run on the same loop, in words; empty when nothing.

    What is not in this file is taken to clean up behind itself; a coroutine that is not in this
    file at all is not.
    """
    function = callee(module, coroutine)
    if function is None:
        return f"`{_short(coroutine)}` is not defined in this file, so it may leave tasks behind"
    for inner in reached(module, function):
        for node in body_nodes(inner):
            if isinstance(node, ast.Call) and (reason := _leaves(module, node)):
                return f"`{inner.name}` {reason}"
    return ""


def _leaves(module: Module, call: ast.Call) -> str:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in _SPAWNING and not _in_task_group(module, call):
        return "starts tasks that may go on after it"
    if name in _SETTING:
        return "changes settings of the loop"
    if module.qualname(call.func) == _SELF_CANCELLING:
        return "handles its own task"
    if name == "set" and isinstance(call.func, ast.Attribute) and _is_context_variable(module, call.func.value):
        return "sets a context variable"
    return ""


def _in_task_group(module: Module, call: ast.Call) -> bool:
    """Whether the task belongs to a TaskGroup, which waits for it."""
    if not (isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name)):
        return False
    group = call.func.value.id
    return any(
        isinstance(above, ast.AsyncWith)
        and any(isinstance(item.optional_vars, ast.Name) and item.optional_vars.id == group for item in above.items)
        for above in module.ancestors(call)
    )


def _is_context_variable(module: Module, node: ast.expr) -> bool:
    made = {module.statement(call) for call in module.calls("contextvars.ContextVar")}
    return isinstance(node, ast.Name) and any(module.statement(n) in made for n in module.names(node.id))


def _short(node: ast.expr) -> str:
    return ast.unparse(node.func if isinstance(node, ast.Call) else node)
