"""What crosses from one ``asyncio.run`` to the next, and whether it is bound to a loop."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from codemods.facts.bonds import Binding, Bond, binding_of, strongest
from codemods.facts.callees import body_nodes, callee, reached
from codemods.facts.module import FunctionNode, Module
from codemods.facts.runs import RUN, Group, Run


@dataclass(frozen=True)
class Shared:
    """A name through which an object crosses from one run to another."""

    name: str
    bond: Bond
    kind: str
    """What it is, for people: ``httpx.AsyncClient``; empty when unknown."""
    runs: tuple[Run, ...]
    """Those that use it, in order; one alone is repeated by a loop."""


def shared(module: Module, group: Group) -> list[Shared]:
    """What two runs of the group, or two rounds of its loop, have in common; the worst first."""
    carriers = [dict(_carriers(module, run)) for run in group.runs]
    found: dict[str, Shared] = {}
    for index, run in enumerate(group.runs):
        for name, node in carriers[index].items():
            if name in found:
                continue
            later = [
                other
                for other, names in zip(group.runs[index + 1 :], carriers[index + 1 :], strict=True)
                if any(_is_part(name, also) for also in names) and _same_object(module, name, run, other)
            ]
            repeated = run.loop is not None and not _fresh_each_round(module, name, run)
            if later or repeated:
                binding = _classify(module, node)
                for other in later:  # a part of it may say more: `bot` and `bot.session`
                    parts = [part for also, part in carriers[group.runs.index(other)].items() if _is_part(name, also)]
                    binding = strongest([binding, *(_classify(module, part) for part in parts)])
                found[name] = Shared(name, binding.bond, binding.kind, (run, *later))
    results = list(_results(module, group))
    return sorted((s for s in [*found.values(), *results] if s.bond), key=lambda s: -s.bond)


def carried(module: Module, run: Run) -> dict[str, ast.expr]:
    """The names by which a run gets at objects that were there before it, each with one read of it."""
    return dict(_carriers(module, run))


def _is_part(name: str, other: str) -> bool:
    """Whether two dotted names are the same, or one a part of the other's object."""
    return name == other or name.startswith(f"{other}.") or other.startswith(f"{name}.")


def _carriers(module: Module, run: Run) -> Iterator[tuple[str, ast.expr]]:
    """The names by which a run gets at objects that were there before it."""
    coroutine = run.coroutine
    if isinstance(coroutine, ast.Call):
        if isinstance(coroutine.func, ast.Attribute):
            yield from _objects(module, coroutine.func.value)
        for value in [*coroutine.args, *(keyword.value for keyword in coroutine.keywords)]:
            yield from _objects(module, value)
        function = callee(module, coroutine)
        if function is not None:
            yield from _globals_read(module, function)
    else:
        yield from _objects(module, coroutine)


def _objects(module: Module, node: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.Starred):
        node = node.value
    root = node
    while isinstance(root, ast.Attribute | ast.Subscript):
        root = root.value
    if isinstance(root, ast.Name) and root.id not in module.imports.names and module.definition(root.id, root) is None:
        yield ast.unparse(node), node


def _globals_read(module: Module, function: FunctionNode) -> Iterator[tuple[str, ast.expr]]:
    """The module's own variables that a coroutine, or what it calls here, reads."""
    for inner in reached(module, function):
        for node in body_nodes(inner):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and is_global_variable(module, node):
                yield node.id, node


def is_global_variable(module: Module, name: ast.Name) -> bool:
    """Whether a name means a variable of the module, assigned at its top level or under ``global``."""
    stores = [n for n in module.names(name.id) if isinstance(n.ctx, ast.Store)]
    if not stores or name.id in module.imports.names:
        return False
    at_top = [n for n in stores if module.scope(n) is module.tree]
    declared = bool(module.declarations(name.id))
    local = module.binds(name.id, module.scope(name)) and not module.is_declared(name.id, module.scope(name))
    return (bool(at_top) or declared) and not local


def _same_object(module: Module, name: str, one: Run, other: Run) -> bool:
    """Whether nothing is assigned to ``name`` between two runs."""
    first, last = sorted(run.call.lineno for run in (one, other))
    scope = module.scope(one.call)
    stores = [n for n in module.names(_root(name)) if isinstance(n.ctx, ast.Store)]
    return not any(first < n.lineno <= last and module.scope(n) is scope for n in stores)


def _root(name: str) -> str:
    return re.split(r"[.\[]", name)[0]


def _fresh_each_round(module: Module, name: str, run: Run) -> bool:
    """Whether the loop around a run binds ``name`` anew in each round."""
    assert run.loop is not None
    root = _root(name)
    return any(
        isinstance(node, ast.Name) and node.id == root and not isinstance(node.ctx, ast.Load)
        for node in ast.walk(run.loop)
    )


def _results(module: Module, group: Group) -> Iterator[Shared]:
    """A loop-bound object that one run returns and a later one gets."""
    made: dict[str, Run] = {}
    for run in group.runs:
        for name, _ in _carriers(module, run):
            root = _root(name)
            if root in made:
                binding = _returned(module, made[root].coroutine)
                yield Shared(root, binding.bond, binding.kind, (made[root], run))
        if isinstance(run.statement, ast.Assign) and run.statement.value is run.call:
            for target in run.statement.targets:
                made.update({n.id: run for n in ast.walk(target) if isinstance(n, ast.Name)})


def _returned(module: Module, coroutine: ast.expr) -> Binding:
    """What a coroutine gives, where that is bound to its loop."""
    binding = binding_of(module, coroutine)
    return binding if binding.bond is Bond.BOUND else Binding(Bond.FREE)


def _classify(module: Module, node: ast.expr) -> Binding:
    binding = binding_of(module, node)
    if binding.bond is Bond.UNKNOWN and not binding.kind and not _does_async_work(module, node):
        return Binding(Bond.FREE)  # an argument of unknown kind is data far more often than not
    return binding


def _does_async_work(module: Module, node: ast.expr) -> bool:
    """Whether ``node`` is ``x`` in ``asyncio.run(x.work())`` or in ``await x.work()``."""
    method = module.parent(node)
    call = module.parent(method) if isinstance(method, ast.Attribute) else None
    if not isinstance(call, ast.Call) or call.func is not method:
        return False
    around = module.parent(call)
    return isinstance(around, ast.Await) or (isinstance(around, ast.Call) and module.qualname(around.func) == RUN)
