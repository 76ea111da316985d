"""The ``try`` whose ``finally`` cancels tasks at the end of their block and waits for them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from codemods.facts.flow import TRIES
from codemods.facts.module import Module
from codemods.facts.tasks import made_by, tasks_of
from codemods.model import Operation, Rewrite, Safety
from codemods.rewriting.operations import AddFinally, RemoveStatement, WrapInTry
from codemods.rules.task_endings import Life, cancels_at_end, dangles, life, only_cancels
from codemods.rules.task_joining import Joiner, ending, leaves_or_awaits, reached, without_lists
from codemods.rules.task_waiting import NO_GATHER, awaits, gather_at, may_wait_for_us, never_ends


def closed_before(module: Module, lives: list[Life]) -> str:
    """The variable of an ``async with`` around the block that one of the tasks works with."""
    used = {node.id for one in lives for call in one.holder.starts for node in _names(call)}
    for owner in [lives[0].owner, *module.ancestors(lives[0].owner)]:
        if owner is lives[0].holder.scope:
            break
        if isinstance(owner, ast.With | ast.AsyncWith) and (both := sorted(used & _targets(owner))):
            return both[0]
    return ""


def _names(node: ast.AST) -> Iterator[ast.Name]:
    return (child for child in ast.walk(node) if isinstance(child, ast.Name))


def _targets(statement: ast.With | ast.AsyncWith) -> set[str]:
    return {name.id for item in statement.items if item.optional_vars for name in _names(item.optional_vars)}


def end_in_finally(module: Module, lives: list[Life]) -> Rewrite | str:
    """One ``try`` for the tasks of one block, or why there is none."""
    block = lives[0].block
    begin = max(one.begin for one in lives)
    for statement in block[lives[0].first + 1 : begin]:
        if leaves_or_awaits(module, [statement]):
            return (
                f"line {statement.lineno} awaits or returns while `{lives[0].holder.code}` already runs: start the "
                "tasks one right after the other, then one `try` covers them"
            )
    cancels = [statement for one in lives for statement in one.cancels]
    begin = _behind_starts(module, block, begin)
    moving = {statement for holder in tasks_of(module).locals for statement in cancels_at_end(module, holder)}
    rest = [statement for statement in block[begin:] if statement not in moving and statement not in cancels]
    if not awaits(module, rest):
        return "nothing is awaited behind the start, so the task never gets to run: await it where it has to be done"
    starts = [call for one in lives for call in one.holder.starts]
    if reason := never_ends(module, [made_by(call) for call in starts]):
        return reason
    gather = gather_at(module, rest[0])
    if gather is None:
        return NO_GATHER
    if any(one.holder.code == "_" for one in lives):
        return "the task is called `_`: give it a name to cancel it by"
    rest = without_lists(module, _inside_of_try(module, rest))
    if not (module.stands_alone(rest[0]) and module.stands_alone(rest[-1])):
        return "the statements behind the start share their lines with other code: put each on a line of its own"
    joiners = [_joiner(module, one) for one in lives]
    operations: list[Operation] = [RemoveStatement(module.span(statement)) for statement in cancels]
    if found := reached(module, rest):
        operations += found.joined_by(module, joiners)
    else:
        cleanup = "\n".join([*(one.cancelling for one in joiners), gather.waiting_for(one.argument for one in joiners)])
        operations += [_with_finally(module, rest, cleanup), *gather.operations]
    why_unsafe = may_wait_for_us(module, rest[0], starts)
    if _ends_early(module, lives):
        why_unsafe = "the task ends with its block, although the coroutine goes on behind that"
    return Rewrite(
        title="Cancel the task in a `finally` and wait for it" if len(lives) == 1 else "Cancel and await the tasks",
        safety=Safety.UNSAFE if why_unsafe else Safety.SAFE,
        operations=tuple(operations),
        why_unsafe=why_unsafe,
    )


def _behind_starts(module: Module, block: list[ast.stmt], begin: int) -> int:
    """Behind what starts more tasks that no one waits for: they will end in the same ``finally``."""
    tasks = tasks_of(module)
    dropped = [s for s in block[begin:] if isinstance(s, ast.Expr) and s.value in tasks.started]
    others = [found for holder in tasks.locals if dangles(holder) and isinstance(found := life(module, holder), Life)]
    ends = [block.index(statement) + 1 for statement in dropped]
    ends += [one.begin for one in others if one.block is block]
    near = [end for end in ends if end > begin and not leaves_or_awaits(module, block[begin:end])]
    return max(near, default=begin)


def _with_finally(module: Module, rest: list[ast.stmt], cleanup: str) -> Operation:
    """What makes ``cleanup`` the ``finally`` of statements: of the ``try`` that they are, or of a new one."""
    only = rest[0]
    if len(rest) == 1 and isinstance(only, TRIES) and not only.finalbody:
        return AddFinally(module.span(only), cleanup)
    return WrapInTry(module.span(only), module.span(rest[-1]), cleanup)


def _inside_of_try(module: Module, rest: list[ast.stmt]) -> list[ast.stmt]:
    """The statements to cover: those inside a last ``try`` whose ``finally`` closes what the task may use."""
    last = rest[-1]
    closes = isinstance(last, ast.Try) and awaits(module, last.finalbody) and ending(module, last) is None
    if not isinstance(last, ast.Try) or not closes or awaits(module, rest[:-1]):
        return rest
    caught = [statement for handler in last.handlers for statement in handler.body]
    return rest if awaits(module, [*caught, *last.orelse]) else last.body


def _joiner(module: Module, one: Life) -> Joiner:
    """What ends the tasks of one life."""
    argument = f"*{one.holder.items}" if one.holder.many else one.holder.code
    return Joiner(one.block[one.first].lineno, "\n".join(_cancelling(module, one)), argument)


def _cancelling(module: Module, one: Life) -> list[str]:
    """The lines that cancel a task, or all tasks of a list."""
    if one.cancels:
        return [ast.unparse(statement) for statement in one.cancels]
    if not one.holder.many:
        return [f"{one.holder.code}.cancel()"]
    name = _loop_name(module, one)
    return [f"for {name} in {one.holder.items}:", f"    {name}.cancel()"]


def _loop_name(module: Module, one: Life) -> str:
    """A name for one of ``tasks`` that is free in the function, or was used to fill the list only."""
    filling = {node for index in range(one.first, one.begin) for node in _names(one.block[index])}
    outside = {
        node.id for node in _names(one.holder.scope) if node not in filling and not only_cancels(module, node)
    } | set(module.imports.names)
    inside = {node.id for node in filling} - {node.id for node in filling if isinstance(node.ctx, ast.Store)}
    plural = one.holder.code
    singular = plural[:-1] if plural.endswith("s") and not plural.endswith("ss") else "task"
    candidates = [singular, "task", "pending", *(f"task_{number}" for number in range(2, 100))]
    return next(name for name in candidates if name not in outside | inside and name.isidentifier())


def _ends_early(module: Module, lives: list[Life]) -> bool:
    """Whether the coroutine awaits more behind the block, and the tasks could live on there."""
    owner = lives[0].owner
    while isinstance(owner, ast.stmt) and owner is not lives[0].holder.scope:
        if isinstance(owner, ast.With | ast.AsyncWith):
            targets = _targets(owner)
            if all(targets & {n.id for call in one.holder.starts for n in _names(call)} for one in lives):
                return False
        above = module.block(owner)
        if awaits(module, above.statements[above.index + 1 :]):
            return True
        owner = above.owner
    return False
