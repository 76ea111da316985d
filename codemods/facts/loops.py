"""The event loops that a file gets hold of: by which call, under which name, and what is done with them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from codemods.facts.module import Module, ScopeNode
from codemods.facts.nodes import start, tail
from codemods.facts.variables import BINDERS, Variables


class How(Enum):
    """Where a loop comes from."""

    RUNNING = "the loop that runs the coroutine"
    CURRENT = "the current loop: the running one, else the one that was set, else perhaps a new one"
    NEW = "a loop of its own"
    CUSTOM = "a loop of a class that was chosen"


_MAKERS = {
    "asyncio.get_running_loop": How.RUNNING,
    "asyncio.get_event_loop": How.CURRENT,
    "asyncio.new_event_loop": How.NEW,
    "asyncio.SelectorEventLoop": How.CUSTOM,
    "asyncio.ProactorEventLoop": How.CUSTOM,
    "uvloop.new_event_loop": How.CUSTOM,
    "uvloop.Loop": How.CUSTOM,
    "winloop.new_event_loop": How.CUSTOM,
}
_POLICY = "asyncio.get_event_loop_policy"
_MICROPYTHON = {"uasyncio", "machine", "network", "micropython", "utime"}


@dataclass(frozen=True)
class Use:
    """One read of a loop."""

    node: ast.expr
    """The name, or the call that gives the loop where it has none."""
    method: str = ""
    """What is called on it, ``close`` for ``loop.close()``; empty where it goes elsewhere."""

    def call(self, module: Module) -> ast.Call:
        """The call ``loop.method(...)``. Only where there is a method."""
        attribute = module.parent(self.node)
        assert attribute is not None
        call = module.parent(attribute)
        assert isinstance(call, ast.Call)
        return call


@dataclass(frozen=True)
class HeldLoop:
    """A loop that one call gave, with what one scope does with it."""

    made: ast.Call
    how: How
    scope: ScopeNode
    binding: ast.Assign | ast.AnnAssign | None
    """The assignment ``loop = get_event_loop()`` to one name, where there is one."""
    uses: tuple[Use, ...]
    """In source order; of an inline ``get_event_loop().close()`` the one."""
    name: str = ""
    """The name that holds it; empty where none does."""
    closed_by: ast.With | None = None
    """The ``with closing(new_event_loop()) as loop:`` that gives it its name, and closes it."""


def is_micropython(module: Module) -> bool:
    """Whether the file is for MicroPython, whose asyncio is another one."""
    return bool(_MICROPYTHON & {name.partition(".")[0] for name in module.imports.names.values()})


def origin(module: Module, expression: ast.AST | None) -> How | None:
    """How a call gets a loop; None for any other expression."""
    if not isinstance(expression, ast.Call):
        return None
    function = expression.func
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Call):
        if module.qualname(function.value.func) == _POLICY:
            return _MAKERS.get(f"asyncio.{function.attr}")
        return None
    if is_from_star(module, function):
        return _MAKERS.get(f"asyncio.{tail(function)}")
    qualname = module.qualname(function)
    return _MAKERS.get(qualname.replace("asyncio.events.", "asyncio.")) if qualname else None


def is_from_star(module: Module, function: ast.expr) -> bool:
    """Whether a name can only come from ``from asyncio import *``."""
    if not isinstance(function, ast.Name) or "asyncio" not in module.imports.stars:
        return False
    return function.id not in module.imports.names and not module.is_bound(function.id, function)


def makers(module: Module) -> list[tuple[ast.Call, How]]:
    """Every call that gets a loop, in source order."""
    spelled = {name.rpartition(".")[2] for name in _MAKERS}
    spelled.update(local for local, imported in module.imports.names.items() if imported in _MAKERS)
    return [(call, how) for call in module.calls_ending(*spelled) if (how := origin(module, call)) is not None]


def held_loops(module: Module) -> Iterator[HeldLoop]:
    """Every loop that the file gets, with its uses."""
    variables = Variables(module)
    for made, how in makers(module):
        scope = module.scope(made)
        holder = module.parent(made)
        block = _closing_block(module, made)
        inline: list[ast.expr] = []
        name = ""
        if isinstance(holder, BINDERS):
            name = bound_name(holder)
        elif isinstance(holder, ast.NamedExpr):
            name = holder.target.id
            inline = [holder]
        elif block is not None and isinstance(variable := block.items[0].optional_vars, ast.Name):
            name = variable.id
        if not name:
            yield HeldLoop(made, how, scope, None, (_use(module, made),))
            continue
        reads = [n for n in variables.uses(name).get(scope, ()) if isinstance(n.ctx, ast.Load)]
        uses = tuple(_use(module, node) for node in sorted([*inline, *reads], key=start))
        yield HeldLoop(made, how, scope, holder if isinstance(holder, BINDERS) else None, uses, name, block)


def _closing_block(module: Module, made: ast.Call) -> ast.With | None:
    """The ``with contextlib.closing(new_event_loop()) as loop:`` whose only item makes a loop."""
    closing = module.parent(made)
    if not isinstance(closing, ast.Call) or module.qualname(closing.func) != "contextlib.closing":
        return None
    item = module.parent(closing)
    block = module.parent(item) if isinstance(item, ast.withitem) else None
    return block if isinstance(block, ast.With) and len(block.items) == 1 and closing.args == [made] else None


def _use(module: Module, node: ast.expr) -> Use:
    attribute = module.parent(node)
    if isinstance(attribute, ast.Attribute) and attribute.value is node:
        call = module.parent(attribute)
        if isinstance(call, ast.Call) and call.func is attribute:
            return Use(node, attribute.attr)
    return Use(node)


def bound_name(binding: ast.Assign | ast.AnnAssign) -> str:
    """The one name that an assignment binds; empty for anything else that it may do."""
    targets = binding.targets if isinstance(binding, ast.Assign) else [binding.target]
    return targets[0].id if len(targets) == 1 and isinstance(targets[0], ast.Name) else ""


def is_bound_once(module: Module, held: HeldLoop) -> bool:
    """Whether the name of ``held`` means this loop wherever it is read in its scope, and nowhere else."""
    name, scope = held.name, held.scope
    stores = [n for n in Variables(module).uses(name).get(scope, ()) if not isinstance(n.ctx, ast.Load)]
    parameter = any(module.binding_scope(argument) is scope for argument in module.arguments(name))
    return len(stores) == 1 and not parameter
