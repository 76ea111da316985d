"""Where the life of a local task begins and ends in its function: what both rules for tasks must agree on."""

from __future__ import annotations

import ast
from dataclasses import dataclass

from codemods.facts.module import Module
from codemods.facts.task_uses import Holder, Use
from codemods.rules.task_waiting import awaits


@dataclass(frozen=True)
class Life:
    """The statements of one block between which a task, or a list of tasks, begins and ends."""

    holder: Holder
    owner: ast.AST
    block: list[ast.stmt]
    first: int
    """Index of the statement that starts the task, or makes the list."""
    begin: int
    """Index of the first statement behind which everything is started and bound."""
    cancels: tuple[ast.stmt, ...]
    """The statements at the very end of the block that cancel it."""


def life(module: Module, holder: Holder) -> Life | str:
    """The life of a local holder, or why it has none that can be told from the source."""
    name = holder.code
    binding = next((b for b in holder.bindings if not _is_none(b)), None)
    if len([b for b in holder.bindings if not _is_none(b)]) != 1 or binding is None:
        return (
            f"`{name}` is started in several places, so one variable does not hold all the tasks: collect them in a "
            "list, or cancel and await the old one before the next starts"
        )
    where = module.block(binding)
    if reason := _branch(module, holder, where.owner):
        return reason
    if not module.stands_alone(binding):
        return f"the statement that starts `{name}` shares its line with other code: put it on a line of its own"
    fillers = [_child_of(module, where.owner, call) for call in holder.starts]
    if lost := next((b for b in holder.bindings if b.lineno > binding.lineno), None):
        where_lost = f"`{name}` is forgotten on line {lost.lineno}"
        return f"{where_lost}, so a `finally` could not cancel it: cancel and await it there"
    last = max([where.index, *(where.statements.index(f) for f in fillers if f in where.statements)])
    filling = where.statements[where.index + 1 : last + 1]
    begin = where.index + 1 if awaits(module, filling) else last + 1
    cancels: list[ast.stmt] = []
    for statement in reversed(where.statements[begin:]):
        if not is_cancel(statement):
            break
        cancels.insert(0, statement)
    mine = [s for s in cancels if any(s in list(module.ancestors(n)) for n in holder.used(Use.CANCEL))]
    return Life(holder, where.owner, where.statements, where.index, begin, tuple(mine))


def cancels_at_end(module: Module, holder: Holder) -> tuple[ast.stmt, ...]:
    """The cancels that LM301 moves into its ``finally``: all cancels of the task, at the end of its block.

    Empty when the task is cancelled elsewhere too or has no life of its own: then LM302 mends each.
    """
    if not holder.known or holder.origin or holder.used(Use.KEEP, Use.SETTLE, Use.WATCH, Use.TEST):
        return ()
    found = life(module, holder)
    if isinstance(found, str) or len(found.cancels) != len(holder.used(Use.CANCEL)):
        return ()
    rest = [s for s in found.block[found.begin :] if s not in found.cancels]
    can_move = all(module.stands_alone(s) and not _has_comment(module, found.block, s) for s in found.cancels)
    return found.cancels if can_move and awaits(module, rest) else ()


def dangles(holder: Holder) -> bool:
    """Whether a local task of a coroutine is started and at most cancelled."""
    if not holder.known or holder.origin or not isinstance(holder.scope, ast.AsyncFunctionDef):
        return False
    return {use for use, _ in holder.uses} <= {Use.START, Use.CANCEL}


def _has_comment(module: Module, block: list[ast.stmt], statement: ast.stmt) -> bool:
    """Whether a comment belongs to a statement: it would not know where to go when this one moves."""
    above = block[block.index(statement) - 1].end_lineno or 0
    return any("#" in line for line in module.source.lines[above : statement.end_lineno])


def _branch(module: Module, holder: Holder, owner: ast.AST) -> str:
    """Why a ``finally`` behind the start would come too early, or meet an unbound name."""
    name = holder.code
    while owner is not holder.scope:
        if isinstance(owner, ast.For | ast.AsyncFor | ast.While):
            return (
                f"`{name}` is started in a loop, so the variable holds only the last task: collect the tasks in a "
                "list, and cancel and await them all in a `finally` behind the loop"
            )
        if not isinstance(owner, ast.With | ast.AsyncWith | ast.Try):
            return (
                f"`{name}` is started in a branch and would be unbound in a `finally`: start it before the `try`, or "
                "collect it in a list"
            )
        block = module.block(owner)
        if isinstance(owner, ast.Try) and holder.bindings[-1] in owner.finalbody:
            return f"`{name}` is started in a `finally`: start it earlier, or await it there"
        owner = block.owner
    return ""


def _child_of(module: Module, owner: ast.AST, node: ast.AST) -> ast.AST:
    """The node directly below ``owner`` that is or holds ``node``."""
    child = node
    for above in module.ancestors(node):
        if above is owner:
            return child
        child = above
    return node


def _is_none(binding: ast.stmt) -> bool:
    value = getattr(binding, "value", None)
    return value is None or (isinstance(value, ast.Constant) and value.value is None)


def is_cancel(statement: ast.stmt) -> bool:
    """Whether a statement cancels and does nothing else: ``x.cancel()``, or a loop with nothing else in it."""
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr="cancel"))):
            return True
        case ast.For(body=[only], orelse=[]):
            return is_cancel(only)
    return False


def only_cancels(module: Module, use: ast.Name) -> bool:
    """Whether a name is used as ``task`` in ``for task in tasks: task.cancel()``."""
    loops = [above for above in module.ancestors(use) if isinstance(above, ast.For)]
    return (
        bool(loops) and is_cancel(loops[0]) and isinstance(loops[0].target, ast.Name) and loops[0].target.id == use.id
    )
