"""What the rules for tasks share: how a file spells ``asyncio.gather``, and whom not to wait for."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from enum import Enum, auto
from typing import NamedTuple

from codemods.facts import vocabulary as words
from codemods.facts.flow import LOOPS, TRIES, falls_through
from codemods.facts.module import FunctionNode, Module
from codemods.facts.nodes import FUNCTIONS, is_self_attribute, tail, walk_scope
from codemods.facts.tasks import made_by
from codemods.model import Operation
from codemods.rewriting.operations import ChangeFromImport

_WAITS = {"put", "get", "wait", "join", "acquire"}
_CATCHES_CANCELLATION = {"asyncio.CancelledError", "asyncio.exceptions.CancelledError", "BaseException"}


class Gather(NamedTuple):
    """How ``asyncio.gather`` is spelled at some place, and the import that this takes."""

    code: str
    operations: tuple[Operation, ...] = ()

    def waiting_for(self, arguments: Iterable[str]) -> str:
        """The statement that waits for tasks and keeps quiet about how they ended."""
        return f"await {self.code}({', '.join(arguments)}, return_exceptions=True)"


def gather_at(module: Module, node: ast.AST) -> Gather | None:
    """The spelling of ``asyncio.gather`` at ``node``; None when neither it nor asyncio is imported there."""
    around = {module.tree, *(above for above in module.ancestors(node) if isinstance(above, FUNCTIONS))}
    imports = [s for s in module.imports.statements if module.scope(s) in around and not _for_types(module, s)]
    for statement in imports:
        for alias in statement.names:
            if isinstance(statement, ast.Import) and alias.name == "asyncio":
                return Gather(f"{alias.asname or alias.name}.gather")
    names = [s for s in imports if isinstance(s, ast.ImportFrom) and s.module == "asyncio" and not s.level]
    for statement in names:
        for alias in statement.names:
            if alias.name == "gather":
                return Gather(alias.asname or alias.name)
    if names and "gather" not in module.all_identifiers():
        return Gather("gather", (ChangeFromImport(module.span(names[0]), add="gather"),))
    return None


def _for_types(module: Module, statement: ast.stmt) -> bool:
    """Whether a statement stands under ``if TYPE_CHECKING:``."""
    owner = module.parent(statement)
    return isinstance(owner, ast.If) and "TYPE_CHECKING" in ast.dump(owner.test)


NO_GATHER = "`asyncio` is not imported where this function sees it: import it, then wait with `asyncio.gather`"
"""The refusal where ``gather_at`` finds no spelling."""


def started_function(module: Module, call: ast.Call) -> FunctionNode | None:
    """The function of this file whose coroutine the task of ``create_task(...)`` runs."""
    return coroutine_function(module, made_by(call))


def coroutine_function(module: Module, made: ast.expr) -> FunctionNode | None:
    """The function of this file that ``made``, a call of it by name or on ``self``, gives the coroutine of."""
    if not isinstance(made, ast.Call):
        return None
    if isinstance(made.func, ast.Name):
        found = module.definition(made.func.id, made)
        return found if isinstance(found, FUNCTIONS) else None
    cls = module.enclosing_class(made)
    if cls is not None and isinstance(made.func, ast.Attribute) and is_self_attribute(made.func):
        return module.method(cls, made.func.attr)
    return None


def never_ends(module: Module, coroutines: Iterable[ast.expr]) -> str:
    """Why waiting for the cancelled task of one of these would hang; empty when nothing speaks for it."""
    for made in coroutines:
        function = coroutine_function(module, made)
        if function is not None and _survives_cancellation(module, function):
            return (
                f"`{function.name}` catches its own cancellation inside a loop and goes on, so waiting for it would "
                "never end: let it raise `CancelledError` there, then wait for the task"
            )
    return ""


def may_wait_for_us(module: Module, where: ast.stmt, calls: Iterable[ast.Call]) -> str:
    """Why a task that is waited for at ``where`` may need what comes behind it in order to end."""
    for above in module.ancestors(where):
        if isinstance(above, FUNCTIONS):
            break
        for lock in [item.context_expr for item in above.items] if isinstance(above, ast.AsyncWith) else ():
            if isinstance(lock, ast.Name | ast.Attribute) and words.LOCKS.search(tail(lock)):
                return f"`{module.code(lock)}` is held meanwhile: a task that needs it to clean up would never end"
    for function in (started_function(module, call) for call in calls):
        for attempt in (node for node in walk_body(function) if isinstance(node, TRIES)) if function else ():
            for statement in [*attempt.finalbody, *(s for handler in attempt.handlers for s in handler.body)]:
                made = next((made for made in _awaited(statement) if tail(made.func) in _WAITS), None)
                if function and made:
                    code = module.code(made)
                    return f"`{function.name}` may await `{code}` when it is cancelled, which may need what comes next"
    return ""


def _awaited(statement: ast.stmt) -> Iterator[ast.Call]:
    for node in walk_scope(statement):
        if isinstance(node, ast.Await) and isinstance(node.value, ast.Call):
            yield node.value


def _survives_cancellation(module: Module, function: FunctionNode) -> bool:
    loops = [node for node in walk_body(function) if isinstance(node, LOOPS)]
    for loop in loops:
        for node in walk_scope(loop):
            if isinstance(node, TRIES):
                handler = next((h for h in node.handlers if _catches_cancellation(module, h)), None)
                goes_on = handler is not None and (
                    falls_through(module, handler.body) or isinstance(handler.body[-1], ast.Continue)
                )
                if goes_on and any(isinstance(n, ast.Await) for s in node.body for n in walk_scope(s)):
                    return True
    return False


def _catches_cancellation(module: Module, handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(
        module.qualname(c) in _CATCHES_CANCELLATION or (isinstance(c, ast.Name) and c.id in _CATCHES_CANCELLATION)
        for c in caught
    )


def walk_body(function: FunctionNode) -> Iterable[ast.AST]:
    """What runs as part of a function's body, nested functions left out."""
    plain = (s for s in function.body if not isinstance(s, (*FUNCTIONS, ast.ClassDef)))
    return (node for statement in plain for node in walk_scope(statement))


def awaits(module: Module, statements: Iterable[ast.stmt], *, naps: bool = True) -> bool:
    """Whether these statements await anything; without ``naps``, anything but ``asyncio.sleep``."""
    for statement in statements:
        if isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
            continue
        for node in walk_scope(statement):
            if isinstance(node, ast.AsyncFor | ast.AsyncWith):
                return True
            if isinstance(node, ast.Await):
                made = node.value
                if naps or not (isinstance(made, ast.Call) and module.qualname(made.func) == "asyncio.sleep"):
                    return True
    return False


class Reach(Enum):
    """Whether a task comes to call the method that waits for it."""

    NEVER = auto()
    MAYBE = auto()
    IS = auto()
    """The method is what the task runs."""


def reach(module: Module, call: ast.Call, cls: ast.ClassDef, target: FunctionNode) -> Reach:
    """Whether the task that ``call`` starts may come to call the method ``target`` of ``cls``.

    NEVER is a proof: neither its coroutine nor a method that this one calls mentions a
    ``target``, hands out ``self``, or calls something on ``self`` that the class does not define.
    """
    first = started_function(module, call)
    made = made_by(call)
    is_method = first is not None and module.enclosing_class(first) is cls
    if not is_method and any(isinstance(node, ast.Name) and node.id == "self" for node in ast.walk(made)):
        return Reach.MAYBE
    if first is None:
        imported = isinstance(made, ast.Call) and module.qualname(made.func) is not None
        return Reach.NEVER if imported else Reach.MAYBE
    if first is target:
        return Reach.IS
    pending, seen = [first], {first}
    while pending:
        for node in ast.walk(pending.pop()):
            if isinstance(node, ast.Attribute) and node.attr == target.name:
                return Reach.MAYBE
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                called = module.definition(node.func.id, node)
                if isinstance(called, FUNCTIONS) and called not in seen:
                    seen.add(called)
                    pending.append(called)
                elif called is None and _is_variable(module, node.func):
                    return Reach.MAYBE  # a callback
            if isinstance(node, ast.Name) and node.id == "self":
                attribute = module.parent(node)
                if not isinstance(attribute, ast.Attribute):
                    return Reach.MAYBE  # self itself is handed on
                method = module.method(cls, attribute.attr)
                if method is None and _is_called(module, attribute):
                    return Reach.MAYBE
                if method is not None and method not in seen:
                    seen.add(method)
                    pending.append(method)
    return Reach.NEVER


def _is_variable(module: Module, name: ast.Name) -> bool:
    scope = module.scope(name)
    arguments = [a for a in module.arguments(name.id) if module.binding_scope(a) is scope]
    return bool(arguments) or any(isinstance(n.ctx, ast.Store) for n in module.uses(name.id, scope))


def _is_called(module: Module, function: ast.expr) -> bool:
    call = module.parent(function)
    return isinstance(call, ast.Call) and call.func is function
