"""What a call does with a resource, or with what needs it, that it gets as an argument."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from codemods.facts import vocabulary as words
from codemods.facts.module import FunctionNode, Module
from codemods.facts.nodes import FUNCTIONS, tail
from codemods.facts.traces import Escape, State

if TYPE_CHECKING:
    from codemods.facts.uses import Follower


def handed(follower: Follower, call: ast.Call, argument: ast.expr, state: State) -> State:
    """The state of the result of ``call``; escapes and strangers are noted on the way."""
    name = tail(call.func)
    if name in words.GATHERERS or name in words.TASK_MAKERS:
        return _scheduled(follower, call, name, state)
    builtin = isinstance(call.func, ast.Name)
    if name in words.LOGGERS or (builtin and name in words.INSPECTORS) or _is_patch(call):
        return State.PLAIN
    if builtin and name == "getattr":
        return State.LIVE
    if name == "cast" or (builtin and name in words.PASSERS):
        return state
    if name in words.COLLECTORS and isinstance(call.func, ast.Attribute):
        return _collected(follower, call, call.func.value, state)
    if state is State.SELF:
        return _given_away(follower, call, argument, name)
    if name in words.MANAGERS:
        stack = task_group(follower.module, call)
        if stack is None or stack in follower.module.ancestors(follower.birth or call):
            follower.escape("kept", call, state, follower.module.code(call.func))  # it is exited after the resource
        return state
    callee = _callee(follower, call)
    if callee is not None and isinstance(callee, ast.AsyncFunctionDef):
        return State.PENDING
    return State.PENDING if isinstance(follower.module.parent(call), ast.Await) else state


def task_group(module: Module, call: ast.Call) -> ast.AsyncWith | None:
    """The ``async with TaskGroup() as group`` whose group makes the task of ``call``."""
    receiver = call.func.value if isinstance(call.func, ast.Attribute) else None
    if not isinstance(receiver, ast.Name):
        return None
    for above in module.ancestors(call):
        if isinstance(above, ast.AsyncWith):
            for item in above.items:
                if isinstance(item.optional_vars, ast.Name) and item.optional_vars.id == receiver.id:
                    return above
    return None


def makes_task(module: Module, value: ast.AST) -> bool:
    """Whether ``value`` starts tasks that no group waits for."""
    calls = [node for node in ast.walk(value) if isinstance(node, ast.Call)]
    return any(tail(call.func) in words.TASK_MAKERS and task_group(module, call) is None for call in calls)


def _scheduled(follower: Follower, call: ast.Call, name: str, state: State) -> State:
    if name in words.TASK_MAKERS:
        group = task_group(follower.module, call)
        dropped = isinstance(follower.module.parent(call), ast.Expr)
        if (group is None and dropped) or (
            group is not None and group in follower.module.ancestors(follower.birth or call)
        ):
            follower.trace.escapes.append(Escape("task", call))
    if name == "shield":
        follower.trace.escapes.append(Escape("task", call))  # it is meant to go on when nobody waits any more
    if name == "wait" and any(keyword.arg in ("timeout", "return_when") for keyword in call.keywords):
        return State.PENDING_LIVE  # among what it gives are tasks that still run
    return State.PENDING if state is State.SELF else state


def _collected(follower: Follower, call: ast.Call, receiver: ast.expr, state: State) -> State:
    module = follower.module
    if state is State.SELF:
        follower.escape("stored", call, state, module.code(receiver))
    elif isinstance(receiver, ast.Name) and tail(call.func) not in ("put", "put_nowait"):
        follower.add(receiver.id, state, module.statement(call), is_task=makes_task(module, call))
    else:
        follower.escape("stored", call, state, module.code(receiver))
    return State.PLAIN


def _given_away(follower: Follower, call: ast.Call, argument: ast.expr, name: str) -> State:
    """The resource itself is the argument: does the callee use, keep or close it?"""
    module, trace = follower.module, follower.trace
    qualname = module.qualname(call.func) or ""
    keyword = module.parent(argument)
    keyword_name = keyword.arg if isinstance(keyword, ast.keyword) else None
    catalog = follower.tracer.catalog
    known = catalog.by_name.get(qualname)
    owns = (known is not None and follower.resource.owned) or keyword_name in words.OWNING_KEYWORDS
    if name in words.MANAGERS or words.CLOSING.search(name) or owns:
        trace.managed = True
        return State.PLAIN
    if known is not None or qualname in words.BORROWERS:
        if isinstance(module.parent(call), ast.Return):
            follower.escape("kept", call, State.SELF, name)
            return State.PLAIN
        return State.LIVE
    callee = _callee(follower, call)
    if callee is not None:
        return _inside(follower, call, argument, callee)
    if isinstance(call.func, ast.Name) and isinstance(module.definition(call.func.id, call), ast.ClassDef):
        follower.escape("kept", call, State.SELF, name)
        return State.PLAIN
    if _is_run(follower, call):
        trace.strangers.append(call)
        return State.PENDING
    follower.escape("kept", call, State.SELF, name or module.code(call.func))
    return State.PLAIN


def _inside(follower: Follower, call: ast.Call, argument: ast.expr, callee: FunctionNode) -> State:
    """The callee stands in this file: look."""
    parameter = _parameter(follower, call, argument, callee)
    if parameter is None:
        follower.trace.strangers.append(call)
        return State.PENDING
    inner = follower.tracer.callee(follower.resource, callee, parameter)
    if inner.managed or inner.closes:
        follower.trace.managed = True
        return State.PLAIN
    results = [escape for escape in inner.escapes if escape.kind in ("result-returned", "result-yielded")]
    for escape in inner.escapes:
        if escape not in results:
            kind = "kept" if escape.kind in ("returned", "yielded", "alias", "container") else escape.kind
            follower.trace.escapes.append(Escape(kind, call, escape.into if kind == "captured" else callee.name))
    follower.trace.strangers.extend(inner.strangers)
    generates = any(isinstance(n, ast.Yield) and follower.module.function(n) is callee for n in ast.walk(callee))
    if generates:
        return State.LIVE
    if isinstance(callee, ast.AsyncFunctionDef):
        return State.PENDING_LIVE if results or not _is_run(follower, call) else State.PENDING
    return State.LIVE if results else State.PLAIN


def _is_patch(call: ast.Call) -> bool:
    """``mock.patch.object(x, ...)`` changes an attribute for a while and keeps nothing."""
    receiver = call.func.value if isinstance(call.func, ast.Attribute) else None
    return getattr(receiver, "attr", getattr(receiver, "id", "")) == "patch"


def _callee(follower: Follower, call: ast.Call) -> FunctionNode | None:
    """The function of this file that is called: by its name, or as a method of ``self``."""
    module = follower.module
    found: ast.AST | None = None
    match call.func:
        case ast.Name(id=name):
            found = module.definition(name, call)
        case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=name):
            cls = module.enclosing_class(call)
            found = module.method(cls, name) if cls else None
    return found if isinstance(found, FUNCTIONS) and not found.decorator_list else None


def _parameter(follower: Follower, call: ast.Call, argument: ast.expr, callee: FunctionNode) -> str | None:
    """The name under which the callee gets the argument."""
    keyword = follower.module.parent(argument)
    arguments = callee.args
    positional = [*arguments.posonlyargs, *arguments.args]
    if isinstance(keyword, ast.keyword):
        names = {a.arg for a in [*positional, *arguments.kwonlyargs]}
        return keyword.arg if keyword.arg in names else None
    if argument not in call.args or any(isinstance(a, ast.Starred) for a in call.args[: call.args.index(argument) + 1]):
        return None
    if isinstance(call.func, ast.Attribute):
        positional = positional[1:]
    index = call.args.index(argument)
    return positional[index].arg if index < len(positional) else None


def _is_run(follower: Follower, call: ast.Call) -> bool:
    """Whether the result of ``call`` is awaited or iterated on the spot, or given to asyncio to run."""
    node: ast.AST = call
    for above in follower.module.ancestors(call):
        match above:
            case ast.Await() | ast.AsyncFor() | ast.withitem():
                return True
            case ast.Call() if tail(above.func) in words.GATHERERS | words.TASK_MAKERS:
                return True
            case ast.comprehension():
                return bool(above.is_async) and above.iter is node
            case ast.Call() if tail(above.func) in words.PASSERS:
                pass
            case ast.Starred() | ast.List() | ast.Tuple() | ast.Set() | ast.IfExp():
                pass
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp():
                pass
            case ast.Call() if tail(above.func) in words.COLLECTORS:
                return True
            case ast.Assign(targets=[ast.Name()]):
                return isinstance(node, ast.List | ast.ListComp | ast.GeneratorExp)
            case _:
                return False
        node = above
    return False
