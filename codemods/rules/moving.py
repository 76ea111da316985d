"""Whether statements mean the same in a coroutine, when tasks are started there that were started before it ran."""

from __future__ import annotations

import ast

from codemods.facts.callees import callee
from codemods.facts.early_tasks import is_coroutine, needs_coroutine
from codemods.facts.loop_site import Site
from codemods.facts.module import Module
from codemods.facts.nodes import start
from codemods.facts.runs import starts_a_loop, starts_a_loop_unseen
from codemods.facts.variables import Variables
from codemods.rules.main_coroutine import is_harmless, reads_well
from codemods.rules.main_results import targets

BY_HAND = "start them in a main coroutine, and run that"
BETWEEN = f"stands between the tasks that are started and the run: {BY_HAND}"
START_INSIDE = f"tasks are started before the loop runs: {BY_HAND}"
STOPPED = "nothing in this file stops the loop, but a library may, and waiting goes on then"
_BUILTINS = {"range", "enumerate", "zip", "reversed", "len"}
_CLOCKS = {"time.time", "time.perf_counter", "time.monotonic", "datetime.datetime.now"}
_LAZY = (ast.Lambda, ast.NamedExpr, ast.Yield, ast.YieldFrom, ast.Await, ast.GeneratorExp)


class Mover:
    """Whether statements mean the same inside of a coroutine."""

    def __init__(self, module: Module, site: Site, statements: list[ast.stmt]) -> None:
        self._module, self._site, self._statements = module, site, statements
        self._runs = {run.call: run for run in site.runs}
        self._moved: list[ast.Call] = []
        """Calls of which it is not known that they do not block."""

    def obstacle(self) -> str:
        """Why the statements cannot move; empty when they can."""
        if isinstance(self._site.scope, ast.ClassDef) or starts_a_loop_unseen(self._module):
            return START_INSIDE
        for statement in self._statements:
            if not self._moves(statement) or not self._module.stands_alone(statement):
                return f"line {statement.lineno} {BETWEEN}"
        if any(isinstance(node, ast.Return) for s in self._statements[:-1] for node in ast.walk(s)):
            return START_INSIDE
        for name in self._bound():
            uses = Variables(self._module).uses(name).get(self._site.scope, [])
            if any(isinstance(n.ctx, ast.Store) and start(n) < start(self._statements[0]) for n in uses):
                return f"`{name}` has another value before: {BY_HAND}"
        return ""

    def _bound(self) -> set[str]:
        return {name for statement in self._statements for name in targets(statement)}

    @property
    def private(self) -> set[str]:
        """The names that nobody else can want: of tasks, whose loop is closed by then, of awaited things, of rounds."""
        starting = [s for s in self._statements if any(n in self._site.starts for n in ast.walk(s))]
        names = {name for statement in starting for name in targets(statement)}
        filled = (n.func.value.id for s in starting for n in ast.walk(s) if is_append(n))  # type: ignore[attr-defined]
        run = [one.coroutine for one in self._site.runs]
        awaited = {one.id for one in run if isinstance(one, ast.Name) and is_coroutine(self._module, one)}
        rounds = {s.target.id for s in self._statements if isinstance(s, ast.For) and isinstance(s.target, ast.Name)}
        return names | set(filled) | awaited | rounds

    def why_unsafe(self) -> str:
        """What the new order may change."""
        first = min(map(start, self._site.starts), default=(0, 0))
        for run in sorted(self._runs.values(), key=lambda run: start(run.call)):
            coroutine = run.coroutine
            direct = isinstance(coroutine, ast.Call) and not needs_coroutine(self._module, coroutine)
            if direct and self._site.starts and start(run.call) > first and not self._is_wait(coroutine):
                code = self._module.code(coroutine)
                return f"`{code}` takes its first step before the tasks that are started in front of it"
        if self._moved:
            return f"line {self._moved[0].lineno} is done while the loop runs then, which waits for it"
        return STOPPED if self._site.forever else ""

    def _is_wait(self, coroutine: ast.expr) -> bool:
        return isinstance(coroutine, ast.Call) and self._module.qualname(coroutine.func) == "asyncio.wait"

    def _moves(self, statement: ast.stmt) -> bool:
        match statement:
            case ast.Expr(value=value) | ast.Return(value=ast.expr() as value):
                return self._value_moves(value)
            case ast.Assign(targets=[ast.Name()], value=value):
                return self._value_moves(value)
            case ast.Assign(targets=[ast.Tuple(elts=elements)], value=value):
                return all(isinstance(e, ast.Name) for e in elements) and self._value_moves(value)
            case ast.AnnAssign(target=ast.Name(), value=ast.expr() as value):
                return self._value_moves(value)
            case ast.For(target=ast.Name() | ast.Tuple(), iter=source, body=body, orelse=[]):
                return self._value_moves(source) and all(map(self._moves, body))
            case ast.If(test=test, body=body, orelse=orelse):
                return self._value_moves(test) and all(map(self._moves, [*body, *orelse]))
        return False

    def _value_moves(self, value: ast.expr) -> bool:
        for node in ast.walk(value):
            if isinstance(node, _LAZY):
                calls = [n for n in ast.walk(node) if isinstance(n, ast.Call)]
                if not isinstance(node, ast.GeneratorExp) or any(call in self._runs for call in calls):
                    return False
            if not isinstance(node, ast.Call):
                continue
            made = callee(self._module, node)
            if node in self._runs:
                if not reads_well(self._module, node):
                    return False
            elif made is not None and starts_a_loop(self._module, made):
                return False
            elif not (node in self._site.starts or node in self._site.forever or self._is_quiet(node)):
                self._moved.append(node)
        return True

    def _is_quiet(self, call: ast.Call) -> bool:
        """Whether a call does nothing that takes time: it makes what is awaited, or a value."""
        module, around = self._module, self._module.parent(call)
        if around in self._site.starts or around in self._runs or needs_coroutine(module, call):
            return True
        if isinstance(around, ast.Call) and needs_coroutine(module, around):
            return True
        if isinstance(call.func, ast.Name) and call.func.id in _BUILTINS:
            return not module.is_bound(call.func.id, call)
        quick = module.qualname(call.func) in _CLOCKS or is_append(call)
        return quick or is_coroutine(module, call) or is_harmless(module, call)


def is_append(node: ast.AST) -> bool:
    """Whether ``node`` is ``tasks.append(task)``."""
    function = node.func if isinstance(node, ast.Call) else None
    return isinstance(function, ast.Attribute) and function.attr == "append" and isinstance(function.value, ast.Name)
