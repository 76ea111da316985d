"""Where the life of a loop ends that is handled by hand, and what is done there."""

from __future__ import annotations

import ast

from codemods.facts.entries import only_from_top
from codemods.facts.loop_drains import left_tasks
from codemods.facts.loop_refusals import SETTINGS
from codemods.facts.loop_site import RUN, RUN_FOREVER, SHUTDOWN, Site
from codemods.facts.loops import How
from codemods.facts.manual_loops import kept_on
from codemods.facts.module import Module, ScopeNode
from codemods.facts.nodes import tail

_CANCEL = "cancel"
STEPS = [_CANCEL, *SHUTDOWN]
"""What asyncio does in front of ``loop.close()``, in its order."""

_HARMLESS = {"time", "is_closed", "is_running", "call_soon", "call_later", "call_at", "create_task"}
_OWN = {RUN, RUN_FOREVER, *_HARMLESS, *SETTINGS}
"""What can be called on a loop without anybody else getting to know it."""
_LAZY = (ast.GeneratorExp, ast.Lambda)


class LoopEnd:
    """The end of the loop of one site."""

    def __init__(self, module: Module, site: Site) -> None:
        self.site = site
        self._module = module
        kept = [name for held in site.loops if (name := kept_on(module, held))]
        self._class = module.enclosing_class(site.loops[0].made) if kept else None
        self._is_kept = bool(kept)
        self.loop = kept[0] if kept else site.name
        """How the loop is spelled: ``loop``, ``self._loop``; empty where it has no name."""
        self._closes = [module.statement(call) for call in self.calls("close")]

    @property
    def close(self) -> ast.stmt | None:
        """The statement ``loop.close()``; None where there is none, or more than one."""
        plain = [statement for statement in self._closes if isinstance(statement, ast.Expr)]
        return plain[0] if len(plain) == len(self._closes) == 1 else None

    def is_whole(self) -> bool:
        """Whether nothing is missing: the program does all that ``asyncio.run`` would do."""
        return self.close is not None and not self.missing(self._module.scope(self.close))

    def missing(self, scope: ScopeNode) -> list[str]:
        """The steps that are not done in ``scope``, where the loop ends."""
        done = {tail(call.func) for call in self.calls(*SHUTDOWN)}
        cancelled = left_tasks(self._module, scope, self.loop)
        return [step for step in STEPS if step not in done and not (step == _CANCEL and cancelled)]

    def calls(self, *methods: str) -> list[ast.Call]:
        """The calls of methods of the loop: of a local one in its scope, of one that is kept in its class."""
        return [
            call
            for call in self._module.calls_ending(*methods)
            if isinstance(call.func, ast.Attribute)
            and self._module.code(call.func.value) == self.loop
            and self._is_near(call)
        ]

    def runs(self, scope: ScopeNode) -> list[ast.Call]:
        """The runs of the loop in ``scope``, but for those that shut it down."""
        ending = {node for statement in self.site.drain for node in ast.walk(statement)}
        shutting = {self._module.parent(call) for call in self.calls(*SHUTDOWN)}
        found = (call for call in self.calls(RUN, RUN_FOREVER) if self._module.scope(call) is scope)
        return [call for call in found if call not in ending and call not in shutting]

    def may_run_in(self, scope: ScopeNode) -> bool:
        """Whether the loop can be run where it ends: once more, in plain code, and now.

        Not where it was told to stop, as that would stop the next run; not where it is one loop after
        another, or run later by a generator; not inside of a coroutine, and not while its object is collected.
        """
        if any(isinstance(above, ast.AsyncFunctionDef) for above in self._module.ancestors(scope)):
            return False
        if isinstance(self._class, ast.ClassDef) and self._module.method(self._class, "__del__") is not None:
            return False
        if isinstance(scope, ast.FunctionDef):
            if scope.name == "__del__" or any(isinstance(n, ast.Yield | ast.YieldFrom) for n in ast.walk(scope)):
                return False
        elif not isinstance(scope, ast.Module):
            return False
        stores = [n for n in self._module.names(self.loop) if isinstance(n.ctx, ast.Store)]
        bound = sum(self._module.scope(node) is scope for node in stores)
        if self.site.how is How.CURRENT and not only_from_top(self._module, scope):
            return False  # it may be the loop that runs the caller, whose tasks nobody may cancel here
        probed = [node for statement in self.site.probe for node in ast.walk(statement) if isinstance(node, ast.Call)]
        if any(self._module.qualname(call.func) == "asyncio.get_running_loop" for call in probed):
            return False  # its tasks are those of the program
        lazy = any(isinstance(above, _LAZY) for run in self.runs(scope) for above in self._module.ancestors(run))
        stopped = any(self._module.scope(call) is scope for call in self.calls("stop"))
        return not (stopped or lazy) and (self._is_kept or bound == 1 or bool(self.site.probe))

    def is_of_a_facade(self) -> bool:
        """Whether an object keeps the loop to itself, and plain methods run it, each to the end of one coroutine.

        Not where a coroutine may call the method that closes it: no other loop can run there.
        """
        if not isinstance(self._class, ast.ClassDef):
            return False
        close = self.close
        closing = self._module.function(close) if close is not None else None
        if not isinstance(closing, ast.FunctionDef):
            return False
        mentions = self._module.attributes(self.loop.rpartition(".")[2])
        own = [n for n in mentions if self._is_near(n) and not self._module.in_coroutine(n)]
        awaited = any(self._module.in_coroutine(call) for call in self._module.calls_ending(closing.name))
        runs = self.calls(RUN) if not self.calls(RUN_FOREVER) else []
        return len(own) == len(mentions) and bool(runs) and not awaited

    def is_private(self) -> bool:
        """Whether nothing closes the loop, and nobody but the scope that made it gets to know it."""
        site = self.site
        if self._closes or self._is_kept or site.how is How.CURRENT or site.is_set or not site.made_by or site.probe:
            return False
        setting = {node for statement in site.done_with for node in ast.walk(statement)}
        uses = [use for held in site.loops for use in held.uses if use.node not in setting]
        return all(use.method in _OWN and self._module.scope(use.node) is site.scope for use in uses)

    def _is_near(self, node: ast.AST) -> bool:
        if self._is_kept:
            return self._module.enclosing_class(node) is self._class
        return self._module.scope(node) is self.site.scope
