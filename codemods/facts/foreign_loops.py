"""Where a file uses a loop in a thread that does not run it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from codemods.facts.module import FunctionNode, Module
from codemods.facts.nodes import FUNCTIONS, is_self_attribute
from codemods.facts.tasks import Tasks, tasks_of
from codemods.facts.threads import nodes_of, own_loops, thread_classes, thread_functions, thread_targets

_METHODS = {"call_soon", "call_later", "call_at", "create_task", "stop"}


class UseFromOutside(NamedTuple):
    """One use of a loop; ``loop`` is its code, empty for the loop that is running, where there is none."""

    call: ast.Call
    method: str
    loop: str


def uses_from_outside(module: Module) -> Iterator[UseFromOutside]:
    """Every use of a loop in a thread that does not run it; one may come twice."""
    tasks = tasks_of(module)
    threads = thread_functions(module)
    for function in threads:
        own = own_loops(module, function)
        for node in nodes_of(function):
            use = _use_of(module, tasks, node)
            if use is not None and use.loop not in own and not _is_got_inside(module, use, function):
                yield use
    for function, loop, line in _loops_in_threads(module):
        for node in nodes_of(function):
            use = _use_of(module, tasks, node)
            if use is not None and use.loop == loop and use.call.lineno > line and function not in threads:
                yield use


def _use_of(module: Module, tasks: Tasks, node: ast.AST) -> UseFromOutside | None:
    """The use of a loop that ``node`` is, if it is one that must not happen in another thread."""
    if not isinstance(node, ast.Call):
        return None
    qualname = module.qualname(node.func)
    if qualname in ("asyncio.ensure_future", "asyncio.create_task"):
        loops = [keyword.value for keyword in node.keywords if keyword.arg == "loop"]
        if loops:
            return UseFromOutside(node, "ensure_future", module.code(loops[0]))
        return UseFromOutside(node, "", "") if node in tasks.started else None
    if isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS and tasks.may_be_loop(node.func.value):
        return UseFromOutside(node, node.func.attr, module.code(node.func.value))
    return None


def _is_got_inside(module: Module, use: UseFromOutside, function: FunctionNode | ast.Lambda) -> bool:
    """Whether the function gets the loop itself, or runs one in which ``create_task`` works."""
    if not use.loop:
        return any(isinstance(n, ast.Call) and module.qualname(n.func) == "asyncio.run" for n in nodes_of(function))
    name = use.loop.partition(".")[0]
    stores = [node for node in module.names(name) if isinstance(node.ctx, ast.Store)]
    return "(" in use.loop or any(module.scope(store) is function for store in stores)


def _loops_in_threads(module: Module) -> Iterator[tuple[FunctionNode, str, int]]:
    """Loops that threads of this file run, each with a function that is not in the thread, and the line it starts."""
    for target, call in thread_targets(module):
        starter = module.function(call)
        loops = _run_by(module, target) | _handed(module, target, call)
        if not isinstance(starter, FUNCTIONS) or not loops:
            continue
        starts = [c.lineno for c in module.calls_ending("start") if module.function(c) is starter]
        after = [line for line in starts if line >= call.lineno]
        for loop in loops:
            if after and isinstance(starter, ast.FunctionDef):
                yield starter, loop, after[0]
            cls = module.enclosing_class(call)
            if cls is not None and loop.startswith("self."):
                yield from ((method, loop, 0) for method in _for_others(module, cls) if method is not starter)
    for cls, run in thread_classes(module):
        for loop in own_loops(module, run):
            if loop.startswith("self."):
                yield from ((method, loop, 0) for method in _for_others(module, cls) if method is not run)


def _for_others(module: Module, cls: ast.ClassDef) -> Iterator[ast.FunctionDef]:
    """The methods that are there to be called from outside: nothing in the file calls them or hands them on."""
    for method in cls.body:
        if not isinstance(method, ast.FunctionDef) or method.name.startswith("_"):
            continue
        if not any(map(is_self_attribute, module.attributes(method.name))):
            yield method


def _run_by(module: Module, target: ast.expr) -> set[str]:
    """The loops that a thread with this target runs forever."""
    if isinstance(target, ast.Attribute) and target.attr == "run_forever":
        return {module.code(target.value)}
    functions = [f for f in thread_functions(module) if isinstance(f, FUNCTIONS)]
    if isinstance(target, ast.Attribute):
        return {loop for f in functions if f.name == target.attr for loop in own_loops(module, f) if "self." in loop}
    return set()


def _handed(module: Module, target: ast.expr, call: ast.Call) -> set[str]:
    """The loops that a thread gets in ``args=(loop,)`` and runs forever."""
    function = module.definition(target.id, target) if isinstance(target, ast.Name) else None
    given = next((keyword.value for keyword in call.keywords if keyword.arg == "args"), None)
    if not isinstance(function, FUNCTIONS) or not isinstance(given, ast.Tuple | ast.List):
        return set()
    run = {
        module.code(node.value)
        for node in nodes_of(function)
        if isinstance(node, ast.Attribute) and node.attr == "run_forever"
    }
    names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
    return {module.code(value) for name, value in zip(names, given.elts, strict=False) if name in run}
