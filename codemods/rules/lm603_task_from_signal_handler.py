"""LM603: a handler of ``signal.signal`` that starts a task."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from codemods.facts.callees import given_function
from codemods.facts.flow import TRIES
from codemods.facts.loops import How, held_loops, is_bound_once
from codemods.facts.module import Module
from codemods.facts.nodes import tail
from codemods.facts.signals import Registration, handled, registrations
from codemods.facts.tasks import Tasks, tasks_of
from codemods.model import Finding, Rewrite, Safety, Severity
from codemods.rewriting.operations import ReplaceExpression
from codemods.rules.base import Rule

_SCHEDULES = {"call_soon", "call_later", "call_at"}


class TaskFromSignalHandler(Rule):
    """A handler of `signal.signal` starts a task or calls something soon.

    What it finds
        `signal.signal(signal.SIGTERM, handler)`, where `handler` is a function, method or lambda of the file
        that calls `create_task`, `ensure_future`, `call_soon`, `call_later` or `call_at`.

    Why it breaks
        Python runs such a handler between two steps of whatever the main thread is doing. When that is the loop
        waiting for something to happen, nobody wakes it: the task starts with the next
        event, which may be minutes away. Where no loop is running, `create_task` raises `RuntimeError: no
        running event loop` out of the middle of other code.

    What it changes
        In a coroutine, the loop gets the handler: `asyncio.get_running_loop().add_signal_handler(signal.SIGTERM,
        handler, signal.SIGTERM, None)`. The loop calls it as one of its own callbacks, with the
        arguments that it takes now.

    When it refuses
        Outside of coroutines, where there is no loop yet. When the old handler is kept or put back, when the
        handler raises or uses the frame, and when the registration is part of something else.

    Safety
        Unsafe: `add_signal_handler` is there on Unix only, and the handler no longer interrupts code that blocks
        the loop.
    """

    code = "LM603"
    name = "task-from-signal-handler"

    def find(self, module: Module) -> Iterator[Finding]:
        """Every registration by ``signal.signal`` whose handler schedules work."""
        tasks = tasks_of(module)
        for registration in registrations(module):
            if registration.by_loop or _is_fallback(module, registration.call):
                continue
            nodes = [node for node in handled(module, registration.handler) if isinstance(node, ast.Call)]
            made = next((call for call in nodes if _schedules(tasks, call)), None)
            if made is None:
                continue
            message = (
                f"on the signal, `{module.code(made.func)}` does not wake the loop: what it starts runs when "
                "something else happens, or raises where no loop is running"
            )
            advice = _refusal(module, registration)
            if advice:
                yield self.finding(module, registration.call, message, Severity.WARNING, refusal=advice)
            else:
                rewrite = _rewrite(module, registration)
                yield self.finding(module, registration.call, message, Severity.WARNING, rewrite=rewrite)


def _schedules(tasks: Tasks, call: ast.Call) -> bool:
    if call in tasks.started:
        return True
    return isinstance(call.func, ast.Attribute) and call.func.attr in _SCHEDULES and tasks.is_loop(call.func.value)


def _is_fallback(module: Module, call: ast.Call) -> bool:
    """Whether this is for Windows: behind ``except NotImplementedError``, or in a branch that asks for the platform."""
    for above in module.ancestors(call):
        if isinstance(above, ast.ExceptHandler):
            kinds = above.type.elts if isinstance(above.type, ast.Tuple) else [above.type]
            if any(kind is None or tail(kind) in ("NotImplementedError", "AttributeError") for kind in kinds):
                return True
        if isinstance(above, TRIES) and any("add_signal_handler" in ast.dump(s) for s in above.body):
            return True
        if isinstance(above, ast.If) and any(word in ast.dump(above.test) for word in ("platform", "'name'", "win")):
            return True
    return False


def _refusal(module: Module, registration: Registration) -> str:
    call = registration.call
    plain = isinstance(registration.number, ast.Name | ast.Attribute)
    number = module.code(registration.number) if plain else "signal.SIGTERM"
    pattern = f"`loop.add_signal_handler({number}, handler)`, whose handler takes no arguments"
    if not module.in_coroutine(call):
        return f"no loop is running here: register it in the main coroutine, by {pattern}"
    if not isinstance(module.parent(call), ast.Expr) or call.keywords or len(call.args) != 2:
        return f"the old handler is kept: use {pattern}, and `remove_signal_handler` at the end"
    kept = [c for c in module.calls("signal.getsignal") if module.function(c) is module.function(call)]
    if kept:
        return f"the old handler is put back later: use {pattern}, and `remove_signal_handler` at the end"
    if "#" in module.code(call):
        return f"there are comments inside: use {pattern} by hand"
    if not plain:
        return f"the signal is computed here: keep it in a variable, then use {pattern}"
    function = given_function(module, registration.handler)
    if function is None or isinstance(registration.handler, ast.Call):
        return f"its arguments are bound beforehand: use {pattern}"
    if any(isinstance(node, ast.Raise) for node in handled(module, registration.handler)):
        return "the handler raises into the code that it interrupts, where the loop would only log that: set an event"
    if _frame_is_used(function):
        return "the handler uses the frame, which the loop does not have: do without it"
    if module.imports.local_name("asyncio.get_running_loop") is None:
        return f"`asyncio` is not imported here: import it, then use {pattern}"
    return ""


def _frame_is_used(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> bool:
    """Whether the handler reads its second argument, or has no plain two."""
    positional = [*function.args.posonlyargs, *function.args.args]
    if positional and positional[0].arg in ("self", "cls"):
        del positional[0]
    if function.args.vararg and len(positional) < 2:
        names = {function.args.vararg.arg}
    elif len(positional) == 2:
        names = {positional[1].arg}
    else:
        return True
    body = function.body if isinstance(function.body, list) else [function.body]
    return any(isinstance(n, ast.Name) and n.id in names for statement in body for n in ast.walk(statement))


def _loop_at_hand(module: Module, call: ast.Call) -> str:
    """The name under which the coroutine already has its loop; empty where it has none."""
    for held in held_loops(module):
        if held.scope is module.function(call) and held.name and held.how in (How.RUNNING, How.CURRENT):
            assert held.binding is not None
            body = held.scope.body if isinstance(held.scope, ast.AsyncFunctionDef) else []
            if held.binding in body and held.made.lineno < call.lineno and is_bound_once(module, held):
                return held.name
    return ""


def _rewrite(module: Module, registration: Registration) -> Rewrite:
    number, handler = module.code(registration.number), module.code(registration.handler)
    arguments = [number, handler, number, "None"]
    if isinstance(registration.handler, ast.Lambda):
        made = registration.handler
        names = {argument.arg for argument in made.args.args}
        unused = not any(isinstance(n, ast.Name) and n.id in names for n in ast.walk(made.body))
        if unused and not made.args.defaults and not made.args.kwonlyargs:
            arguments = [number, f"lambda: {module.code(made.body)}"]
    loop = _loop_at_hand(module, registration.call) or f"{module.imports.local_name('asyncio.get_running_loop')}()"
    code = f"{loop}.add_signal_handler({', '.join(arguments)})"
    return Rewrite(
        title="Let the loop call the handler",
        safety=Safety.UNSAFE,
        operations=(ReplaceExpression(module.span(registration.call), code),),
        why_unsafe="`add_signal_handler` is there on Unix only, and does not interrupt code that blocks the loop",
    )
