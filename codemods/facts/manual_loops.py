"""The loops that plain code makes, runs and closes by hand, one site for each loop of a scope."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from codemods.facts.flow import repeating_loop
from codemods.facts.loops import HeldLoop, How, Use, held_loops, is_bound_once, is_micropython, origin
from codemods.facts.module import Module, ScopeNode
from codemods.facts.nodes import start, tail
from codemods.facts.runs import Run

RUN = "run_until_complete"
_SHUTDOWN = ("shutdown_asyncgens", "shutdown_default_executor")
_SETTINGS = (
    *("set_debug", "set_exception_handler", "set_task_factory", "set_default_executor", "slow_callback_duration"),
    *("add_signal_handler", "remove_signal_handler", "add_reader", "add_writer"),
)
_SET = "asyncio.set_event_loop"
_LEFT = ("asyncio.all_tasks", "asyncio.Task.all_tasks")


@dataclass
class Site:
    """What one scope does with one loop that it handles by hand."""

    scope: ScopeNode
    how: How
    loops: list[HeldLoop]
    """The calls that give it: one, or several times the current loop."""
    runs: list[Run] = field(default_factory=list)
    done_with: list[ast.stmt] = field(default_factory=list)
    """The statements that only make, set, shut down or close the loop."""
    handed: list[ast.expr] = field(default_factory=list)
    """Where the coroutine that is run gets the loop as an argument."""
    tasks: list[ast.Call] = field(default_factory=list)
    """Calls of ``loop.create_task``."""
    is_closed: bool = False
    is_set: bool = False
    """Whether it is made the current loop."""
    obstacle: str = ""
    """Why ``asyncio.run`` cannot take its place as it is, and what to do; empty when it can."""

    @property
    def name(self) -> str:
        """How the loop is called; empty when it has no name."""
        return next((held.name for held in self.loops if held.name), "")

    @property
    def place(self) -> ast.expr:
        """Where to report it: at the first run, or where the loop is made."""
        return self.runs[0].call if self.runs else self.loops[0].made


def manual_sites(module: Module) -> list[Site]:
    """The sites of a file, in source order: those where a coroutine is run, or the loop runs forever."""
    if is_micropython(module) or not module.calls_ending(RUN, "run_forever"):
        return []
    found: list[Site] = []
    current: dict[ScopeNode, Site] = {}
    for held in held_loops(module):
        if held.how is How.RUNNING or module.in_coroutine(held.made):
            continue
        if attribute := _attribute(module, held):
            found.append(Site(held.scope, held.how, [held], obstacle=_kept(module, attribute)))
        elif held.how is How.CURRENT and held.scope in current:
            current[held.scope].loops.append(held)
        else:
            site = Site(held.scope, held.how, [held])
            found.append(site)
            if held.how is How.CURRENT:
                current[held.scope] = site
    for site in found:
        if not site.obstacle:
            _survey(module, site)
    for site in found:
        if site.runs and any(other.runs and other.scope is site.scope for other in found if other is not site):
            site.obstacle = site.obstacle or "several loops are run here: run each by an `asyncio.run` of its own"
    handled = [site for site in found if site.runs or site.obstacle]
    handled.sort(key=lambda site: start(site.place))
    return [site for number, site in enumerate(handled) if not any(_is_same(site, other) for other in handled[:number])]


def _is_same(one: Site, other: Site) -> bool:
    """Whether two sites are one name that holds one loop or another."""
    return bool(one.name) and (one.scope, one.name, one.obstacle) == (other.scope, other.name, other.obstacle)


def _attribute(module: Module, held: HeldLoop) -> str:
    """``self.loop`` for a loop that is kept there, in a file that runs something on it."""
    holder = module.parent(held.made)
    if not isinstance(holder, ast.Assign | ast.AnnAssign):
        return ""
    targets = holder.targets if isinstance(holder, ast.Assign) else [holder.target]
    for target in targets:
        if isinstance(target, ast.Attribute):
            runs = module.calls_ending(RUN, "run_forever")
            if any(isinstance(c.func, ast.Attribute) and tail(c.func.value) == target.attr for c in runs):
                return module.code(target)
    return ""


def _kept(module: Module, attribute: str) -> str:
    return f"`{attribute}` lives as long as its object, and each run uses it: give that an asyncio.Runner, and close it"


def _survey(module: Module, site: Site) -> None:
    _collect_sets(module, site)
    for held in site.loops:
        if held.binding is not None and not is_bound_once(module, held):
            site.is_closed = any(use.method == "close" for use in held.uses)
            if any(use.method in (RUN, "run_forever") for use in held.uses):
                site.obstacle = _one_or_another(module, held)
            return
    uses = [use for held in site.loops for use in held.uses]
    if not any(use.method in (RUN, "run_forever") for use in uses):
        site.obstacle = ""  # it is only kept, to be set again behind another one
        return
    for held in site.loops:
        if held.binding is not None:
            site.done_with.append(held.binding)
    for use in uses:
        reason = _take(module, site, use)
        site.obstacle = site.obstacle or reason
    if site.how is How.CUSTOM:
        site.obstacle = "the loop is of a class that was chosen: give that to asyncio.Runner as its `loop_factory`"
    calls = {run.call for run in site.runs}
    if not site.obstacle and site.runs and all(_is_sleep(module, run) for run in site.runs):
        site.obstacle = "sleeping lets other tasks of this loop go on: start and await them in one main coroutine"
    for node in site.handed:
        if not site.obstacle and _call_around(module, node) not in calls:
            site.obstacle = _why_handed(module, site, node)
    site.runs.sort(key=lambda run: start(run.call))


def _take(module: Module, site: Site, use: Use) -> str:
    """Note one use of the loop in the site, or say why it speaks against ``asyncio.run``."""
    if module.scope(use.node) is not site.scope:
        user = f"`{module.qualified_scope(use.node)}`"
        if module.in_coroutine(use.node):
            return f"{user} uses the loop, too: let it take the running one, by `asyncio.get_running_loop()`"
        if use.method == RUN:
            return f"{user} runs on the loop, too: share one asyncio.Runner, or run each by `asyncio.run`"
        return f"{user} uses the loop, too: give it the loop that runs, or none"
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
    if use.method in _SHUTDOWN and _ends_in_run(module, call):
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
    if use.method == "create_task" and len(call.args) == 1 and not call.keywords:
        site.tasks.append(call)
        return ""
    return _why_by_hand(module, use.method, call)


def _take_bare(module: Module, site: Site, use: Use) -> str:
    holder = module.parent(use.node)
    if isinstance(holder, ast.Call) and module.qualname(holder.func) == _SET and holder.args == [use.node]:
        statement = module.parent(holder)
        if isinstance(statement, ast.Expr):
            site.done_with.append(statement)
            return ""
    if isinstance(holder, ast.Call) and module.qualname(holder.func) == "contextlib.closing":
        site.is_closed = True
    if isinstance(holder, ast.keyword) or (isinstance(holder, ast.Call) and use.node in holder.args):
        site.handed.append(use.node)
        return ""
    if isinstance(holder, ast.Return):
        return "the loop is returned: let the caller use `asyncio.run`, or an asyncio.Runner of its own"
    if isinstance(holder, ast.Attribute):
        code = module.code(holder)
        return f"`{code}` is changed or handed on: do that in a coroutine, on `asyncio.get_running_loop()`"
    return "the loop is kept somewhere else, too: take it by `asyncio.get_running_loop()` where it is used"


def _is_sleep(module: Module, run: Run) -> bool:
    return isinstance(run.coroutine, ast.Call) and module.qualname(run.coroutine.func) == "asyncio.sleep"


def _one_or_another(module: Module, held: HeldLoop) -> str:
    function = module.function(held.made)
    if not isinstance(function, ast.FunctionDef):
        return f"`{held.name}` is one loop or another: decide on one way to run, `asyncio.run`"
    return (
        f"`{held.name}` is one loop or another: plain code can use `asyncio.run` in place of both, "
        f"and a coroutine has to await what `{function.name}` runs instead of calling it"
    )


def _why_handed(module: Module, site: Site, node: ast.expr) -> str:
    holder = module.parent(node)
    call = module.parent(holder) if isinstance(holder, ast.keyword) else holder
    if isinstance(call, ast.Call) and module.qualname(call.func) in _LEFT:
        return f"`{module.code(call)}` finds the tasks that are left: `asyncio.run` cancels those by itself"
    return f"`{site.name}` is handed on: take the loop by `asyncio.get_running_loop()` where it is used"


def _call_around(module: Module, node: ast.expr) -> ast.AST | None:
    """The call that runs the coroutine whose argument ``node`` is: ``loop.run(main(loop))``."""
    holder = module.parent(node)
    made = module.parent(holder) if isinstance(holder, ast.keyword) else holder
    return module.parent(made) if made is not None else None


def _is_shutdown(coroutine: ast.expr) -> bool:
    """``loop.shutdown_asyncgens()``: what ``asyncio.run`` does by itself."""
    return isinstance(coroutine, ast.Call) and tail(coroutine.func) in _SHUTDOWN and not coroutine.args


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
    """``if not loop.is_closed(): loop.close()``."""
    statement = module.statement(call)
    if not isinstance(statement, ast.If) or statement.orelse or len(statement.body) != 1:
        return False
    closing = statement.body[0]
    return isinstance(closing, ast.Expr) and isinstance(closing.value, ast.Call) and tail(closing.value.func) == "close"


def _why_by_hand(module: Module, method: str, call: ast.Call) -> str:
    code = f"`{module.code(call.func)}`"
    if method == "run_forever":
        return "the loop runs until it is stopped: let a main coroutine wait for an `asyncio.Event`, and run that"
    if method in _SETTINGS:
        return f"{code} sets up the loop: do that in the main coroutine, on `asyncio.get_running_loop()`"
    if method in ("is_running", "is_closed"):
        return f"{code} asks what the loop is doing: let coroutines await, and plain code use `asyncio.run`"
    if method == RUN:
        return f"{code} does not get one coroutine"
    if method == "stop":
        return f"{code} is meant for another place: `asyncio.run` ends when its coroutine does"
    return f"{code} uses the loop before or after it runs: do that in the main coroutine"


def _collect_sets(module: Module, site: Site) -> None:
    """Note the ``set_event_loop`` calls around the site: they go with the loop, or another loop is meant."""
    names = {held.name for held in site.loops if held.name}
    for call in module.calls_ending("set_event_loop"):
        here = module.scope(call) is site.scope
        if not (here or (site.how is How.CURRENT and module.function(call) is None)) or len(call.args) != 1:
            continue
        site.is_set = site.is_set or here
        statement, value = module.parent(call), call.args[0]
        if here and isinstance(value, ast.Name) and value.id in names:
            continue
        goes = (isinstance(value, ast.Constant) and value.value is None) or origin(module, value) is How.NEW
        if here and goes and isinstance(statement, ast.Expr):
            site.done_with.append(statement)
        else:
            is_this = any(held.made is value for held in site.loops)
            what = "other code takes it as the current loop" if is_this else f"line {call.lineno} sets another loop"
            site.obstacle = f"{what}: give what makes it to asyncio.Runner as `loop_factory`"


def current_elsewhere(module: Module, sites: list[Site]) -> Iterator[ast.Call]:
    """The calls of ``get_event_loop()`` in plain code that belong to none of the sites."""
    known = {held.made for site in sites for held in site.loops}
    for held in held_loops(module):
        if held.how is How.CURRENT and held.made not in known and not module.in_coroutine(held.made):
            yield held.made
