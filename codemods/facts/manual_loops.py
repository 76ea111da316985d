"""The loops that plain code makes, runs and closes by hand, one site for each loop of a scope."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from codemods.facts.loop_refusals import why_kept
from codemods.facts.loop_site import RUN, RUN_FOREVER, Site
from codemods.facts.loop_survey import survey
from codemods.facts.loops import HeldLoop, How, held_loops, is_micropython
from codemods.facts.module import Module, ScopeNode
from codemods.facts.nodes import start, tail
from codemods.facts.variables import BINDERS


def manual_sites(module: Module) -> list[Site]:
    """The sites of a file, in source order: those where a coroutine is run, or the loop runs forever."""
    if is_micropython(module) or not module.calls_ending(RUN, RUN_FOREVER):
        return []
    found: list[Site] = []
    known: dict[tuple[ScopeNode, str], Site] = {}
    for held in held_loops(module):
        if held.how is How.RUNNING or module.in_coroutine(held.made):
            continue
        if attribute := kept_on(module, held):
            found.append(Site(held.scope, held.how, [held], obstacle=why_kept(attribute)))
            continue
        names = [held.name, _CURRENT if held.how is How.CURRENT else ""]
        site = next((known[held.scope, name] for name in names if name and (held.scope, name) in known), None)
        if site is None:
            site = Site(held.scope, held.how, [])
            found.append(site)
        site.loops.append(held)
        hows = [one.how for one in site.loops]
        site.how = next(how for how in (How.CUSTOM, How.CURRENT, How.NEW) if how in hows)
        known.update(((held.scope, name), site) for name in names if name)
    for site in found:
        if not site.obstacle:
            survey(module, site)
    for site in found:
        if site.runs and any(other.runs and other.scope is site.scope for other in found if other is not site):
            site.obstacle = site.obstacle or "several loops are run here: run each by an `asyncio.run` of its own"
    return sorted((site for site in found if site.runs or site.forever or site.obstacle), key=lambda s: start(s.place))


_CURRENT = "the current loop"
"""What stands for the name where a scope asks for the current loop several times."""


def kept_on(module: Module, held: HeldLoop) -> str:
    """``self.loop`` for a loop that is kept there, in a file that runs something on it; else empty."""
    holder = module.parent(held.made)
    if not isinstance(holder, BINDERS):
        return ""
    targets = holder.targets if isinstance(holder, ast.Assign) else [holder.target]
    for target in targets:
        if isinstance(target, ast.Attribute):
            runs = module.calls_ending(RUN, RUN_FOREVER)
            if any(isinstance(c.func, ast.Attribute) and tail(c.func.value) == target.attr for c in runs):
                return module.code(target)
    return ""


def current_elsewhere(module: Module, sites: list[Site]) -> Iterator[ast.Call]:
    """The calls of ``get_event_loop()`` in plain code that belong to none of the sites."""
    known = {held.made for site in sites for held in site.loops}
    for held in held_loops(module):
        if held.how is How.CURRENT and held.made not in known and not module.in_coroutine(held.made):
            yield held.made
