"""The runs of a notebook, whose cells run on a loop that is running already."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from codemods.facts.callees import assigned_values, body_nodes, callee
from codemods.facts.flow import TRIES
from codemods.facts.loops import How, origin
from codemods.facts.module import FunctionNode, Module
from codemods.facts.nodes import start, tail
from codemods.facts.runs import RUN, is_probe

_THREADS = frozenset({"to_thread", "run_in_executor", "submit", "Thread", "Timer", "Process", "start_new_thread"})
"""Calls that run a function where no loop is running."""
_ASKS_WHERE = re.compile(r"is_running|running_loop|get_ipython|ipykernel|ipython|colab|notebook|jupyter", re.IGNORECASE)


def loop_runs(module: Module) -> list[ast.Call]:
    """The calls of ``asyncio.run`` and ``run_until_complete``, where they are what they seem to be."""
    replaced = any(isinstance(attribute.ctx, ast.Store) for attribute in module.attributes("run"))
    runs = [] if replaced else [call for call in module.calls(RUN) if is_certain(module, call.func)]
    runs += [call for call in module.calls_ending("run_until_complete") if isinstance(call.func, ast.Attribute)]
    return sorted((call for call in runs if awaited(call) is not None), key=start)


def awaited(run: ast.Call) -> ast.expr | None:
    """What a run waits for; None when that cannot be told."""
    if run.args:
        return None if isinstance(run.args[0], ast.Starred) else run.args[0]
    first = run.keywords[0] if run.keywords else None
    return first.value if first and first.arg in ("main", "future") else None


def is_certain(module: Module, function: ast.expr) -> bool:
    """Whether the imported name that ``function`` starts with is bound by nothing else at the top level."""
    while isinstance(function, ast.Attribute):
        function = function.value
    if not isinstance(function, ast.Name):
        return False
    name = function.id
    definitions = [*module.functions, *module.classes]
    if any(isinstance(n.ctx, ast.Store) and module.scope(n) is module.tree for n in module.names(name)):
        return False
    if any(definition.name == name and module.scope(definition) is module.tree for definition in definitions):
        return False
    return len(set(_imported_as(module, name))) == 1


def _imported_as(module: Module, name: str) -> Iterator[str]:
    for statement in module.imports.statements:
        origin = f"{statement.module}." if isinstance(statement, ast.ImportFrom) else ""
        for alias in statement.names:
            top = alias.name if alias.asname or origin else alias.name.partition(".")[0]
            if (alias.asname or top) == name:
                yield origin + top


def kernel_functions(module: Module) -> set[str]:
    """The names of the plain functions that cells or coroutines call, by themselves or through others."""
    called: dict[ast.AST | None, set[str]] = {}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            called.setdefault(module.function(node), set()).update(_names(module, node))
    names = set(called.get(None, ()))
    left = list(module.functions)
    while reached := [f for f in left if isinstance(f, ast.AsyncFunctionDef) or f.name in names]:
        names.update(name for function in reached for name in called.get(function, ()))
        left = [function for function in left if function not in reached]
    return names


def _names(module: Module, call: ast.Call) -> Iterator[str]:
    if isinstance(call.func, ast.Name):
        yield call.func.id
    elif (found := callee(module, call)) is not None:
        yield found.name


def goes_to_a_thread(module: Module, function: FunctionNode | ast.Lambda) -> bool:
    """Whether a function is handed to something that calls it in another thread or process.

    Gradio does so with all functions of an interface.
    """
    gradio = any(name.partition(".")[0] == "gradio" for name in module.imports.names.values())
    if isinstance(function, ast.Lambda):
        uses: list[ast.expr] = [function]
    else:
        uses = [*module.names(function.name), *module.attributes(function.name)]
    parents = [module.parent(use) for use in uses]
    calls = [module.parent(parent) if isinstance(parent, ast.keyword) else parent for parent in parents]
    handed_to = [call for call in calls if isinstance(call, ast.Call) and call.func not in uses]
    return any(gradio or tail(call.func) in _THREADS for call in handed_to)


def is_kernel_loop(module: Module, loop: ast.expr) -> bool:
    """Whether an expression is certain to be the loop of the kernel."""
    values = assigned_values(module, loop) if isinstance(loop, ast.Name) else [loop]
    return bool(values) and all(origin(module, value) in (How.RUNNING, How.CURRENT) for value in values)


def is_guarded(module: Module, call: ast.Call) -> bool:
    """Whether the code around a run has asked where it is, or expects that the run may fail."""
    if is_probe(module, call):
        return True
    function = module.function(call)
    if isinstance(function, ast.FunctionDef):
        tests = [node.test for node in body_nodes(function) if isinstance(node, ast.If | ast.IfExp)]
    else:
        tests = [node.test for node in module.ancestors(call) if isinstance(node, ast.If | ast.IfExp)]
    if any(_ASKS_WHERE.search(module.code(test)) for test in tests):
        return True
    child: ast.AST = call
    for above in module.ancestors(call):
        if isinstance(above, TRIES) and child in above.body and any(map(_catches_runtime_error, above.handlers)):
            return True
        if above is function:
            return False
        child = above
    return False


def _catches_runtime_error(handler: ast.ExceptHandler) -> bool:
    return handler.type is not None and any(
        isinstance(node, ast.Name) and node.id == "RuntimeError" for node in ast.walk(handler.type)
    )
