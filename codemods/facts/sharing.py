"""What crosses from one ``asyncio.run`` to the next, and whether it is bound to a loop.

Which objects raise when a second loop uses them was measured: clients and streams with an open
connection do, queues and events once somebody waited on them do, objects that work in threads
(aiosqlite, psycopg) do not, and plain data is plain data.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from codemods.facts.callees import assigned_values, body_nodes, callee, instance_class, reached
from codemods.facts.module import FunctionNode, Module
from codemods.facts.nodes import is_self_attribute
from codemods.facts.runs import RUN, Group, Run

_WAITED_ON = {f"asyncio.{name}" for name in ("Queue", "PriorityQueue", "LifoQueue", "Event", "Condition", "Barrier")}
_LATENT = {f"asyncio.{name}" for name in ("Lock", "Semaphore", "BoundedSemaphore")}
_LOOP_FREE = {"aiosqlite", "psycopg", "slack_sdk", "concurrent"}
_LOOP_FREE_URL = re.compile(r"^(sqlite|postgresql\+psycopg)\b")


class Bond(IntEnum):
    """How surely an object belongs to one loop."""

    FREE = 0
    """Plain data, or an object that works on any loop."""
    UNKNOWN = 1
    """An object of an unknown kind, or one that only raises under contention."""
    BOUND = 2
    """It raises when another loop uses it."""


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
                bond, kind = _classify(module, node)
                for other in later:  # a part of it may say more: `bot` and `bot.session`
                    parts = [part for also, part in carriers[group.runs.index(other)].items() if _is_part(name, also)]
                    bond, kind = max([(bond, kind), *(_classify(module, part) for part in parts)])
                found[name] = Shared(name, bond, kind, (run, *later))
    results = list(_results(module, group))
    return sorted((s for s in [*found.values(), *results] if s.bond), key=lambda s: -s.bond)


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
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and _is_global_variable(module, node):
                yield node.id, node


def _is_global_variable(module: Module, name: ast.Name) -> bool:
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
                bond, kind = _returned(module, made[root].coroutine)
                yield Shared(root, bond, kind, (made[root], run))
        if isinstance(run.statement, ast.Assign) and run.statement.value is run.call:
            for target in run.statement.targets:
                made.update({n.id: run for n in ast.walk(target) if isinstance(n, ast.Name)})


def _returned(module: Module, coroutine: ast.expr) -> tuple[Bond, str]:
    if kind := _constructor(module, coroutine):
        return Bond.BOUND, kind
    function = callee(module, coroutine)
    for node in body_nodes(function) if function is not None else ():
        if isinstance(node, ast.Return) and node.value is not None:
            bond, kind = _bond(module, node.value)
            if bond is Bond.BOUND:
                return bond, kind
    return Bond.FREE, ""


def _classify(module: Module, node: ast.expr) -> tuple[Bond, str]:
    bond, kind = _bond(module, node)
    if bond is Bond.UNKNOWN and not kind and not _does_async_work(module, node):
        bond = Bond.FREE  # an argument of unknown kind is data far more often than not
    return bond, kind


def _does_async_work(module: Module, node: ast.expr) -> bool:
    """Whether ``node`` is ``x`` in ``asyncio.run(x.work())`` or in ``await x.work()``."""
    method = module.parent(node)
    call = module.parent(method) if isinstance(method, ast.Attribute) else None
    if not isinstance(call, ast.Call) or call.func is not method:
        return False
    around = module.parent(call)
    return isinstance(around, ast.Await) or (isinstance(around, ast.Call) and module.qualname(around.func) == RUN)


def _bond(module: Module, node: ast.expr, depth: int = 3) -> tuple[Bond, str]:
    """How an expression's value is bound to a loop, and what it is."""
    if isinstance(node, ast.Await):
        node = node.value
    if kind := _constructor(module, node):
        if _is_loop_free(node, kind):
            return Bond.FREE, kind
        raises = kind not in _LATENT and (kind not in _WAITED_ON or _somebody_waits(module))
        return (Bond.BOUND if raises else Bond.UNKNOWN), kind
    if isinstance(node, ast.Constant | ast.JoinedStr | ast.Compare | ast.BinOp) or depth == 0:
        return Bond.FREE, ""
    cls = instance_class(module, node)
    if cls is not None:
        return _class_bond(module, cls, depth)
    if isinstance(node, ast.Name):
        bonds = [_bond(module, value, depth - 1) for value in _values(module, node)]
        return max(bonds, default=(Bond.UNKNOWN, ""))
    if isinstance(node, ast.Attribute) and is_self_attribute(node):
        owner = module.enclosing_class(node)
        values = _attribute_values(owner, node.attr) if owner is not None else []
        return max((_bond(module, value, depth - 1) for value in values), default=(Bond.UNKNOWN, ""))
    if isinstance(node, ast.Attribute):
        bond, kind = _bond(module, node.value, depth - 1)
        return (bond, kind) if bond is Bond.BOUND else (Bond.UNKNOWN, "")
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return max((_bond(module, element, depth - 1) for element in node.elts), default=(Bond.FREE, ""))
    if isinstance(node, ast.Dict):
        return Bond.FREE, ""
    return Bond.UNKNOWN, ""


def _values(module: Module, name: ast.Name) -> list[ast.expr]:
    """What a name may hold: assignments in its scope, and those under ``global`` elsewhere."""
    values = assigned_values(module, name)
    if module.declarations(name.id):
        stores = [n for n in module.names(name.id) if isinstance(n.ctx, ast.Store)]
        holders = [module.parent(n) for n in stores if module.is_declared(name.id, module.scope(n))]
        values = values + [
            h.value for h in holders if isinstance(h, ast.Assign | ast.AnnAssign) and h.value is not None
        ]
    return [value for value in values if not (isinstance(value, ast.Constant) and value.value is None)]


def _class_bond(module: Module, cls: ast.ClassDef, depth: int) -> tuple[Bond, str]:
    """A class of this file is bound when it keeps something bound, unknown when it keeps what it awaited."""
    worst, kind = Bond.FREE, ""
    for node in ast.walk(cls):
        if not isinstance(node, ast.Assign | ast.AnnAssign) or node.value is None:
            continue
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if not any(is_self_attribute(t) for target in targets for t in ast.walk(target)):
            continue
        bond, what = _bond(module, node.value, depth - 1)
        if bond is Bond.UNKNOWN and not what and not isinstance(node.value, ast.Await):
            continue
        if bond > worst:
            worst, kind = bond, what
    return worst, kind


def _attribute_values(cls: ast.ClassDef, attr: str) -> list[ast.expr]:
    values: list[ast.expr] = []
    for node in ast.walk(cls):
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(t, ast.Attribute) and t.attr == attr for t in targets):
                values.append(node.value)
    return values


def _constructor(module: Module, node: ast.expr) -> str:
    """The qualified name of the loop-bound kind that a call makes; empty for anything else."""
    if not isinstance(node, ast.Call):
        return ""
    name = module.qualname(node.func) or ""
    if name in _WAITED_ON or name in _LATENT:
        return name
    if not name or name.startswith(("asyncio.new", "asyncio.TaskGroup", "concurrent.")):
        return ""
    return name if name in module.catalog.by_name else ""


def _somebody_waits(module: Module) -> bool:
    """Whether anything here waits for a queue or an event: before that, they belong to no loop."""
    waits = any(not call.args for call in module.calls_ending("get", "wait", "join"))
    return waits or any(module.qualname(call.func) is None for call in module.calls_ending("wait_for"))


def _is_loop_free(node: ast.expr, kind: str) -> bool:
    if kind.partition(".")[0] in _LOOP_FREE:
        return True
    url = node.args[0] if isinstance(node, ast.Call) and node.args else None
    return isinstance(url, ast.Constant) and bool(_LOOP_FREE_URL.match(str(url.value)))
