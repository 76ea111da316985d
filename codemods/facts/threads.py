"""Which functions of a file run in threads of their own, and which loops run there."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from codemods.facts.callees import given_function, reached
from codemods.facts.loops import origin
from codemods.facts.module import FunctionNode, Module
from codemods.facts.nodes import FUNCTIONS, walk_scope

_RUNS = ("run_forever", "run_until_complete")


def thread_targets(module: Module) -> Iterator[tuple[ast.expr, ast.Call]]:
    """What is handed to a thread to be called there, with the call that does so."""
    for call in module.calls("threading.Thread", "threading.Timer"):
        named = [keyword.value for keyword in call.keywords if keyword.arg in ("target", "function")]
        yield from ((target, call) for target in [*named, *call.args[1:2]][:1])
    for call in module.calls("asyncio.to_thread"):
        yield from ((target, call) for target in call.args[:1])
    if module.calls_ending("ProcessPoolExecutor"):
        return
    for call in module.calls_ending("run_in_executor"):
        yield from ((target, call) for target in call.args[1:2])
    if module.calls_ending("ThreadPoolExecutor"):
        for call in module.calls_ending("submit"):
            yield from ((target, call) for target in call.args[:1])


def thread_classes(module: Module) -> Iterator[tuple[ast.ClassDef, ast.FunctionDef]]:
    """The classes of this file that are threads, each with the method that runs there."""
    for cls in module.classes:
        run = module.method(cls, "run")
        if isinstance(run, ast.FunctionDef) and any(module.qualname(base) == "threading.Thread" for base in cls.bases):
            yield cls, run


def thread_functions(module: Module) -> set[FunctionNode | ast.Lambda]:
    """The plain functions and lambdas of this file that run in threads of their own, and nowhere else."""
    found: set[FunctionNode | ast.Lambda] = {run for _, run in thread_classes(module)}
    for target, _ in thread_targets(module):
        function = given_function(module, target)
        if isinstance(function, ast.Lambda) or (
            isinstance(function, ast.FunctionDef) and not module.calls_ending(function.name)
        ):
            found.add(function)
    return found


def own_loops(module: Module, function: FunctionNode | ast.Lambda) -> set[str]:
    """The code of the loops that ``function``, or what it calls, makes, runs or sets: they belong to its thread."""
    functions = reached(module, function) if isinstance(function, FUNCTIONS) else [function]
    found: set[str] = set()
    for one in functions:
        for node in nodes_of(one):
            if isinstance(node, ast.Assign) and origin(module, node.value) is not None:
                found.update(module.code(target) for target in node.targets)
            if not isinstance(node, ast.Call):
                continue
            if isinstance(node.func, ast.Attribute) and node.func.attr in _RUNS:
                found.add(module.code(node.func.value))
            elif module.qualname(node.func) == "asyncio.set_event_loop" and node.args:
                found.add(module.code(node.args[0]))
    return found


def nodes_of(function: FunctionNode | ast.Lambda) -> Iterator[ast.AST]:
    """What runs when ``function`` is called, without the functions inside it."""
    body = function.body if isinstance(function.body, list) else [function.body]
    return (node for part in body if not isinstance(part, (*FUNCTIONS, ast.ClassDef)) for node in walk_scope(part))
