"""A ``try`` whose ``finally`` ends tasks already: more tasks of the same block join it."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass

from codemods.facts.flow import TRIES
from codemods.facts.module import Module
from codemods.facts.nodes import FUNCTIONS
from codemods.facts.tasks import collection, tasks_of
from codemods.model import Operation
from codemods.rewriting.operations import InsertBefore, ReplaceExpression
from codemods.rules.task_endings import is_cancel
from codemods.rules.task_waiting import awaits, coroutine_function


@dataclass(frozen=True)
class Joiner:
    """What one more task, or list of tasks, brings into the ``finally``."""

    line: int
    """Where it is started: the tasks end in the order in which they start."""
    cancelling: str
    argument: str


@dataclass(frozen=True)
class Ending:
    """A ``try`` whose ``finally`` cancels tasks, waits for them with one ``gather``, and does nothing else."""

    attempt: ast.Try | ast.TryStar
    cancels: tuple[ast.stmt, ...]
    wait: ast.Call

    @property
    def names(self) -> set[str]:
        """The variables whose tasks it ends."""
        return {name for argument in self.wait.args if (name := _name(argument))}

    def joined_by(self, module: Module, joiners: Sequence[Joiner]) -> tuple[Operation, ...]:
        """What takes more tasks into this ``finally``."""
        operations: list[Operation] = []
        last = self.attempt.finalbody[-1]
        arguments = [(self.started(module, module.code(a)), module.code(a)) for a in self.wait.args]
        for joiner in joiners:
            later = (c for c in self.cancels if self.started(module, _cancelled(c)) > joiner.line)
            operations.append(InsertBefore(module.span(next(later, last)), joiner.cancelling))
            arguments.append((joiner.line, joiner.argument))
        codes = [code for _, code in sorted(arguments, key=lambda one: one[0])]
        code = f"{module.code(self.wait.func)}({', '.join(codes)}, return_exceptions=True)"
        return (*operations, ReplaceExpression(module.span(self.wait), code))

    def started(self, module: Module, code: str) -> int:
        """The line that bound last in front of the ``try`` what ``task``, ``*tasks`` or ``*tasks.values()`` means."""
        name = code.removeprefix("*").partition(".")[0]
        function = module.function(self.wait)
        uses = module.uses(name, function) if isinstance(function, FUNCTIONS) else []
        lines = [use.lineno for use in uses if isinstance(use.ctx, ast.Store) and use.lineno < self.attempt.lineno]
        return max(lines, default=0)


def ending(module: Module, statement: ast.stmt) -> Ending | None:
    """The ending that a statement is; None when it is anything else."""
    if not isinstance(statement, TRIES) or not statement.finalbody:
        return None
    *cancels, last = statement.finalbody
    match last:
        case ast.Expr(
            value=ast.Await(value=ast.Call(keywords=[ast.keyword(arg="return_exceptions", value=how)]) as wait)
        ):
            quiet = isinstance(how, ast.Constant) and how.value is True
        case _:
            return None
    names = [_name(argument) for argument in wait.args]
    if not quiet or module.qualname(wait.func) != "asyncio.gather" or "" in names:
        return None
    if not all(is_cancel(c) and _cancelled(c) in names and module.stands_alone(c) for c in cancels):
        return None
    behind = cancels[0].lineno if cancels else last.lineno
    if any("#" in line for line in module.source.lines[behind - 1 : last.end_lineno]):
        return None
    return Ending(statement, tuple(cancels), wait)


def reached(module: Module, statements: Sequence[ast.stmt]) -> Ending | None:
    """The ending that covers all these statements but for starts of the tasks that it ends."""
    found = ending(module, statements[-1])
    between = statements[:-1]
    if found is None or leaves_or_awaits(module, between):
        return None
    needed = {n.id for statement in found.attempt.body for n in ast.walk(statement) if isinstance(n, ast.Name)}
    return found if not between or _binds(between[-1], found.names - needed) else None


def without_lists(module: Module, statements: list[ast.stmt]) -> list[ast.stmt]:
    """These statements, without the lists that the last one of them gives to a ``gather`` and nothing else.

    To make those starts tasks at most, so they do not have to stand in the ``try``.
    """
    last = statements[-1]
    if isinstance(last, TRIES) and len(last.body) == 1 and ending(module, last):
        last = last.body[0]
    if not isinstance(last, SIMPLE):
        return statements
    gathers = [n for n in ast.walk(last) if isinstance(n, ast.Call) and module.qualname(n.func) == "asyncio.gather"]
    given = {n.id for call in gathers for a in call.args for n in ast.walk(a) if isinstance(n, ast.Name)}
    rest = statements
    while len(rest) > 1:
        match rest[-2]:
            case ast.Assign(targets=[ast.Name(id=name)], value=made) if name in given and is_calm(module, made):
                if has_comment_above(module, rest[-2]):
                    return statements
                given |= {n.id for n in ast.walk(made) if isinstance(n, ast.Name)}
                rest = [*rest[:-2], rest[-1]]
            case _:
                break
    return rest


def has_comment_above(module: Module, statement: ast.stmt) -> bool:
    """Whether a comment stands between a statement and the code above it."""
    block = module.block(statement)
    above = block.statements[block.index - 1].end_lineno if block.index else getattr(block.owner, "lineno", 0)
    return any("#" in line for line in module.source.lines[above or 0 : statement.lineno - 1])


SIMPLE = (ast.Expr, ast.Assign, ast.AnnAssign, ast.AugAssign, ast.Return)
"""The statements that do one thing."""


def is_calm(module: Module, made: ast.expr) -> bool:
    """Whether making a list of coroutines or tasks runs no other code: nothing in it can fail."""
    if isinstance(made, ast.List):
        return all(is_calm(module, item) for item in made.elts)
    if isinstance(made, ast.ListComp | ast.GeneratorExp):
        plain = all(isinstance(g.iter, ast.Name | ast.Attribute) and not g.ifs for g in made.generators)
        return plain and is_calm(module, made.elt)
    if isinstance(made, ast.Call):
        given = [*made.args, *(keyword.value for keyword in made.keywords)]
        makes = made in tasks_of(module).started or isinstance(coroutine_function(module, made), ast.AsyncFunctionDef)
        return makes and all(is_calm(module, argument) for argument in given)
    return isinstance(made, ast.Name | ast.Attribute | ast.Constant)


def leaves_or_awaits(module: Module, statements: Sequence[ast.stmt]) -> bool:
    """Whether statements between two starts give an error or a ``return`` a chance, as far as one can tell."""
    leaves = any(isinstance(node, ast.Return) for statement in statements for node in ast.walk(statement))
    return leaves or awaits(module, statements, naps=False)


def _name(argument: ast.expr) -> str:
    """The variable behind ``task``, ``*tasks`` and ``*tasks.values()``."""
    node = collection(argument.value) if isinstance(argument, ast.Starred) else argument
    return node.id if isinstance(node, ast.Name) else ""


def _cancelled(statement: ast.stmt) -> str:
    """The variable whose tasks a statement cancels."""
    if isinstance(statement, ast.For):
        return _name(collection(statement.iter))
    receiver = getattr(getattr(getattr(statement, "value", None), "func", None), "value", None)
    return receiver.id if isinstance(receiver, ast.Name) else ""


def _binds(statement: ast.stmt, names: set[str]) -> bool:
    """Whether a statement puts a task into one of these variables."""
    return any(isinstance(node, ast.Name) and node.id in names for node in ast.walk(statement))
