"""What each use of a loop means for the loop: whether ``asyncio.run`` does that by itself, and if not, why."""

from __future__ import annotations

import ast

from codemods.facts.callees import assigned_values
from codemods.facts.early_tasks import is_coroutine
from codemods.facts.entries import only_from_top
from codemods.facts.flow import repeating_loop
from codemods.facts.loop_drains import drain
from codemods.facts.loop_probes import probe
from codemods.facts.loop_refusals import (
    FOREVER,
    FROM_STAR,
    one_or_another,
    why_asked,
    why_bare,
    why_by_hand,
    why_foreign,
    why_handed,
    why_probed,
    why_set,
)
from codemods.facts.loop_site import RUN, RUN_FOREVER, SHUTDOWN, Site
from codemods.facts.loops import How, Use, is_bound_once, is_from_star, origin
from codemods.facts.module import Module
from codemods.facts.nodes import start, tail
from codemods.facts.runs import Run

_SET = "asyncio.set_event_loop"
_ENSURE = "asyncio.ensure_future"


def survey(module: Module, site: Site) -> None:
    """Note in ``site`` what is done with its loop, and why it has to stay, if it has to."""
    uses = list({use.node: use for held in site.loops for use in held.uses}.values())
    if not any(use.method in (RUN, RUN_FOREVER) for use in uses):
        return  # it is only kept, to be set again behind another one
    if any(is_from_star(module, held.made.func) for held in site.loops):
        site.obstacle = FROM_STAR
    _collect_sets(module, site)
    unclear = next((held for held in site.loops if held.name and not is_bound_once(module, held)), None)
    if unclear is not None:
        site.probe = probe(module, unclear)
        if not site.probe or _is_made_again(site, uses):
            site.is_closed = any(use.method == "close" for use in uses)
            site.obstacle = one_or_another(module, site)
            return
    if site.probe and not only_from_top(module, site.scope):
        site.obstacle = why_probed(module, site)
    site.blocks += [held.closed_by for held in site.loops if held.closed_by is not None]
    site.is_closed = site.is_closed or bool(site.blocks)
    if site.name:
        site.drain = drain(module, site.scope, site.name)
    site.done_with += [*site.made_by, *site.drain]
    settled = {node for statement in (*site.probe, *site.drain) for node in ast.walk(statement)}
    for use in uses:
        if use.node not in settled:
            reason = _take(module, site, use)
            site.obstacle = site.obstacle or reason
    for guard in _guards(module, uses):
        if not set(guard.body) <= set(site.done_with):
            site.obstacle = site.obstacle or why_asked(module, guard)
    site.starts += _starts_on_current(module, site)
    if site.how is How.CUSTOM:
        site.obstacle = "the loop is of a class that was chosen: give that to asyncio.Runner as its `loop_factory`"
    calls = {*(run.call for run in site.runs), *site.starts}
    if not site.obstacle and site.runs and all(_is_sleep(module, run) for run in site.runs):
        site.obstacle = "sleeping lets other tasks of this loop go on: start and await them in one main coroutine"
    named = {value for run in site.runs for value in _named_coroutine(module, site, run)}
    for node in site.handed:
        made = _call_of(module, node)
        if not site.obstacle and made not in named and module.parent(made) not in calls:
            site.obstacle = why_handed(module, site, node)
    if site.forever and not (site.runs or site.starts):
        site.obstacle = site.obstacle or FOREVER
    site.runs.sort(key=lambda run: start(run.call))


def _starts_on_current(module: Module, site: Site) -> list[ast.Call]:
    """``asyncio.ensure_future(c)`` and ``group = asyncio.gather(...)``, in a scope whose loop is the current one."""
    if not (site.how is How.CURRENT or site.is_set):
        return []
    known = [*(run.coroutine for run in site.runs), *site.starts, *site.drain]
    inside = {node for one in known for node in ast.walk(one)}
    calls = [call for call in module.calls(_ENSURE, "asyncio.gather") if module.scope(call) is site.scope]
    return [call for call in calls if call not in inside and call.args and not _is_async(module, call)]


def _is_async(module: Module, call: ast.Call) -> bool:
    return isinstance(module.parent(call), ast.Await)


def _is_made_again(site: Site, uses: list[Use]) -> bool:
    """Whether a statement of the probe stands behind a run: then there is more than one loop."""
    first = min(start(use.node) for use in uses if use.method in (RUN, RUN_FOREVER))
    return any(start(statement) > first for statement in site.probe)


def _take(module: Module, site: Site, use: Use) -> str:
    """Note one use of the loop in the site, or say why it speaks against ``asyncio.run``."""
    if module.scope(use.node) is not site.scope:
        return why_foreign(module, use)
    if not use.method:
        return _take_bare(module, site, use)
    call = use.call(module)
    statement = module.statement(call)
    plain = module.parent(call) is statement and isinstance(statement, ast.Expr)
    if use.method == RUN and len(call.args) == 1 and not call.keywords and not isinstance(call.args[0], ast.Starred):
        if plain and _is_shutdown(call.args[0]):
            site.done_with.append(statement)
        else:
            site.runs.append(Run(call, call.args[0], statement, repeating_loop(module, call)))
        return ""
    if use.method == RUN_FOREVER and plain and not call.args:
        site.forever.append(call)
        return ""
    if use.method in SHUTDOWN and _ends_in_run(module, call):
        return ""
    if use.method == "close" and plain and not call.args:
        site.done_with.append(statement)
        site.is_closed = True
        return ""
    if use.method == "stop" and plain and _is_closed_next(module, statement):
        site.done_with.append(statement)
        return ""
    if use.method in ("is_closed", "is_running") and _guards_close(module, call):
        return ""
    if use.method == "create_task" and len(call.args) == 1 and all(k.arg == "name" for k in call.keywords):
        site.starts.append(call)
        return ""
    return why_by_hand(module, use.method, call)


def _take_bare(module: Module, site: Site, use: Use) -> str:
    holder = module.parent(use.node)
    call = module.parent(holder) if isinstance(holder, ast.keyword) else holder
    if isinstance(call, ast.Call) and call.args == [use.node] and module.qualname(call.func) == _SET:
        statement = module.parent(call)
        if isinstance(statement, ast.Expr):
            site.done_with.append(statement)
            return ""
    if isinstance(call, ast.Call) and isinstance(holder, ast.keyword) and module.qualname(call.func) == _ENSURE:
        site.starts.append(call)
        return ""
    if isinstance(call, ast.Call) and call.args == [use.node] and module.qualname(call.func) == "contextlib.closing":
        site.is_closed = True
        block = module.statement(call)
        if isinstance(block, ast.With) and [(i.context_expr, i.optional_vars) for i in block.items] == [(call, None)]:
            site.blocks.append(block)
            return ""
    if isinstance(call, ast.Call) and (isinstance(holder, ast.keyword) or use.node in call.args):
        site.handed.append(use.node)
        return ""
    return why_bare(module, use)


def _is_sleep(module: Module, run: Run) -> bool:
    return isinstance(run.coroutine, ast.Call) and module.qualname(run.coroutine.func) == "asyncio.sleep"


def _call_of(module: Module, node: ast.expr) -> ast.AST:
    """The call whose argument ``node`` is: ``main(loop)``."""
    holder = module.parent(node)
    made = module.parent(holder) if isinstance(holder, ast.keyword) else holder
    assert made is not None
    return made


def _named_coroutine(module: Module, site: Site, run: Run) -> list[ast.expr]:
    """What makes the coroutine that is run by its name: ``coro = main(loop); loop.run_until_complete(coro)``."""
    if not isinstance(run.coroutine, ast.Name) or not is_coroutine(module, run.coroutine):
        return []
    values = assigned_values(module, run.coroutine)
    return values if len(values) == 1 and module.scope(values[0]) is site.scope else []


def _is_shutdown(coroutine: ast.expr) -> bool:
    """``loop.shutdown_asyncgens()``: what ``asyncio.run`` does by itself."""
    return isinstance(coroutine, ast.Call) and tail(coroutine.func) in SHUTDOWN and not coroutine.args


def _ends_in_run(module: Module, call: ast.Call) -> bool:
    """Whether a call gives what is run around it."""
    above = module.parent(call)
    return isinstance(above, ast.Call) and tail(above.func) == RUN


def _is_closed_next(module: Module, stop: ast.stmt) -> bool:
    """``loop.stop()`` in front of ``loop.close()``: nothing runs any more that could stop."""
    statements = module.block(stop).statements
    following = statements[statements.index(stop) + 1 :][:1]
    return bool(following) and module.code(following[0]) == module.code(stop).replace(".stop()", ".close()")


def _guards_close(module: Module, call: ast.Call) -> bool:
    """``if not loop.is_closed():`` around what ends in ``loop.close()``."""
    statement = module.statement(call)
    if not isinstance(statement, ast.If) or statement.orelse or call not in ast.walk(statement.test):
        return False
    closing = statement.body[-1]
    return isinstance(closing, ast.Expr) and isinstance(closing.value, ast.Call) and tail(closing.value.func) == "close"


def _guards(module: Module, uses: list[Use]) -> list[ast.If]:
    """The statements ``if not loop.is_closed():`` that have to go with all that they hold."""
    asking = [use.call(module) for use in uses if use.method in ("is_closed", "is_running")]
    statements = [module.statement(call) for call in asking if _guards_close(module, call)]
    return [statement for statement in statements if isinstance(statement, ast.If)]


def _collect_sets(module: Module, site: Site) -> None:
    """Note the ``set_event_loop`` calls around the site: they go with the loop, or another loop is meant."""
    names = {held.name for held in site.loops if held.name}
    for call in module.calls_ending("set_event_loop"):
        here = module.scope(call) is site.scope
        if not (here or (site.how is How.CURRENT and module.function(call) is None)) or len(call.args) != 1:
            continue
        site.is_set = site.is_set or here
        statement, value = module.parent(call), call.args[0]
        given = value.target if isinstance(value, ast.NamedExpr) else value
        if here and isinstance(given, ast.Name) and given.id in names:
            continue
        goes = (isinstance(value, ast.Constant) and value.value is None) or origin(module, value) is How.NEW
        if here and goes and isinstance(statement, ast.Expr):
            site.done_with.append(statement)
        else:
            site.obstacle = why_set(call, is_this=any(held.made is value for held in site.loops))
