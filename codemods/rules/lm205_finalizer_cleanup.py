"""LM205 finalizer-cleanup: something asynchronous is closed where no loop can be counted on."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from codemods.facts.callees import body_nodes, callee, reached
from codemods.facts.module import FunctionNode, Module
from codemods.facts.nodes import FUNCTIONS, start, tail, walk_scope
from codemods.facts.vocabulary import CLOSING
from codemods.model import Finding, Severity
from codemods.rules.base import Rule

_DEL, _ATEXIT, _FINALIZE = "__del__", "atexit.register", "weakref.finalize"
_RUNS = frozenset({"asyncio.run", "uvloop.run"})
_TASKS = frozenset({"asyncio.create_task", "asyncio.ensure_future", "asyncio.gather", "asyncio.shield"})
_THREADSAFE = "asyncio.run_coroutine_threadsafe"
_LOOPS = frozenset({"asyncio.get_event_loop", "asyncio.get_running_loop", "asyncio.new_event_loop"})
_LOOP_METHODS = {"run_until_complete": "run", "create_task": "task"}
_RUN_AT_EXIT = (
    "await it where the program ends: in a `finally` of the main coroutine, in an `async with`, or in the shutdown "
    "handler (lifespan) of the framework that runs the loop"
)
_INSTEAD_OF_DEL = (
    "give the class `__aenter__` and `__aexit__`, or an `async def aclose()`, and let those who make it close it; "
    "`__del__` can only warn that nobody did"
)


class FinalizerCleanup(Rule):
    """Something asynchronous is cleaned up in `__del__`, with `atexit` or in `weakref.finalize`.

    What it finds
        A `__del__` method, a function given to `atexit.register` or `weakref.finalize`, that runs
        a coroutine (`asyncio.run`, `run_until_complete`) or starts a task (`create_task`,
        `ensure_future`), itself or in functions of the file that it calls; with `atexit` only
        where that closes something. And a coroutine function that is registered itself.

    Why it breaks
        `__del__` runs whenever the garbage collector comes by. With a loop running, `asyncio.run`
        raises `RuntimeError: asyncio.run() cannot be called from a running event loop`; without
        one, `create_task` raises `no running event loop`. Errors there are printed and ignored, so
        the connection stays open. At exit the loop of the program is closed: `asyncio.run` makes
        another one, on which closing a connection of the first raises `Event loop is closed`.

    What it changes
        Nothing: the place where the object is done with is not in the finalizer.

    When it refuses
        Always. Close it in an `async with`, or in a `finally` of the main coroutine.

    Safety
        Only reported. `run_coroutine_threadsafe`, for a loop in a thread of its own, is a hint in
        `__del__` and fine at exit.
    """

    code = "LM205"
    name = "finalizer-cleanup"
    fixable = False

    def find(self, module: Module) -> Iterator[Finding]:
        """One finding for each finalizer, at the call that starts the coroutine or leads to it."""
        for finalizer in sorted(_finalizers(module), key=lambda f: start(f.place)):
            if finalizer.is_coroutine:
                when = "at exit" if finalizer.kind == _ATEXIT else "when the object goes"
                message = f"`{finalizer.name}` is a coroutine function: {when} it is called and not awaited"
                yield self._at(module, finalizer, finalizer.place, message, Severity.ERROR)
                continue
            found = _scheduled(module, finalizer)
            if found is None or (finalizer.kind == _ATEXIT and (found.way == "threadsafe" or not found.closes)):
                continue
            yield self._at(module, finalizer, found.shown, *_judged(finalizer, found))

    def _at(self, module: Module, finalizer: _Finalizer, node: ast.expr, message: str, severity: Severity) -> Finding:
        refusal = _RUN_AT_EXIT if finalizer.kind == _ATEXIT else _INSTEAD_OF_DEL
        return self.finding(module, node, message, severity, refusal=refusal)


@dataclass(frozen=True)
class _Finalizer:
    """Code that runs when an object or the program ends."""

    kind: str
    """``__del__``, ``atexit.register`` or ``weakref.finalize``."""
    name: str
    place: ast.expr
    """Where it is made one; for ``__del__``, any expression in it."""
    body: tuple[ast.AST, ...]
    is_coroutine: bool = False


@dataclass(frozen=True)
class _Scheduled:
    """A coroutine that a finalizer starts."""

    way: str
    """``run``, ``task`` or ``threadsafe``."""
    call: ast.Call
    shown: ast.expr
    """The call itself, or the one in the finalizer that leads to it."""
    closes: bool
    loop: str
    """The loop that it is run on, as it is written, where the code around the finalizer keeps one."""


def _finalizers(module: Module) -> Iterator[_Finalizer]:
    for function in module.functions:
        if function.name == _DEL and isinstance(function, ast.FunctionDef):
            nodes = tuple(body_nodes(function))
            place = next((node for node in nodes if isinstance(node, ast.expr)), None)
            if place is not None:
                yield _Finalizer(_DEL, _DEL, place, nodes)
        for decorator in function.decorator_list:
            if module.qualname(decorator) == _ATEXIT:
                yield _registered(_ATEXIT, decorator, function)
    for kind, index in ((_ATEXIT, 0), (_FINALIZE, 1)):
        for call in module.calls(kind):
            if len(call.args) > index:
                yield from _given(module, kind, call, call.args[index])


def _given(module: Module, kind: str, call: ast.Call, function: ast.expr) -> Iterator[_Finalizer]:
    """What a call registers: a function of the file, a lambda, or ``asyncio.run`` itself."""
    if isinstance(function, ast.Lambda):
        yield _Finalizer(kind, "lambda", call, tuple(walk_scope(function.body)))
    elif module.qualname(function) in _RUNS:
        yield _Finalizer(kind, "asyncio.run", call, (call,))
    else:
        found = _meant(module, function)
        if found is not None:
            yield _registered(kind, call, found)


def _meant(module: Module, reference: ast.expr) -> FunctionNode | None:
    """The function of this file that a name, or ``self.name``, means."""
    match reference:
        case ast.Name(id=name):
            found = module.definition(name, reference)
            return found if isinstance(found, FUNCTIONS) else None
        case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=attr):
            cls = module.enclosing_class(reference)
            return module.method(cls, attr) if cls is not None else None
    return None


def _registered(kind: str, place: ast.expr, function: FunctionNode) -> _Finalizer:
    is_coroutine = isinstance(function, ast.AsyncFunctionDef)
    return _Finalizer(kind, function.name, place, tuple(body_nodes(function)), is_coroutine)


def _scheduled(module: Module, finalizer: _Finalizer) -> _Scheduled | None:
    """The first coroutine that a finalizer starts, itself or in a plain function that it calls."""
    for node in finalizer.body:
        if not isinstance(node, ast.Call):
            continue
        if way := _way(module, node) or _given_run(module, node):
            return _Scheduled(way, node, node, _closes(module, node, finalizer), _kept_loop(module, node))
        function = callee(module, node)
        for inner in reached(module, function) if isinstance(function, ast.FunctionDef) else ():
            for call in body_nodes(inner) if isinstance(inner, ast.FunctionDef) else ():
                if isinstance(call, ast.Call) and (way := _way(module, call)):
                    return _Scheduled(way, call, node, _closes(module, call, finalizer), _kept_loop(module, call))
    return None


def _given_run(module: Module, call: ast.Call) -> str:
    """``run`` for ``atexit.register(asyncio.run, ...)``."""
    registers = module.qualname(call.func) in (_ATEXIT, _FINALIZE)
    return "run" if registers and any(module.qualname(argument) in _RUNS for argument in call.args) else ""


def _way(module: Module, call: ast.Call) -> str:
    """How a call hands a coroutine to asyncio; empty for any other call."""
    qualname = module.qualname(call.func) or ""
    if qualname in _RUNS or qualname in _TASKS:
        return "run" if qualname in _RUNS else "task"
    if qualname == _THREADSAFE:
        return "threadsafe"
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in _LOOP_METHODS or not call.args:
        return ""
    receiver = call.func.value
    made = isinstance(receiver, ast.Call) and module.qualname(receiver.func) in _LOOPS
    return _LOOP_METHODS[call.func.attr] if made or tail(receiver).endswith("loop") else ""


def _kept_loop(module: Module, call: ast.Call) -> str:
    """``self.loop`` of ``self.loop.run_until_complete(...)``; empty for a loop that the function gets itself."""
    receiver = call.func.value if isinstance(call.func, ast.Attribute) else call
    if isinstance(receiver, ast.Attribute) or (isinstance(receiver, ast.Name) and not _is_made_here(module, receiver)):
        return module.code(receiver) if module.qualname(call.func) is None else ""
    return ""


def _is_made_here(module: Module, name: ast.Name) -> bool:
    scope = module.scope(name)
    return any(isinstance(n.ctx, ast.Store) and module.scope(n) is scope for n in module.names(name.id))


def _closes(module: Module, call: ast.Call, finalizer: _Finalizer) -> bool:
    """Whether a started coroutine, or what it calls in this file, is named like the end of something."""
    if CLOSING.search(finalizer.name):
        return True
    for argument in call.args:
        for node in ast.walk(argument):
            if isinstance(node, ast.Name | ast.Attribute) and CLOSING.search(tail(node)):
                return True
            function = callee(module, node) if isinstance(node, ast.Call) else None
            for inner in reached(module, function) if function is not None else ():
                calls = [n for n in body_nodes(inner) if isinstance(n, ast.Call)]
                if any(CLOSING.search(tail(inner_call.func)) for inner_call in calls):
                    return True
    return False


def _judged(finalizer: _Finalizer, found: _Scheduled) -> tuple[str, Severity]:
    """What happens at run time, and how bad it is."""
    if finalizer.kind == _ATEXIT and found.way == "task":
        return "at exit no loop is running: the coroutine is never awaited", Severity.ERROR
    if finalizer.kind == _ATEXIT and found.loop:
        message = f"at exit `{found.loop}` may be closed already: this raises `Event loop is closed` then"
        return message, Severity.WARNING if "." in found.loop else Severity.INFO
    if finalizer.kind == _ATEXIT:
        message = "at exit the loop of the program is closed: on a new one, closing its connections raises"
        return f"{message} `Event loop is closed`", Severity.WARNING
    when = f"`{_DEL}` runs" if finalizer.kind == _DEL else "a finalizer runs"
    if found.way == "threadsafe":
        return f"{when} at any time, also when that loop is closed already: this raises then", Severity.INFO
    if found.way == "task":
        return f"{when} at any time: without a running loop this raises, and nothing is closed", Severity.WARNING
    message = f"{when} at any time: inside a running loop this raises, outside of one it closes on another loop"
    if found.loop:
        message = f"{when} at any time: while a loop runs this raises, and so it does once `{found.loop}` is closed"
    return message, Severity.WARNING
