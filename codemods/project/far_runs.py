"""Runs that modules start for one another: through a wrapper that is imported, or in a function that a task calls."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from typing import NamedTuple

from codemods.facts.callees import body_nodes
from codemods.facts.module import FunctionNode, Module
from codemods.facts.recurrence import occasion
from codemods.facts.run_sites import RunSite, Wrapper, in_order, run_sites, sites_through, wrappers
from codemods.project.far_steps import FarStep, next_steps
from codemods.project.links import Links

_DEPTH = 3


class Occasion(NamedTuple):
    """What makes a worker or a server call a function of another module again and again."""

    noun: str
    """``task``, ``route``."""
    module: Module
    function: FunctionNode


class FarRuns:
    """The runs of all modules of a project, and which tasks of other modules lead to them."""

    def __init__(self, links: Links, modules: Iterable[Module]) -> None:
        self._links = links
        modules = list(modules)
        known = [wrapper for module in modules for wrapper in wrappers(module)]
        self.sites = {module: in_order([*run_sites(module), *self._through(module, known)]) for module in modules}
        """The runs of each module, those through wrappers of other modules among them."""
        self.occasions = self._occasions()
        """For functions that run: the task of another module that calls them."""

    def _through(self, module: Module, known: list[Wrapper]) -> list[RunSite]:
        """The runs of a module that go through the wrappers of others."""
        found: list[RunSite] = []
        for wrapper in known:
            if wrapper.module is module:
                continue
            names = module.imports.names.items()
            aliases = {local for local, name in names if name.endswith(f".{wrapper.function.name}")}
            calls = module.calls_ending(*{wrapper.function.name, *aliases})
            calls = [call for call in calls if self._means(module, call, wrapper)]
            found += sites_through(module, wrapper, calls, lambda name: self._definition(module, name))
        return found

    def _means(self, module: Module, call: ast.Call, wrapper: Wrapper) -> bool:
        function = module.function(call)
        if function is None or isinstance(function, ast.Lambda):
            return False
        step = FarStep(module, function, (), lasting=False)
        return any(found.function is wrapper.function for found in next_steps(self._links, step, call))

    def _definition(self, module: Module, name: ast.expr) -> FunctionNode | ast.ClassDef | None:
        target = self._links.target(module, name)
        return target.definition if target is not None and not target.rest else None

    def _occasions(self) -> dict[FunctionNode, Occasion]:
        runners = {site.function: module for module, sites in self.sites.items() for site in sites}
        found: dict[FunctionNode, Occasion] = {}
        below: dict[FunctionNode, list[FarStep]] = {}
        for module in self.sites if runners else ():
            for function in module.functions:
                noun = occasion(module, function) if isinstance(function, ast.FunctionDef) else ""
                for step in self._plain_steps(module, function, below) if noun else ():
                    if runners.get(step.function, module) is not module:
                        found.setdefault(step.function, Occasion(noun, module, function))
        return found

    def _plain_steps(
        self, module: Module, function: FunctionNode, below: dict[FunctionNode, list[FarStep]]
    ) -> list[FarStep]:
        """The plain functions that a call of ``function`` comes by, across modules."""
        seen: dict[FunctionNode, FarStep] = {}
        level = [FarStep(module, function, (), lasting=False)]
        for _ in range(_DEPTH):
            further: list[FarStep] = []
            for step in level:
                if step.function not in below:
                    calls = [node for node in body_nodes(step.function) if isinstance(node, ast.Call)]
                    called = [s for call in calls for s in next_steps(self._links, step, call)]
                    below[step.function] = [s for s in called if isinstance(s.function, ast.FunctionDef)]
                further += [s for s in below[step.function] if s.function not in seen]
                seen.update((s.function, s) for s in below[step.function])
            level = further
        return list(seen.values())
