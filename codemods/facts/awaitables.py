"""What the arguments of ``asyncio.gather`` are, and where a list of them is filled."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from codemods.facts.module import Module
from codemods.facts.nodes import FUNCTIONS
from codemods.facts.variables import bound_otherwise


@dataclass
class Filling:
    """A local list of which every item is seen."""

    name: str
    binding: ast.Assign | ast.AnnAssign
    items: list[ast.expr] = field(default_factory=list)
    """The expressions that give its items; one in a loop or a comprehension stands for many."""
    others: list[ast.Name] = field(default_factory=list)
    """Where it is read and not filled."""


def filling(module: Module, name: ast.Name) -> Filling | None:
    """How the list that ``name`` means is filled; None when some item may come from elsewhere."""
    function = module.function(name)
    if not isinstance(function, FUNCTIONS) or module.is_declared(name.id, function):
        return None
    if any(module.binding_scope(a) is function for a in module.arguments(name.id)):
        return None
    uses = module.uses(name.id, function)
    if any(module.scope(use) is not function for use in uses) or bound_otherwise(module, name.id, function):
        return None
    stores = [module.parent(use) for use in uses if isinstance(use.ctx, ast.Store)]
    bindings = [s for s in stores if isinstance(s, ast.Assign | ast.AnnAssign)]
    if len(bindings) != 1 or (isinstance(bindings[0], ast.Assign) and len(bindings[0].targets) != 1):
        return None
    found = Filling(name.id, bindings[0])
    value = bindings[0].value
    if value is None or not isinstance(value, ast.List | ast.ListComp) or not _take(found, value):
        return None
    for store in stores:
        if store is not bindings[0] and not (isinstance(store, ast.AugAssign) and _take(found, store.value)):
            return None
    for use in uses:
        if isinstance(use.ctx, ast.Load) and not _fills(module, found, use):
            found.others.append(use)
    return found


def _fills(module: Module, found: Filling, use: ast.Name) -> bool:
    method = module.parent(use)
    call = module.parent(method) if isinstance(method, ast.Attribute) else None
    if not (isinstance(method, ast.Attribute) and isinstance(call, ast.Call) and len(call.args) == 1):
        return False
    if method.attr == "append":
        found.items.append(call.args[0])
        return True
    return method.attr == "extend" and _take(found, call.args[0])


def _take(found: Filling, value: ast.expr) -> bool:
    """Note the items of a list that is written out; False for any other."""
    if isinstance(value, ast.ListComp | ast.GeneratorExp):
        found.items.append(value.elt)
        return True
    if not isinstance(value, ast.List | ast.Tuple) or any(isinstance(item, ast.Starred) for item in value.elts):
        return False
    found.items.extend(value.elts)
    return True


@dataclass(frozen=True)
class Argument:
    """One argument of ``gather``."""

    node: ast.expr
    """What is given, without its star."""
    starred: bool
    items: tuple[ast.expr, ...]
    """The expressions that give the awaitables; empty when they are not seen."""
    filling: Filling | None = None
    """For ``*name``: the list."""


def arguments(module: Module, call: ast.Call) -> list[Argument]:
    """The positional arguments of ``call``."""
    found: list[Argument] = []
    for given in call.args:
        if not isinstance(given, ast.Starred):
            found.append(Argument(given, False, (given,)))
            continue
        node = given.value
        if isinstance(node, ast.Name):
            made = filling(module, node)
            found.append(Argument(node, True, tuple(made.items) if made else (), made))
        elif isinstance(node, ast.ListComp | ast.GeneratorExp):
            found.append(Argument(node, True, (node.elt,)))
        elif isinstance(node, ast.List | ast.Tuple) and not any(isinstance(e, ast.Starred) for e in node.elts):
            found.append(Argument(node, True, tuple(node.elts)))
        else:
            found.append(Argument(node, True, ()))
    return found
