"""LM103: a loop that is made, run and closed by hand."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from codemods.facts.flow import repeating_loop
from codemods.facts.leftovers import leaves_context
from codemods.facts.loops import How
from codemods.facts.manual_loops import Site, current_elsewhere, manual_sites
from codemods.facts.module import Module
from codemods.facts.nodes import FUNCTIONS, tail
from codemods.facts.premade import made_before
from codemods.model import Finding, Operation, Related, Rewrite, Safety, Severity
from codemods.rules.base import Rule
from codemods.rules.missing_loop import is_guarded
from codemods.rules.own_run import is_coroutine, needs_coroutine, own_run

_RAISES_SINCE = (3, 14)


class ManualLoop(Rule):
    """A loop is made, run and closed by hand.

    What it finds
        `run_until_complete` or `run_forever` on a loop that plain code gets by `get_event_loop()`,
        `new_event_loop()` or from a loop class. The loops of a file are one finding: once one of them
        is `asyncio.run`, `get_event_loop()` raises in the same thread.

    Why it breaks
        `loop.close()` does not end what still runs: tasks are destroyed while they are pending,
        asynchronous generators and the threads of the executor are never shut down, and what they
        still do fails with `RuntimeError: Event loop is closed`. An exception skips the close
        altogether. `get_event_loop()` without a loop warns since Python 3.12 and raises since 3.14.

    What it changes
        One run becomes `asyncio.run(...)`; several become one main coroutine where they stand next to
        each other, else `with asyncio.Runner() as runner:`. What makes, sets, shuts down and closes the
        loop goes away. A coroutine that got the loop as an argument takes the running one. A future
        such as `asyncio.gather(...)` gets a coroutine around it.

    When it refuses
        Services that `run_forever`; settings, signal handlers and callbacks on the loop before it runs;
        loops of chosen classes; loops that are kept on an object, returned, handed on, or used by
        several functions; code that asks whether a loop is running. If one loop of a file has to stay,
        so do the others that share its current loop.

    Safety
        Safe for a coroutine of this file, run once on a loop of its own, or on the current one at the
        top of the program, with no object that was made before and may belong to that loop. Unsafe
        else: each call of a function would run on a loop of its own; an object made earlier may belong
        to the old one; what comes from elsewhere may not be a coroutine.
    """

    code = "LM103"
    name = "manual-loop"

    def find(self, module: Module) -> Iterator[Finding]:
        """One finding for all loops of the file that go together; one for each loop that stays."""
        sites = manual_sites(module)
        if not sites:
            return
        stuck, operations = _convert(module, sites)
        for site, reason in stuck.values():
            severity = Severity.INFO if site.obstacle else _severity(module, site)
            yield self.finding(module, site.place, _message(module, site), severity, refusal=reason)
        going = [site for number, site in enumerate(sites) if number not in stuck]
        if going:
            why = next((reason for site in going if (reason := _why_unsafe(module, site, sites))), "")
            safety = Safety.UNSAFE if why else Safety.SAFE
            rewrite = Rewrite("Run it by asyncio.run, which closes its loop", safety, tuple(operations), why)
            first, *others = going
            related = tuple(Related(module.path, module.span(site.place), "and this one") for site in others)
            message, severity = _message(module, first), _severity(module, first)
            yield self.finding(module, first.place, message, severity, rewrite=rewrite, related=related)


def _message(module: Module, site: Site) -> str:
    left = "nothing shuts down what is still running on this loop when it is closed"
    if any(module.scope(call) is site.scope for call in module.calls("asyncio.all_tasks")):
        left = "what `asyncio.run` does at its end is done by hand here"
    elif not _is_closed(module, site):
        left = "nothing closes this loop, and what is still running on it is never shut down"
    if site.how is not How.CURRENT:
        return left
    raises = "raises" if module.target >= _RAISES_SINCE else "raises from Python 3.14 on, and warns before"
    return f"{left}; where none was set, `{module.code(site.loops[0].made)}` {raises}"


def _is_closed(module: Module, site: Site) -> bool:
    """Whether the loop is closed: in the same scope, or, where an object keeps it, anywhere in the file."""
    makers = [module.parent(held.made) for held in site.loops]
    targets = [target for maker in makers if isinstance(maker, ast.Assign) for target in maker.targets]
    targets += [maker.target for maker in makers if isinstance(maker, ast.AnnAssign)]
    kept = {tail(target) for target in targets if isinstance(target, ast.Attribute)}
    closes = [call.func for call in module.calls_ending("close") if isinstance(call.func, ast.Attribute)]
    return site.is_closed or any(
        tail(close.value) in kept or (tail(close.value) == site.name != "" and module.scope(close) is site.scope)
        for close in closes
    )


def _severity(module: Module, site: Site) -> Severity:
    return Severity.ERROR if site.how is How.CURRENT and module.target >= _RAISES_SINCE else Severity.WARNING


def _convert(module: Module, sites: list[Site]) -> tuple[dict[int, tuple[Site, str]], list[Operation]]:
    """The sites that have to stay, by number, each with its reason; and what takes the others away."""
    makers = [held.made for site in sites for held in site.loops]
    replaced = [*makers, *module.calls("asyncio.set_event_loop")]
    operations: list[Operation] = []
    stuck: dict[int, tuple[Site, str]] = {}
    taken: set[str] = set()
    for number, site in enumerate(sites):
        outcome = site.obstacle or own_run(module, site, replaced, taken)
        if isinstance(outcome, str):
            stuck[number] = (site, outcome)
        else:
            operations += [operation for operation in outcome if operation not in operations]
    shared = _takes_current(module, sites) or next(
        (
            f"the loop of line {site.place.lineno} stays, and after `asyncio.run` there is no current loop for it"
            for site, _ in stuck.values()
            if site.how is How.CURRENT or (site.is_set and site.scope is module.tree)
        ),
        "",
    )
    if shared:
        stuck = {number: stuck.get(number, (site, shared)) for number, site in enumerate(sites)}
    return stuck, operations


def _takes_current(module: Module, sites: list[Site]) -> str:
    """Why other code at the top of the file needs the current loop; empty when none does."""
    for call in current_elsewhere(module, sites):
        if module.function(call) is None and not is_guarded(module, call):
            return f"line {call.lineno} takes the current loop, too: change that first"
    return ""


def _why_unsafe(module: Module, site: Site, sites: list[Site]) -> str:
    for run in site.runs:
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


def _given(module: Module, site: Site, coroutine: ast.expr) -> str:
    """A parameter of the function in what asyncio is to wait for: ``asyncio.gather(*tasks)``."""
    if not isinstance(coroutine, ast.Call) or not (module.qualname(coroutine.func) or "").startswith("asyncio."):
        return ""
    names = [node.id for node in ast.walk(coroutine) if isinstance(node, ast.Name)]
    own = [name for name in names if any(module.binding_scope(a) is site.scope for a in module.arguments(name))]
    return own[0] if own else ""


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
