"""The ``asyncio.run`` calls of a module, grouped by whether one can run after another."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from codemods.facts import flow
from codemods.facts.callees import body_nodes, reached
from codemods.facts.loops import is_micropython
from codemods.facts.module import FunctionNode, Module, ScopeNode
from codemods.facts.nodes import FUNCTIONS

RUN = "asyncio.run"
_PROBES = ("asyncio.get_running_loop", "asyncio.get_event_loop")
_POLICY_SWITCHES = ("asyncio.set_event_loop_policy", "uvloop.install", "nest_asyncio.apply")
_LOOP_STARTERS = ("run", "run_until_complete", "run_forever")
_PROPERTIES = {"property", "cached_property", "hybrid_property"}


@dataclass(frozen=True)
class Run:
    """One ``asyncio.run(coroutine, ...)``."""

    call: ast.Call
    coroutine: ast.expr
    statement: ast.stmt
    """The statement that the call stands in."""
    loop: ast.AST | None
    """The innermost loop or comprehension that can repeat it."""


@dataclass(frozen=True)
class Group:
    """Runs of one scope that can happen in one pass: two or more, or one that a loop repeats."""

    scope: ScopeNode
    runs: tuple[Run, ...]


def groups(module: Module) -> Iterator[Group]:
    """The groups of a module, in source order."""
    if is_micropython(module):
        return
    by_scope: dict[ScopeNode, list[Run]] = {}
    for call in module.calls(RUN):
        scope = module.scope(call)
        if not call.args or isinstance(call.args[0], ast.Starred | ast.Constant) or isinstance(scope, ast.Lambda):
            continue
        if module.in_coroutine(call) or is_probe(module, call):
            continue
        run = Run(call, call.args[0], module.statement(call), flow.repeating_loop(module, call))
        by_scope.setdefault(scope, []).append(run)
    for scope, runs in by_scope.items():
        for chain in _chains(module, runs):
            if not _loop_changes(module, scope, chain):
                yield Group(scope, tuple(chain))


def options(group: Group) -> set[tuple[tuple[str | None, str], ...]]:
    """The different sets of keyword arguments that the runs of a group have."""
    return {tuple((k.arg, ast.dump(k.value)) for k in run.call.keywords) for run in group.runs}


def starts_a_loop(module: Module, function: FunctionNode) -> bool:
    """Whether calling ``function`` runs a loop before it returns: it cannot be called from a coroutine."""
    if isinstance(function, ast.AsyncFunctionDef):
        return False
    return any(_is_loop_start(module, node) for inner in reached(module, function) for node in body_nodes(inner))


@lru_cache(maxsize=1)  # asked for each group of a file
def starts_a_loop_unseen(module: Module) -> bool:
    """Whether a property, generator, lambda or special method runs a loop: no call shows where."""
    for call in module.calls_ending(*_LOOP_STARTERS):
        function = module.function(call)
        if not _is_loop_start(module, call) or isinstance(function, ast.AsyncFunctionDef):
            continue
        if isinstance(function, ast.Lambda) or (function is not None and _is_called_unseen(function)):
            return True
    return False


def _is_loop_start(module: Module, node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Attribute) and node.func.attr in _LOOP_STARTERS[1:]:
        return True
    return module.qualname(node.func) == RUN


def _is_called_unseen(function: ast.FunctionDef) -> bool:
    decorators = {ast.unparse(decorator).rpartition(".")[2] for decorator in function.decorator_list}
    special = function.name.startswith("__") and function.name.endswith("__") and function.name != "__init__"
    generates = any(isinstance(node, ast.Yield | ast.YieldFrom) for node in body_nodes(function))
    return special or generates or bool(decorators & _PROPERTIES)


def _chains(module: Module, runs: list[Run]) -> Iterator[list[Run]]:
    """Connect the runs that can follow one another, directly or round a common loop."""
    rest = list(runs)
    while rest:
        chain = [rest.pop(0)]
        grown = True
        while grown:
            more = [r for r in rest if any(_both_happen(module, one, r) for one in chain)]
            chain += more
            rest = [r for r in rest if r not in more]
            grown = bool(more)
        chain.sort(key=lambda run: (run.call.lineno, run.call.col_offset))
        if len(chain) > 1 or chain[0].loop is not None:
            yield chain


def _both_happen(module: Module, one: Run, other: Run) -> bool:
    first, second = sorted((one, other), key=lambda run: (run.call.lineno, run.call.col_offset))
    if first.statement is second.statement:
        return not _apart(module, first.call, second.call)
    if first.loop is not None and first.loop is second.loop:
        return True
    if first.statement in module.ancestors(second.statement):
        return True  # a run in the test of an if or while, and one in its body
    return flow.can_follow(module, first.call, second.call)


def _apart(module: Module, first: ast.AST, second: ast.AST) -> bool:
    """Whether two expressions of one statement stand in the two branches of ``a if x else b``."""
    above = set(module.ancestors(first))
    for node in module.ancestors(second):
        if node in above:
            return isinstance(node, ast.IfExp) and first is not node.test and second is not node.test
    return False


def is_probe(module: Module, call: ast.Call) -> bool:
    """``try: get_running_loop() ... except RuntimeError: asyncio.run(...)``: run only without a loop."""
    for node in module.ancestors(call):
        if isinstance(node, FUNCTIONS):
            return False
        if isinstance(node, ast.ExceptHandler):
            around = module.parent(node)
            body = around.body if isinstance(around, flow.TRIES) else []
            if any(isinstance(n, ast.Call) and module.qualname(n.func) in _PROBES for s in body for n in ast.walk(s)):
                return True
    return False


def _loop_changes(module: Module, scope: ScopeNode, runs: list[Run]) -> bool:
    """Whether the runs are meant to differ: another policy, loop factory or function each time."""
    factories = {ast.dump(k.value) for run in runs for k in run.call.keywords if k.arg == "loop_factory"}
    if len(factories) > 1 or (factories and not all(_has_keyword(run, "loop_factory") for run in runs)):
        return True
    start, end = runs[0].statement.lineno, runs[-1].statement.end_lineno or runs[-1].statement.lineno
    if any(start < call.lineno <= end for call in module.calls(*_POLICY_SWITCHES)):
        return True
    called = {run.coroutine.func.id for run in runs if _calls_name(run)}  # type: ignore[attr-defined]
    redefined = [
        d for d in module.functions if d.name in called and module.scope(d) is scope and start < d.lineno < end
    ]
    return any(sum(d.name == other.name for other in module.functions) > 1 for d in redefined)


def _has_keyword(run: Run, name: str) -> bool:
    return any(keyword.arg == name for keyword in run.call.keywords)


def _calls_name(run: Run) -> bool:
    return isinstance(run.coroutine, ast.Call) and isinstance(run.coroutine.func, ast.Name)
