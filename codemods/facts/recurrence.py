"""How often a function is called in the life of one process, as far as the file tells."""

from __future__ import annotations

import ast

from codemods.facts.callees import callee
from codemods.facts.flow import can_follow, repeating_loop
from codemods.facts.module import FunctionNode, Module
from codemods.facts.nodes import FUNCTIONS, start, tail

_TASKS = frozenset(
    {
        *("celery.shared_task", "celery.task", "celery.app.shared_task", "celery.decorators.task"),
        *("dramatiq.actor", "rq.job", "rq.decorators.job", "django_rq.job", "prefect.task", "prefect.flow"),
        *(f"huey.contrib.djhuey.{name}" for name in ("task", "periodic_task", "db_task", "db_periodic_task")),
    }
)
_TASK_METHODS = frozenset({"task", "periodic_task", "db_task", "actor", "job", "scheduled_job"})
_ROUTE_METHODS = frozenset({"route", "get", "post", "put", "delete", "patch"})
_COMMAND_METHODS = frozenset({"command", "callback", "result_callback"})
_ONE_PROCESS_EACH = frozenset({"airflow", "invoke", "crewai", "fabric", "luigi"})
"""Packages whose tasks are something else than calls in a worker that lives on."""
_SCHEDULING = frozenset({"do", "add_job", "add_periodic_task", "every"})
"""Methods that take a function to call it again and again."""
_COMMAND_LINES = frozenset({"argparse", "click", "typer", "fire", "docopt", "optparse", "cyclopts"})


def recurs(module: Module, function: FunctionNode, depth: int = 4) -> str:
    """Why one process calls ``function`` many times, as a noun (``task``); empty when nothing says that it does."""
    if noun := occasion(module, function):
        return noun
    calls = _calls(module, function)
    if any(repeating_loop(module, call) is not None for call in calls) or both_called(module, function, function):
        return "function"
    callers = {caller for call in calls if isinstance(caller := module.function(call), ast.FunctionDef)}
    return "function" if depth and any(recurs(module, f, depth - 1) for f in callers - {function}) else ""


def occasion(module: Module, function: FunctionNode) -> str:
    """What a worker or a server calls ``function`` as, again and again: ``task``, ``route``; empty for any other."""
    for decorator in function.decorator_list:
        if noun := _noun(module, decorator):
            return noun
    parameters = [argument.arg for argument in function.args.args]
    if function.name == "lambda_handler" or parameters == ["event", "context"]:
        return "Lambda handler"
    return "job" if any(_is_scheduled(module, function, name) for name in module.names(function.name)) else ""


def makes_tasks(module: Module, decorator: FunctionNode) -> bool:
    """Whether a decorator of the project's own makes tasks of what it decorates."""
    names = [d for f in ast.walk(decorator) if isinstance(f, FUNCTIONS) for d in f.decorator_list]
    calls = [node for node in ast.walk(decorator) if isinstance(node, ast.Call)]
    return any(_noun(module, name) == "task" for name in [*names, *calls])


def _calls(module: Module, function: FunctionNode) -> list[ast.Call]:
    return [call for call in module.calls_ending(function.name) if callee(module, call) is function]


def _is_scheduled(module: Module, function: FunctionNode, name: ast.Name) -> bool:
    """Whether ``name`` hands the function to something that calls it again and again."""
    call = module.parent(name)
    if not isinstance(call, ast.Call) or name not in call.args or not isinstance(call.func, ast.Attribute):
        return False
    return call.func.attr in _SCHEDULING and module.definition(function.name, name) is function


def _noun(module: Module, decorator: ast.expr) -> str:
    """What a decorator makes of a function that is called again and again; else the empty string."""
    name = decorator.func if isinstance(decorator, ast.Call) else decorator
    qualname = module.qualname(name) or ""
    if qualname in _TASKS:
        return "task"
    if qualname == "django.dispatch.receiver":
        return "signal receiver"
    if not isinstance(name, ast.Attribute) or qualname.partition(".")[0] in _ONE_PROCESS_EACH:
        return ""
    if name.attr in _TASK_METHODS:
        return "task"
    if name.attr.endswith("handler"):
        return "handler"
    path = decorator.args[0] if isinstance(decorator, ast.Call) and decorator.args else None
    is_path = isinstance(path, ast.Constant) and str(path.value).startswith("/")
    return "route" if name.attr in _ROUTE_METHODS and is_path else ""


def is_command(function: FunctionNode) -> bool:
    """Whether a decorator makes ``function`` a command of a command line: a process of its own."""
    names = [d.func if isinstance(d, ast.Call) else d for d in function.decorator_list]
    return any(isinstance(name, ast.Attribute) and name.attr in _COMMAND_METHODS for name in names)


def is_test(function: FunctionNode) -> bool:
    """Whether pytest or unittest calls ``function``, once."""
    return function.name.startswith("test")


def both_called(module: Module, one: FunctionNode, other: FunctionNode) -> bool:
    """Whether this file calls one of the functions and then the other, in one pass."""
    for first in _calls(module, one):
        for second in _calls(module, other):
            if first is second or module.scope(first) is not module.scope(second):
                continue
            if module.statement(first) is module.statement(second):
                return True
            early, late = sorted((first, second), key=start)
            if can_follow(module, early, late):
                return True
    return False


def is_offered(module: Module, function: FunctionNode) -> bool:
    """Whether ``function`` is there for other files: public, and not used in this one."""
    if function.name.startswith("_") or function.name == "main" or is_command(function):
        return False
    cls = module.scope(function)
    if isinstance(cls, ast.ClassDef):
        return not any(tail(call.func) == function.name for call in module.calls_ending(function.name))
    return not module.names(function.name) and isinstance(cls, ast.Module)


def is_command_line(module: Module) -> bool:
    """Whether the file reads a command line, so that each of its functions may have a process of its own."""
    packages = {name.partition(".")[0] for name in module.imports.names.values()}
    return bool(packages & _COMMAND_LINES) or any(
        isinstance(node.value, ast.Name) and module.qualname(node) == "sys.argv" for node in module.attributes("argv")
    )
