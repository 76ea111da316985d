"""What a coroutine leaves behind when it ends: tasks, callbacks, context variables, loop settings."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator

from codemods.facts.callees import assigned_values, body_nodes, callee, reached
from codemods.facts.module import FunctionNode, Module
from codemods.facts.nodes import FUNCTIONS, walk_scope

_SPAWNING = {
    *("create_task", "ensure_future", "call_soon", "call_later", "call_at", "run_coroutine_threadsafe"),
    *("shield", "as_completed", "start_server", "start_unix_server", "create_server", "create_datagram_endpoint"),
}
_LOOPS = ("asyncio.get_running_loop", "asyncio.get_event_loop")
_PLAIN_DECORATORS = {"staticmethod", "classmethod", "override", "final"}
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


def leaves_something(module: Module, coroutine: ast.expr, *, last: bool = False) -> str:
    """What the coroutine may leave to the next run on the same loop, in words; empty when nothing.

    What is not in this file is taken to clean up behind itself; a coroutine that is not in this
    file at all is not. What the ``last`` one leaves, nobody gets.
    """
    if isinstance(coroutine, ast.Call) and coroutine.args:
        if (name := module.qualname(coroutine.func)) == "asyncio.wait_for":
            return leaves_something(module, coroutine.args[0], last=last)
        if name == "asyncio.sleep":
            return ""
    function = callee(module, coroutine)
    if function is None:
        return f"`{_short(coroutine)}` is not defined in this file, so it may leave tasks behind"
    if any(_short(d) not in _PLAIN_DECORATORS for d in function.decorator_list):
        return f"`{function.name}` is decorated, so more may happen than it says"
    if last:
        return ""
    goes_on = _survives_exception(module, coroutine)
    for inner in _mentioned(module, coroutine):
        for node in body_nodes(inner):
            reason = _leaves(module, node, goes_on=goes_on)
            if reason:
                return f"`{inner.name}` {reason}"
    return ""


def _mentioned(module: Module, start: ast.AST) -> Iterator[FunctionNode]:
    """Every function of this file that may run in ``start``: whatever has a name that is read on the way.

    That is more than what is surely called: a function may be handed over, a method overridden,
    and a class that is made or entered runs methods that nobody names.
    """
    by_name: dict[str, list[FunctionNode]] = {}
    for function in module.functions:
        by_name.setdefault(function.name, []).append(function)
    classes = {cls.name: cls for cls in module.classes}
    seen: set[ast.AST] = set()
    todo = [start]
    while todo:
        here = todo.pop()
        if isinstance(here, ast.FunctionDef | ast.AsyncFunctionDef):
            yield here
        for node in ast.walk(here):
            name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
            found: list[ast.AST] = [*by_name.get(name, ())]
            if isinstance(node, ast.Name) and name in classes:
                found += [classes[name], *(m for m in classes[name].body if isinstance(m, FUNCTIONS))]
            todo += [one for one in found if one not in seen]
            seen.update(found)


def sets_context(module: Module, call: ast.Call) -> bool:
    """Whether a call sets a context variable, itself or in the functions of this file that it calls."""
    if _sets_context(module, call):
        return True
    function = callee(module, call)
    if function is None or isinstance(function, ast.AsyncFunctionDef):
        return False
    inside = (node for inner in reached(module, function) for node in body_nodes(inner))
    return any(isinstance(node, ast.Call) and _sets_context(module, node) for node in inside)


def leaves_context(module: Module, coroutine: ast.expr) -> bool:
    """Whether a coroutine may set a context variable, in whatever function of this file it comes to."""
    inside = (node for function in _mentioned(module, coroutine) for node in body_nodes(function))
    return any(isinstance(node, ast.Call) and _sets_context(module, node) for node in inside)


def _leaves(module: Module, node: ast.AST, *, goes_on: bool) -> str:
    if isinstance(node, ast.Call):
        return _call_leaves(module, node, goes_on=goes_on)
    if isinstance(node, ast.AsyncFor) and _is_left_early(module, node):
        return "may leave an asynchronous generator open"
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_loop(module, node.value):
        return "changes settings of the loop"
    return ""


def _call_leaves(module: Module, call: ast.Call, *, goes_on: bool) -> str:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in _SPAWNING and not _in_task_group(module, call):
        return "starts tasks that may go on after it"
    awaited = isinstance(module.parent(call), ast.Await)
    if name == "run_in_executor" and not awaited:
        return "starts a thread that may go on after it"
    if module.qualname(call.func) == "asyncio.gather" and _may_abandon(module, call, goes_on=goes_on):
        return "starts tasks that may go on after it"
    if name in _SETTING:
        return "changes settings of the loop"
    if module.qualname(call.func) == _SELF_CANCELLING:
        return "handles its own task"
    return "sets a context variable" if _sets_context(module, call) else ""


def _sets_context(module: Module, call: ast.Call) -> bool:
    """``variable.set(value)`` of a context variable, or of something imported, which may be one."""
    function = call.func
    if not (isinstance(function, ast.Attribute) and function.attr == "set" and len(call.args) == 1):
        return False
    return _is_context_variable(module, function.value) or module.qualname(function.value) is not None


def _may_abandon(module: Module, gather: ast.Call, *, goes_on: bool) -> bool:
    """Whether the others of a ``gather`` can go on when one has failed: nobody else ends them."""
    if not isinstance(module.parent(gather), ast.Await):
        return True
    if any(keyword.arg == "return_exceptions" for keyword in gather.keywords) or len(gather.args) == 0:
        return False
    return goes_on or _survives_exception(module, gather)


def _survives_exception(module: Module, node: ast.AST) -> bool:
    """Whether a ``try`` or ``with`` of the same function may catch what ``node`` raises."""
    scope = module.scope(node)
    for above in itertools.takewhile(lambda above: above is not scope, module.ancestors(node)):
        if isinstance(above, ast.With) or (isinstance(above, ast.Try | ast.TryStar) and above.handlers):
            return True
    return False


def _is_left_early(module: Module, loop: ast.AsyncFor) -> bool:
    """Whether an ``async for`` over a generator of this file can end before the generator does."""
    sources = assigned_values(module, loop.iter) if isinstance(loop.iter, ast.Name) else [loop.iter]
    made = [function for source in sources if (function := callee(module, source)) is not None]
    yields = any(isinstance(node, ast.Yield) for function in made for node in body_nodes(function))
    body = [node for statement in loop.body for node in walk_scope(statement)]
    return yields and any(isinstance(node, ast.Break | ast.Return) for node in body)


def _is_loop(module: Module, node: ast.expr) -> bool:
    values = assigned_values(module, node) if isinstance(node, ast.Name) else [node]
    return any(isinstance(value, ast.Call) and module.qualname(value.func) in _LOOPS for value in values)


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
