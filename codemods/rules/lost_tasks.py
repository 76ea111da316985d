"""Tasks that are started on a loop and that no run waits for: the new main coroutine ends them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace

from codemods.facts.loop_site import Site
from codemods.facts.module import Module
from codemods.facts.nodes import start
from codemods.facts.variables import Variables
from codemods.model import Operation
from codemods.rewriting.operations import InsertAfter, NameValue, WrapInTry
from codemods.rules.free_names import first_free
from codemods.rules.main_results import Range
from codemods.rules.moving import START_INSIDE, is_append


def end_lost(module: Module, site: Site, pulled: list[ast.stmt], where: Range) -> list[Operation] | str:
    """What ends the tasks that no run waits for, in a ``finally`` around the run; or why it cannot be written.

    ``pulled`` are statements that come into the coroutine in front of the range ``where``.
    """
    lost = list(_never_waited_for(module, site))
    if not lost:
        return []
    gather = module.imports.local_name("asyncio.gather")
    inside = [*pulled, *where.inside]
    starting = [s for s in inside if any(node in site.starts for node in ast.walk(s))]
    rest = inside[inside.index(starting[-1]) + 1 :]
    if gather is None or not rest or any(run.statement in starting for run in site.runs):
        return START_INSIDE
    first_run = min((start(call) for call in [*(run.call for run in site.runs), *site.forever]), default=(0, 0))
    if start(starting[-1]) > first_run or len(rest) > 1:
        return START_INSIDE
    names: list[str] = []
    named: list[Operation] = []
    used = {node.id for statement in inside for node in ast.walk(statement) if isinstance(node, ast.Name)}
    for call, name, many in lost:
        if not many and module.statement(call) not in inside:
            return START_INSIDE  # it may be started never, or several times
        if not name:
            if not isinstance(module.parent(call), ast.Expr):
                return START_INSIDE
            name = first_free(("task",), used)
            used = {*used, name}
            named.append(NameValue(module.span(module.statement(call)), name))
        names.append(f"*{name}" if many else name)
    names = list(dict.fromkeys(names))
    cancels = [_cancelling(name, used) for name in names]
    cleanup = "\n".join([*cancels, f"await {gather}({', '.join(names)}, return_exceptions=True)"])
    return [*named, WrapInTry(module.span(rest[0]), module.span(rest[-1]), cleanup)]


def with_cancels(module: Module, site: Site, where: Range) -> Range:
    """The range with the statements right behind it that cancel its tasks."""
    started = {_name(module, call) for call in site.starts}
    end = where.end
    while end < len(where.statements) and _cancelled(where.statements[end]) in started - {("", False)}:
        end += 1
    return replace(where, end=end)


def wait_for_cancelled(module: Module, site: Site, statements: list[ast.stmt]) -> list[Operation]:
    """What waits, in the new coroutine, for the tasks that its ``statements`` cancel and do not look at again.

    Behind the run of the loop nobody could wait for them. In a coroutine they would be a finding of LM302.
    """
    gather = module.imports.local_name("asyncio.gather")
    started = {_name(module, call) for call in site.starts}
    operations: list[Operation] = []
    for number, statement in enumerate(statements):
        name, many = _cancelled(statement)
        later = [node for after in statements[number + 1 :] for node in ast.walk(after)]
        if gather is None or not name or (name, many) not in started:
            continue
        if not any(isinstance(node, ast.Name) and node.id == name for node in later):
            code = f"await {gather}({'*' if many else ''}{name}, return_exceptions=True)"
            operations.append(InsertAfter(module.span(statement), code))
    return operations


def _cancelled(statement: ast.stmt) -> tuple[str, bool]:
    """The variable of what a statement cancels, and whether that is a list of tasks; an empty name for others."""
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="cancel"))):
            return name, False
        case ast.For(target=ast.Name(id=each), iter=ast.Name(id=name), body=[inner]):
            return (name, True) if _cancelled(inner) == (each, False) else ("", False)
    return "", False


def _cancelling(name: str, used: set[str]) -> str:
    if not name.startswith("*"):
        return f"{name}.cancel()"
    each = first_free(("task", "left"), used)
    return f"for {each} in {name[1:]}:\n    {each}.cancel()"


def _never_waited_for(module: Module, site: Site) -> Iterator[tuple[ast.Call, str, bool]]:
    """The tasks whose name no run mentions: the call that starts each, its name, and whether that is a list of them."""
    for call in site.starts:
        name, many = _name(module, call)
        uses = Variables(module).uses(name).get(site.scope, []) if name else []
        reads = [n for n in uses if isinstance(n.ctx, ast.Load)]
        inside = [n for n in reads if not any(above in site.starts for above in module.ancestors(n))]
        if not [n for n in inside if not is_append(module.parent(module.parent(n) or n) or n)]:
            yield call, name, many


def _name(module: Module, call: ast.Call) -> tuple[str, bool]:
    """The variable that a task, or a list of them, is kept in."""
    holder = module.parent(call)
    match holder:
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name, False
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="append")):
            return name, True
    comprehension = holder if isinstance(holder, ast.ListComp | ast.List) else None
    kept = module.parent(comprehension) if comprehension is not None else None
    match kept:
        case ast.Assign(targets=[ast.Name(id=name)]):
            return name, True
    return "", False
