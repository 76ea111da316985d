"""What a program may notice when ``asyncio.run`` takes the place of a loop that it handles by hand."""

from __future__ import annotations

import ast

from codemods.facts.callees import assigned_values
from codemods.facts.early_tasks import is_coroutine, needs_coroutine
from codemods.facts.flow import repeating_loop
from codemods.facts.leftovers import leaves_context
from codemods.facts.loop_site import Site
from codemods.facts.loops import How
from codemods.facts.manual_loops import current_elsewhere
from codemods.facts.module import Module
from codemods.facts.nodes import FUNCTIONS, start, tail
from codemods.facts.premade import made_before
from codemods.rules.missing_loop import is_guarded
from codemods.rules.started_tasks import as_runs


def why_unsafe(module: Module, site: Site, sites: list[Site]) -> str:
    """What may change when ``asyncio.run`` takes the place of the loop of ``site``, one of ``sites``; else empty."""
    if line := _before_drain(module, site):
        return f"line {line} would be done behind the end of the tasks that are left, and not before it"
    for run in as_runs(module, site.starts):
        if (site.how is How.CURRENT or site.is_set) and (name := made_before(module, run)):
            return f"`{name}` is made before the loop runs, and may belong to the current one"
    for run in site.runs:
        if _is_started(module, site, run.coroutine):
            continue
        if not is_coroutine(module, run.coroutine) and not needs_coroutine(module, run.coroutine):
            return f"`{module.code(run.coroutine)}` has to be a coroutine, and is not one of this file"
        if name := _given(module, site, run.coroutine):
            return f"`{name}` is given to the function, and may hold what belongs to another loop"
        if (site.how is How.CURRENT or site.is_set) and (name := made_before(module, run)):
            return f"`{name}` is made before the loop runs, and may belong to the current one"
        if (run is not site.runs[-1] or run.loop is not None) and leaves_context(module, run.coroutine):
            return f"`{module.code(run.coroutine)}` sets a context variable, which the next run will see"
    for call in current_elsewhere(module, sites):
        if not is_guarded(module, call):
            return f"line {call.lineno} takes the current loop, which may be another one then"
    if site.how is How.CURRENT and not site.is_closed and not _happens_once(module, site):
        return "each call runs on a loop of its own then, without what earlier ones left on the shared one"
    return ""


def _before_drain(module: Module, site: Site) -> int:
    """The line of what is done between the last run and the end of the tasks that are left; 0 for nothing."""
    if not site.drain or not site.runs:
        return 0
    block = module.block(site.drain[0])
    last = max(start(run.call) for run in site.runs)
    between = (s for s in block.statements[: block.index] if start(s) > last and s not in site.done_with)
    return next((statement.lineno for statement in between), 0)


def _is_started(module: Module, site: Site, awaited: ast.expr) -> bool:
    """Whether what is run is a task that was started on the loop."""
    values = assigned_values(module, awaited) if isinstance(awaited, ast.Name) else [awaited]
    return bool(values) and all(value in site.starts for value in values)


def _given(module: Module, site: Site, coroutine: ast.expr) -> str:
    """A parameter of the function in what asyncio is to wait for: ``asyncio.gather(*tasks)``."""
    if not isinstance(coroutine, ast.Call) or not (module.qualname(coroutine.func) or "").startswith("asyncio."):
        return ""
    waited = coroutine.args[:1] if tail(coroutine.func) == "wait_for" else coroutine.args
    names = [name for argument in waited for name in _awaited_names(module, argument)]
    own = [name for name in names if any(module.binding_scope(a) is site.scope for a in module.arguments(name))]
    return own[0] if own else ""


def _awaited_names(module: Module, value: ast.expr) -> list[str]:
    """The names in what is awaited, without those that only go into coroutines that are made here."""
    if is_coroutine(module, value):
        return []
    match value:
        case ast.Starred(value=inner):
            return _awaited_names(module, inner)
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Set(elts=items):
            return [name for item in items for name in _awaited_names(module, item)]
        case ast.ListComp(elt=ast.Call() as item) | ast.GeneratorExp(elt=ast.Call() as item):
            if is_coroutine(module, item):
                return []
    return [node.id for node in ast.walk(value) if isinstance(node, ast.Name)]


def _happens_once(module: Module, site: Site) -> bool:
    """Whether the site is at the top of the program, or in a function that is called from there alone, once."""
    if not isinstance(site.scope, FUNCTIONS):
        return isinstance(site.scope, ast.Module)
    names = [*module.names(site.scope.name), *module.attributes(site.scope.name)]
    if len(names) != 1 or not isinstance(site.scope, ast.FunctionDef) or module.scope(site.scope) is not module.tree:
        return False
    call = module.parent(names[0])
    at_top = isinstance(call, ast.Call) and call.func is names[0] and module.function(call) is None
    return at_top and repeating_loop(module, names[0]) is None
