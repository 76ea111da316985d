"""Why a loop has to stay, and what to do about that by hand, in words."""

from __future__ import annotations

import ast

from codemods.facts.loop_site import RUN, Site
from codemods.facts.loops import Use
from codemods.facts.module import Module

SETTINGS = (
    *("set_debug", "set_exception_handler", "set_task_factory", "set_default_executor", "slow_callback_duration"),
    *("add_signal_handler", "remove_signal_handler", "add_reader", "add_writer"),
)
"""What sets a loop up before it runs."""
_LEFT = ("asyncio.all_tasks", "asyncio.Task.all_tasks")

FROM_STAR = "`from asyncio import *` leaves open where a name comes from: import asyncio, and write `asyncio.` in front"
FOREVER = "the loop runs until it is stopped: let a main coroutine wait for an `asyncio.Event`, and run that"


def why_kept(attribute: str) -> str:
    """For a loop that is kept on an object."""
    return f"`{attribute}` lives as long as its object, and each run uses it: give that an asyncio.Runner, and close it"


def one_or_another(module: Module, site: Site) -> str:
    """For a name that is given a loop in several places."""
    lines = [f"line {held.made.lineno}" for held in site.loops]
    made = " and ".join([", ".join(lines[:-1]), lines[-1]]) if len(lines) > 1 else lines[0]
    where = f"`{site.name}` is given its loop on {made}" + (", and by other code" if len(lines) == 1 else "")
    function = module.function(site.loops[0].made)
    if not isinstance(function, ast.FunctionDef):
        return f"{where}: one `asyncio.run` can take the place of them all"
    return (
        f"{where}: plain code can use `asyncio.run` in their place, and a coroutine has to await what "
        f"`{function.name}` runs instead of calling it"
    )


def why_probed(module: Module, site: Site) -> str:
    """For a function that is ready for having no loop, and may be called where one runs."""
    name = module.qualified_scope(site.probe[0])
    if isinstance(site.scope, ast.Module):
        return "`nest_asyncio` lets loops run inside of one another here: let coroutines await, and do without it"
    return (
        f"`{name}` may be called from anywhere: plain code can use `asyncio.run`, and where a loop runs, a coroutine "
        "has to await what it runs instead"
    )


def why_foreign(module: Module, use: Use) -> str:
    """For a use of the loop in another function."""
    user = f"`{module.qualified_scope(use.node)}`"
    if module.in_coroutine(use.node):
        return f"{user} uses the loop, too: let it take the running one, by `asyncio.get_running_loop()`"
    if use.method == RUN:
        return f"{user} runs on the loop, too: share one asyncio.Runner, or run each by `asyncio.run`"
    return f"{user} uses the loop, too: give it the loop that runs, or none"


def why_bare(module: Module, use: Use) -> str:
    """For a use of the loop that calls nothing on it."""
    holder = module.parent(use.node)
    if isinstance(holder, ast.Return):
        return "the loop is returned: let the caller use `asyncio.run`, or an asyncio.Runner of its own"
    if isinstance(holder, ast.Attribute):
        code = module.code(holder)
        return f"`{code}` is changed or handed on: do that in a coroutine, on `asyncio.get_running_loop()`"
    return "the loop is kept somewhere else, too: take it by `asyncio.get_running_loop()` where it is used"


def why_handed(module: Module, site: Site, node: ast.expr) -> str:
    """For a loop that something else gets than the coroutine that is run."""
    holder = module.parent(node)
    call = module.parent(holder) if isinstance(holder, ast.keyword) else holder
    if isinstance(call, ast.Call) and module.qualname(call.func) in _LEFT:
        code = module.code(call)
        if not any(module.scope(end) is site.scope for end in module.calls_ending("cancel")):
            return f"`{code}` is waited for, and `asyncio.run` cancels it: wait for it at the end of the main coroutine"
        return f"`{code}` finds the tasks that are left: `asyncio.run` cancels those, and waits for them, by itself"
    return f"`{site.name}` is handed on: take the loop by `asyncio.get_running_loop()` where it is used"


def why_by_hand(module: Module, method: str, call: ast.Call) -> str:
    """For a method of the loop that ``asyncio.run`` leaves no place for."""
    code = f"`{module.code(call.func)}`"
    if method == "run_forever":
        return FOREVER
    if method in SETTINGS:
        return f"{code} sets up the loop: do that in the main coroutine, on `asyncio.get_running_loop()`"
    if method in ("is_running", "is_closed"):
        return _asked(code)
    if method == RUN:
        return f"{code} does not get one coroutine"
    if method == "stop":
        return f"{code} is meant for another place: `asyncio.run` ends when its coroutine does"
    return f"{code} uses the loop before or after it runs: do that in the main coroutine"


def why_asked(module: Module, guard: ast.If) -> str:
    """For code that depends on the state of the loop."""
    return _asked(f"`{module.code(guard.test)}`")


def _asked(code: str) -> str:
    return f"{code} asks what the loop is doing: let coroutines await, and plain code use `asyncio.run`"


def why_set(call: ast.Call, *, is_this: bool) -> str:
    """For ``set_event_loop`` with another loop, or where other code takes the loop from there."""
    what = "other code takes it as the current loop" if is_this else f"line {call.lineno} sets another loop"
    return f"{what}: give what makes it to asyncio.Runner as `loop_factory`"
