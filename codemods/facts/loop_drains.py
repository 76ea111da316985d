"""What a program does by hand to end the tasks that are left on its loop: ``asyncio.run`` does just that."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from codemods.facts.flow import TRIES
from codemods.facts.loop_site import RUN
from codemods.facts.module import Module, ScopeNode
from codemods.facts.nodes import tail
from codemods.facts.variables import Variables

_LEFT = ("asyncio.all_tasks", "asyncio.Task.all_tasks")
_COLLECTIONS = ("list", "set", "tuple")
_CANCELLED = "CancelledError"
_STATES = ("done", "cancelled")


def left_tasks(module: Module, scope: ScopeNode, loop: str) -> list[ast.Call]:
    """The calls ``asyncio.all_tasks(loop)`` of a scope; ``loop`` is how the loop is spelled."""
    calls = [call for call in module.calls(*_LEFT) if module.scope(call) is scope]
    return [call for call in calls if _argument(module, call) == loop]


def drain(module: Module, scope: ScopeNode, loop: str) -> list[ast.stmt]:
    """The statements that cancel all tasks left on a loop and wait for them, and do nothing else.

    Empty where what is left is not cancelled, or where other code has to do with it.
    """
    found = _Drain(module, scope, loop)
    return found.statements if found.is_whole() else []


def _argument(module: Module, call: ast.Call) -> str:
    given = [*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "loop")]
    return module.code(given[0]) if len(given) == 1 else ""


class _Drain:
    def __init__(self, module: Module, scope: ScopeNode, loop: str) -> None:
        self._module, self._scope, self._loop = module, scope, loop
        self._calls = left_tasks(module, scope, loop)
        self._names: set[str] = set()
        """The variables that hold the tasks that are left."""
        self.statements: list[ast.stmt] = []
        for call in self._calls:
            self._add(call)
        for name in sorted(self._names):
            for node in Variables(module).uses(name).get(scope, ()):
                self._add(node)

    def _add(self, node: ast.AST) -> None:
        """Note the outermost statement around ``node`` that belongs to the drain."""
        statement = self._module.statement(node)
        if not self._belongs(statement):
            return
        for above in self._module.ancestors(statement):
            if isinstance(above, ast.stmt) and self._belongs(above):
                statement = above
            elif not isinstance(above, ast.ExceptHandler):
                break
        if statement not in self.statements:
            self.statements.append(statement)
        if isinstance(statement, ast.Assign) and isinstance(target := statement.targets[0], ast.Name):
            self._names.add(target.id)

    def is_whole(self) -> bool:
        """Whether tasks are cancelled, and all that has to do with them is among the statements."""
        inside = {node for statement in self.statements for node in ast.walk(statement)}
        variables = Variables(self._module)
        bound = {node.id for node in inside if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        uses = [node for name in bound for node in variables.uses(name).get(self._scope, ())]
        cancels = any(isinstance(node, ast.Attribute) and node.attr == "cancel" for node in inside)
        return cancels and inside.issuperset([*self._calls, *uses])

    def _belongs(self, statement: ast.AST) -> bool:
        match statement:
            case ast.Assign(targets=[ast.Name()], value=value):
                return self._is_left(value)
            case ast.For(target=ast.Name(id=task), iter=source, orelse=[]):
                return self._is_left(source) and all(self._ends(inner, task) for inner in statement.body)
            case ast.If(test=ast.Name(id=name), orelse=[]):
                return name in self._names and all(self._belongs(inner) for inner in statement.body)
            case ast.Expr(
                value=ast.ListComp(elt=elt, generators=[ast.comprehension(target=ast.Name(id=task), iter=source)])
            ):
                return self._is_left(source) and _is_cancel(elt, task)
            case ast.Expr(value=ast.Call() as call):
                return self._waits(call) and _keeps_going(call)
            case ast.With() | ast.Try():
                body = _guarded(self._module, statement)
                return bool(body) and all(self._belongs(inner) or self._may_raise(inner) for inner in body)
        return False

    def _is_left(self, value: ast.expr) -> bool:
        """Whether a value is the tasks that are left, whole or without those that are done."""
        match value:
            case ast.Call(func=ast.Name(id=name), args=[inner], keywords=[]) if name in _COLLECTIONS:
                return self._is_left(inner)
            case (
                ast.ListComp(elt=ast.Name(id=name), generators=[one])
                | ast.SetComp(elt=ast.Name(id=name), generators=[one])
            ):
                same = isinstance(one.target, ast.Name) and one.target.id == name
                return same and self._is_left(one.iter) and all(_is_about(test, name) for test in one.ifs)
            case ast.Name(id=name):
                return name in self._names
        return value in self._calls

    def _ends(self, statement: ast.stmt, task: str) -> bool:
        """``task.cancel()``, and waiting for that one in the same breath."""
        match statement:
            case ast.Expr(value=value) if _is_cancel(value, task):
                return True
            case ast.If(test=test, orelse=[]):
                return _is_about(test, task) and all(self._ends(inner, task) for inner in statement.body)
            case ast.With() | ast.Try():
                body = _guarded(self._module, statement)
                return bool(body) and all(self._ends(inner, task) or self._awaits(inner, task) for inner in body)
        return False

    def _awaits(self, statement: ast.stmt, task: str) -> bool:
        match statement:
            case ast.Expr(value=ast.Call(args=[ast.Name(id=name)]) as call):
                return name == task and self._runs(call)
        return False

    def _may_raise(self, statement: ast.stmt) -> bool:
        """``loop.run_until_complete(gather(*tasks))``, which raises ``CancelledError``."""
        return isinstance(statement, ast.Expr) and isinstance(call := statement.value, ast.Call) and self._waits(call)

    def _waits(self, call: ast.Call) -> bool:
        """``loop.run_until_complete(asyncio.gather(*tasks))`` or ``... asyncio.wait(tasks)``."""
        if not self._runs(call) or not isinstance(waiting := call.args[0], ast.Call):
            return False
        match self._module.qualname(waiting.func), waiting.args:
            case "asyncio.gather", [ast.Starred(value=tasks)]:
                return self._is_left(tasks) and {k.arg for k in waiting.keywords} <= {"return_exceptions"}
            case "asyncio.wait", [tasks]:
                return self._is_left(tasks) and not waiting.keywords
        return False

    def _runs(self, call: ast.Call) -> bool:
        function = call.func
        return (
            isinstance(function, ast.Attribute)
            and function.attr == RUN
            and self._module.code(function.value) == self._loop
            and len(call.args) == 1
            and not call.keywords
        )


def _keeps_going(call: ast.Call) -> bool:
    """Whether waiting for cancelled tasks raises nothing: by ``return_exceptions=True``, or by ``wait``."""
    waiting = call.args[0]
    assert isinstance(waiting, ast.Call)
    flags = [k.value for k in waiting.keywords if k.arg == "return_exceptions"]
    return tail(waiting.func) == "wait" or any(isinstance(f, ast.Constant) and f.value is True for f in flags)


def _is_cancel(value: ast.expr, task: str) -> bool:
    match value:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="cancel")):
            return name == task
    return False


def _is_about(test: ast.expr, task: str) -> bool:
    """``not task.done()`` and the like: what is done needs no end."""
    match test:
        case ast.UnaryOp(
            op=ast.Not(), operand=ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=asked), args=[])
        ):
            return name == task and asked in _STATES
        case ast.BoolOp(values=values):
            return all(_is_about(value, task) for value in values)
    return False


def _guarded(module: Module, statement: ast.With | ast.Try) -> list[ast.stmt]:
    """The body of what keeps quiet about cancelled tasks: ``suppress(CancelledError)`` or a handler that passes."""
    if isinstance(statement, ast.With):
        items = [item.context_expr for item in statement.items]
        quiet = all(isinstance(i, ast.Call) and module.qualname(i.func) == "contextlib.suppress" for i in items)
        return statement.body if quiet and _CANCELLED in {tail(kind) for kind in _arguments(items)} else []
    if not isinstance(statement, TRIES) or statement.orelse or statement.finalbody:
        return []
    passes = all(isinstance(inner, ast.Pass) for handler in statement.handlers for inner in handler.body)
    return statement.body if passes and _CANCELLED in {tail(kind) for kind in _caught(statement)} else []


def _arguments(calls: list[ast.expr]) -> Iterator[ast.expr]:
    return (argument for call in calls if isinstance(call, ast.Call) for argument in call.args)


def _caught(statement: ast.Try) -> Iterator[ast.expr]:
    for handler in statement.handlers:
        kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        yield from (kind for kind in kinds if kind is not None)
