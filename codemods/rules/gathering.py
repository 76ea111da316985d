"""How the awaitables of a ``gather`` become tasks that are cancelled when one of them fails."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from codemods.facts.awaitables import Argument, Filling
from codemods.facts.flow import TRIES
from codemods.facts.module import Module
from codemods.facts.nodes import FUNCTIONS, start, walk_scope
from codemods.facts.task_uses import Use
from codemods.facts.tasks import collection, tasks_of
from codemods.model import Operation, Rewrite, Safety
from codemods.rewriting.operations import (
    InsertBefore,
    NameArguments,
    ReplaceExpression,
    WrapInCall,
    WrapInTry,
)
from codemods.rules.free_names import Names
from codemods.rules.spelling import spelling
from codemods.rules.task_joining import SIMPLE, Ending, Joiner, ending, has_comment_above, is_calm
from codemods.rules.task_waiting import Gather, awaits, coroutine_function, never_ends

_WIDTH = 88
"""Longer lines get a line for each task, as most formatters would do it."""
_COROUTINES = {"asyncio.sleep", "asyncio.to_thread", "asyncio.wait_for", "asyncio.open_connection"}


class _Refusal(Exception):
    """Why there is no rewrite."""


@dataclass(frozen=True)
class _Tasks:
    """The tasks, once they are made."""

    items: tuple[str, ...]
    """The code of each; one that starts with a star stands for many."""
    operations: tuple[Operation, ...] = ()


def settle(module: Module, call: ast.Call, given: list[Argument]) -> Rewrite | str:
    """The rewrite of one awaited ``gather``, or why there is none."""
    try:
        return _Settling(module, call, given).rewrite()
    except _Refusal as refusal:
        return str(refusal)


class _Settling:
    def __init__(self, module: Module, call: ast.Call, given: list[Argument]) -> None:
        self._module = module
        self._call = call
        self._given = given
        self._statement = module.statement(call)
        self._ending = self._joinable()
        self._front = self._ending.attempt if self._ending else self._statement
        """What the list of tasks goes in front of."""
        function = module.function(call)
        assert isinstance(function, FUNCTIONS)
        self._function = function
        self._names = Names(module, self._statement, function)

    def rewrite(self) -> Rewrite:
        """Raises _Refusal."""
        module, statement = self._module, self._statement
        gather = Gather(module.code(self._call.func))
        if reason := never_ends(module, [item for argument in self._given for item in argument.items]):
            raise _Refusal(reason)
        if not module.stands_alone(statement):
            raise _Refusal("the `gather` shares its line with other code: put it on a line of its own")
        self._check_place()
        tasks = self._tasks()
        around: list[Operation]
        cleanup = "\n".join([*self._cancelling(tasks.items), gather.waiting_for(tasks.items)])
        if self._ending:
            around = [*self._ending.joined_by(module, [self._joiner(tasks, item) for item in tasks.items])]
        elif isinstance(statement, SIMPLE):
            around = [WrapInTry(module.span(statement), module.span(statement), cleanup)]
        else:
            around = self._hoisted(tasks, gather.code, cleanup)
        return Rewrite(
            title="Cancel the other tasks in a `finally` and wait for them",
            safety=Safety.UNSAFE,
            operations=tuple(dict.fromkeys([*tasks.operations, *around])),
            why_unsafe="when one fails, the others are cancelled and awaited before its error goes on; now they run on",
        )

    # -- the place ----------------------------------------------------------------------------

    def _check_place(self) -> None:
        """Refuse where the arguments cannot be evaluated in front of the statement instead."""
        statement = self._statement
        child: ast.AST = self._call
        header = {ast.For: "iter", ast.If: "test", ast.Match: "subject"}.get(type(statement))
        whole = statement if isinstance(statement, SIMPLE) else getattr(statement, header, None) if header else None
        around = list(self._module.ancestors(self._call))
        if whole is None or (whole is not statement and whole not in around):
            raise _Refusal("the `gather` stands in the header of a block: put it into a statement of its own")
        for above in around:
            lazy = isinstance(above, ast.BoolOp) and child is not above.values[0]
            lazy = lazy or (isinstance(above, ast.IfExp) and child is not above.test)
            if lazy or isinstance(
                above, ast.comprehension | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
            ):
                raise _Refusal("the `gather` is not evaluated exactly once: put it into a statement of its own")
            if above is whole:
                break
            child = above
        here, inside = start(self._call), set(ast.walk(self._call))
        for node in walk_scope(whole):
            early = isinstance(node, _WAITING) and node not in around and node not in inside
            if early and start(node) < here:
                raise _Refusal(
                    "the same statement does something else first, which the tasks must not overtake: put the "
                    "`gather` into a statement of its own"
                )
        if any(isinstance(node, _WAITING) or getattr(node, "is_async", 0) for node in inside):
            raise _Refusal("the arguments of the `gather` await something themselves: await that first")
        ready = [
            ast.dump(a.node) for a in self._given if not isinstance(a.node, ast.Call | ast.ListComp | ast.GeneratorExp)
        ]
        if len(ready) > len(set(ready)):
            raise _Refusal("the same awaitable is given twice, which `gather` runs once: give it once")

    def _hoisted(self, tasks: _Tasks, gather: str, cleanup: str) -> list[Operation]:
        """For a ``gather`` in the header of a block: its results get a name in front of it."""
        module, awaited = self._module, self._module.parent(self._call)
        if not isinstance(awaited, ast.Await):
            raise _Refusal("the `gather` stands in the header of a block: put it into a statement of its own")
        name = self._free("results", "gathered", "done")
        indented = "".join(f"    {line}\n" for line in cleanup.splitlines())
        code = f"try:\n    {name} = await {gather}({', '.join(tasks.items)})\nfinally:\n{indented}"
        span = module.span(self._statement)
        return [InsertBefore(span, code), ReplaceExpression(module.span(awaited), name)]

    def _joiner(self, tasks: _Tasks, item: str) -> Joiner:
        """What one item of the tasks brings into the ``finally`` that ends others."""
        assert self._ending is not None
        is_new = any(isinstance(operation, NameArguments) for operation in tasks.operations)
        line = self._ending.attempt.lineno if is_new else self._ending.started(self._module, item)
        return Joiner(line, "\n".join(self._cancelling((item,))), item)

    def _joinable(self) -> Ending | None:
        """The ``finally`` that ends other tasks behind the ``gather``, and behind nothing else."""
        block = self._module.block(self._statement)
        found = ending(self._module, block.owner) if isinstance(block.owner, TRIES) else None
        if found is None or found.attempt.handlers or found.attempt.orelse or found.attempt.body != [self._statement]:
            return None
        if not isinstance(self._statement, SIMPLE) or has_comment_above(self._module, self._statement):
            return None
        calm = all(is_calm(self._module, argument.node) for argument in self._given)
        return found if calm else None

    # -- the tasks ----------------------------------------------------------------------------

    def _tasks(self) -> _Tasks:
        module, given = self._module, self._given
        if all(self._is_task(argument) for argument in given):
            codes = [module.code(argument.node) for argument in given]
            return _Tasks(tuple(f"*{c}" if a.starred else c for a, c in zip(given, codes, strict=True)))
        only = given[0] if len(given) == 1 else None
        if only and only.filling and self._can_fill_with_tasks(only.filling):
            wraps = [wrap for item in only.items for wrap in self._started(item)]
            return _Tasks((f"*{only.filling.name}",), tuple(wraps))
        name = self._free("tasks", "running", "started")
        span, before = module.span(self._call), module.span(self._front)
        if only and not isinstance(only.node, ast.ListComp | ast.GeneratorExp | ast.List):
            item, (each, imports) = self._item(only.node), self._spawner(only.items)
            text = f"{name} = [{each}({item}) for {item} in {module.code(only.node)}]"
            spread = self._is_long(text)
            return _Tasks((f"*{name}",), (NameArguments(span, before, name, each, item, spread), *imports))
        wraps = [wrap for argument in given for wrap in self._wrapped(argument)]
        added = sum(len(wrap.function) + 2 for wrap in wraps if isinstance(wrap, WrapInCall))
        spread = self._is_long(f"{name} = [{', '.join(module.code(a.node) for a in given)}]{' ' * added}")
        return _Tasks((f"*{name}",), (*wraps, NameArguments(span, before, name, spread=spread)))

    def _wrapped(self, argument: Argument) -> Iterator[Operation]:
        """What makes tasks of one of several arguments."""
        if self._is_task(argument):
            return
        if argument.starred and not isinstance(argument.node, ast.ListComp | ast.GeneratorExp | ast.List | ast.Tuple):
            item, (each, imports) = self._item(argument.node), self._spawner(argument.items)
            code = self._module.code(argument.node)
            yield ReplaceExpression(self._module.span(argument.node), f"[{each}({item}) for {item} in {code}]")
            yield from imports
            return
        for made in argument.items:
            yield from self._started(made)

    def _started(self, made: ast.expr) -> Iterator[Operation]:
        each, imports = self._spawner([made])
        yield WrapInCall(self._module.span(made), each)
        yield from imports

    def _spawner(self, made: Iterable[ast.expr]) -> tuple[str, tuple[Operation, ...]]:
        """What makes a task of these: ``create_task`` takes coroutines, ``ensure_future`` whatever ``gather`` takes."""
        items = list(made)
        certain = bool(items) and all(self._is_coroutine(item) for item in items)
        code, change = spelling(self._module, "create_task" if certain else "ensure_future", self._call.func, ())
        if not code:
            raise _Refusal("`asyncio` is not imported where this function sees it: import it, then start tasks by it")
        return code, (change,) if change else ()

    def _is_coroutine(self, made: ast.expr) -> bool:
        """Whether an expression is certain to give a coroutine."""
        if isinstance(made, ast.IfExp):
            return self._is_coroutine(made.body) and self._is_coroutine(made.orelse)
        if not isinstance(made, ast.Call):
            return False
        function = coroutine_function(self._module, made)
        if isinstance(function, ast.AsyncFunctionDef) and not function.decorator_list:
            return not any(isinstance(node, ast.Yield) for node in walk_scope(ast.Module(function.body, [])))
        return self._module.qualname(made.func) in _COROUTINES

    def _is_task(self, argument: Argument) -> bool:
        """Whether an argument is a variable that holds a task, or a list of tasks."""
        holder = tasks_of(self._module).holder(collection(argument.node) if argument.starred else argument.node)
        return holder is not None and holder.known and holder.many is argument.starred and bool(holder.used(Use.START))

    def _can_fill_with_tasks(self, made: Filling) -> bool:
        """Whether nothing can tell that the list holds tasks from the start: it is filled right in front."""
        module, binding = self._module, made.binding
        if not isinstance(binding, ast.Assign) or re.search(r"coro|await", made.name, re.I):
            return False
        if any(self._call not in module.ancestors(use) and not _only_looks(module, use) for use in made.others):
            return False
        if any(isinstance(node, _WAITING) for item in made.items for node in ast.walk(item)):
            return False
        block = module.block(binding)
        between: list[ast.stmt] = []
        here: ast.AST = self._statement
        while isinstance(here, ast.stmt):
            place = module.block(here)
            if place.statements is block.statements:
                break
            if not isinstance(place.owner, ast.If | ast.Try | ast.With):
                return False
            between += place.statements[: place.index]
            here = place.owner
        else:
            return False
        between += block.statements[block.index : block.statements.index(here)]
        if any(module.statement(item) in ast.walk(self._statement) for item in made.items):
            return False
        inside = [node for statement in between for node in ast.walk(statement)]
        filled = {module.statement(item) for item in made.items} <= {n for n in inside if isinstance(n, ast.stmt)}
        leaves = [node for node in inside if isinstance(node, ast.Return | ast.Raise | ast.Yield)]
        return filled and not awaits(module, between) and all(_if_empty(module, node, made.name) for node in leaves)

    # -- names and lines ----------------------------------------------------------------------

    def _cancelling(self, items: tuple[str, ...]) -> Iterator[str]:
        for code in items:
            if not code.startswith("*"):
                yield f"{code}.cancel()"
                continue
            name = self._free(_singular(code[1:]), "task", "pending")
            yield from (f"for {name} in {code[1:]}:", f"    {name}.cancel()")

    def _item(self, node: ast.expr) -> str:
        """A name for one item of ``node``."""
        return self._free(_singular(self._module.code(node)), "coroutine", "awaitable")

    def _free(self, *names: str) -> str:
        numbered = (f"{names[-1]}_{number}" for number in range(2, 100))
        return next(name for name in (*names, *numbered) if name.isidentifier() and self._names.is_free(name))

    def _is_long(self, text: str) -> bool:
        written = self._module.code(self._call)
        return "\n" not in written and self._statement.col_offset + len(text) > _WIDTH


def _singular(plural: str) -> str:
    """``request`` for ``requests``; nothing that is a name for other code."""
    return plural[:-1] if plural.endswith("s") and not plural.endswith("ss") else ""


_WAITING = (ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr)


def _only_looks(module: Module, use: ast.Name) -> bool:
    """Whether a list is only counted, or asked whether it is empty."""
    above = module.parent(use)
    if isinstance(above, ast.Call):
        return isinstance(above.func, ast.Name) and above.func.id in ("len", "bool")
    if isinstance(above, ast.UnaryOp):
        return isinstance(above.op, ast.Not)
    return isinstance(above, ast.If | ast.While | ast.IfExp) and above.test is use


def _if_empty(module: Module, node: ast.AST, name: str) -> bool:
    """Whether a statement stands under an ``if`` that looks at the list: ``if not tasks: return``."""
    owner = module.parent(node)
    names = [n.id for n in ast.walk(owner.test) if isinstance(n, ast.Name)] if isinstance(owner, ast.If) else []
    return name in names
