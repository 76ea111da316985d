"""Do the runs that use one object happen in one process, and what says so?"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, TypeVar

from codemods.facts.bonds import WAITED_ON
from codemods.facts.long_lived import Use
from codemods.facts.module import FunctionNode, Module
from codemods.facts.recurrence import (
    both_called,
    is_command,
    is_command_line,
    is_offered,
    is_test,
    makes_tasks,
    recurs,
)
from codemods.facts.run_sites import RunSite
from codemods.model import Severity

if TYPE_CHECKING:
    from codemods.project.far_runs import Occasion

UseT = TypeVar("UseT", bound=Use)
_NONE: Mapping[FunctionNode, Occasion] = {}


def crossing(
    module: Module, uses: Sequence[UseT], occasions: Mapping[FunctionNode, Occasion] = _NONE
) -> tuple[list[UseT], str, Severity] | None:
    """The uses that happen on different loops in one process, how that comes in words, and how bad it is.

    None when none is known. ``occasions`` are the tasks of other modules, by the functions that they call.
    """
    by_function: dict[FunctionNode, UseT] = {}
    for use in uses:
        by_function.setdefault(use.site.function, use)
    error = Severity.ERROR if _is_sure(uses[0]) else Severity.WARNING
    for function, use in by_function.items():
        if not use.leaves_open:
            continue
        noun = _noun(module, use.site)
        if noun and (noun == "task" or not use.site.by_asgiref):
            return [use], _again(f"each call of the {noun} `{function.name}`"), error
        far = occasions.get(function)
        if far is not None and (far.noun == "task" or not use.site.by_asgiref):
            return [use], _again(f"each call of the {far.noun} `{far.function.name}` of {far.module.path}"), error
    functions = [f for f, use in by_function.items() if not use.site.by_asgiref]
    functions.sort(key=lambda function: not by_function[function].leaves_open)
    if not functions or not by_function[functions[0]].leaves_open:
        return None
    for one, other in combinations(functions, 2):
        if by_function[one].leaves_open and _both_happen(module, one, other):
            unclear = is_command_line(module) and not both_called(module, one, other)
            return [by_function[one], by_function[other]], _then(one, other), Severity.WARNING if unclear else error
    offered = [function for function in functions if is_offered(module, function)]
    if len(offered) > 1 and by_function[offered[0]].leaves_open and not is_command_line(module):
        message = _then(*offered[:2]) + ", once one process calls both"
        return [by_function[f] for f in offered], message, Severity.WARNING
    commands = [function for function in functions if is_command(function)]
    if len(commands) > 1 and by_function[commands[0]].leaves_open:
        message = _then(*commands[:2]) + ": harmless while each command has a process of its own"
        return [by_function[f] for f in commands], message, Severity.INFO
    return None


def repeated(module: Module, sites: list[RunSite], occasions: Mapping[FunctionNode, Occasion]) -> list[RunSite]:
    """The runs by which one process is known to come more than once, or by another one too."""
    functions = list(dict.fromkeys(site.function for site in sites))
    known = {site.function for site in sites if site.function in occasions or _noun(module, site)}
    pairs = [pair for pair in combinations(functions, 2) if not known.issuperset(pair)]
    known.update(function for pair in pairs if _both_happen(module, *pair) for function in pair)
    return [site for site in sites if site.function in known]


def _noun(module: Module, site: RunSite) -> str:
    """What is called again and again, and runs a loop each time."""
    if site.wrapper is not None and makes_tasks(site.wrapper.module, site.wrapper.outermost):
        return "task"
    return recurs(module, site.function)


def _is_sure(use: Use) -> bool:
    return use.binding.sure and use.binding.kind not in WAITED_ON


def _both_happen(module: Module, one: FunctionNode, other: FunctionNode) -> bool:
    """Whether two functions are called in one process, on the same object."""
    cls = module.scope(one)
    if isinstance(cls, ast.ClassDef) and cls is module.scope(other) and not (is_test(one) or is_test(other)):
        return True
    return (is_test(one) and is_test(other)) or both_called(module, one, other)


def _again(who: str) -> str:
    return f"is bound to the loop of its first run: {who} runs a new loop, and the one before is closed"


def _then(one: FunctionNode, other: FunctionNode) -> str:
    return f"is bound to the loop that `{one.name}` runs, which is closed when `{other.name}` uses it on another"
