"""LM107: ``loop=`` where the loop that runs is taken anyway, or where there is no such argument any more."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from codemods.facts.module import Module
from codemods.facts.nodes import tail
from codemods.facts.premade import PRIMITIVES
from codemods.model import Finding, Operation, Rewrite, Safety, Severity
from codemods.rewriting.operations import RemoveKeyword
from codemods.rules.base import Rule
from codemods.rules.loop_arguments import REMOVED, SESSIONS, loop_argument, takes_none
from codemods.rules.needless_loop import needless, running_loops

_GONE_SINCE = (3, 10)


class LoopArgument(Rule):
    """`loop=` is passed to something that takes the running loop by itself.

    What it finds
        `loop=` in calls of the functions and classes of asyncio that have no such parameter since
        Python 3.10 (`gather`, `sleep`, `wait`, `wait_for`, `Queue`, `Lock`, `open_connection`, ...), and in
        coroutines of `aiohttp.ClientSession` and its connectors. Where asyncio still takes a loop (`ensure_future`,
        `run_coroutine_threadsafe`, `all_tasks`, `Future`, `Task`, ...) it is right, and what other
        libraries do with theirs is their affair.

    Why it breaks
        Since Python 3.10 asyncio raises `TypeError: ... got an unexpected keyword argument 'loop'`.
        aiohttp takes the loop that it is told, and fails with `Timeout context manager should be used
        inside a task` when that is not the one that runs.

    What it changes
        The argument goes; and so does the loop, where a coroutine got it for nothing else.

    When it refuses
        In plain code, where the loop that would be taken instead may be another one, or none. A queue
        or a lock is made without `loop=` there as well: it takes its loop when somebody waits.

    Safety
        Safe: in a coroutine, the running loop is the only one that works. A queue or a lock in plain
        code is safe from Python 3.10 on, where the call raises as it is, and unsafe before.
    """

    code = "LM107"
    name = "loop-argument"

    def find(self, module: Module) -> Iterator[Finding]:
        """Every ``loop=`` that does nothing, or raises."""
        for keyword, call in _passed(module):
            name = takes_none(module, call)
            code = module.code(call.func)
            if name:
                gone = module.target >= _GONE_SINCE
                severity = Severity.ERROR if gone else Severity.WARNING
                message = f"`{code}` has no argument `loop` since Python 3.10: this raises TypeError"
            else:
                severity = Severity.INFO
                message = f"`{code}` takes the running loop by itself, and no other one works"
            rewrite = _rewrite(module, call, keyword, name)
            if isinstance(rewrite, str):
                yield self.finding(module, call, message, severity, refusal=rewrite)
            else:
                yield self.finding(module, call, message, severity, rewrite=rewrite)


def _passed(module: Module) -> Iterator[tuple[ast.keyword, ast.Call]]:
    """The calls with a ``loop=`` that is not wanted, in source order."""
    spelled = {local for local, name in module.imports.names.items() if name.startswith(("asyncio.", "aiohttp."))}
    tails = {name.rpartition(".")[2] for name in (*REMOVED, *SESSIONS)}
    for call in module.calls_ending(*tails | spelled):
        keyword = loop_argument(call)
        session = module.qualname(call.func) in SESSIONS and module.in_coroutine(call)
        known = takes_none(module, call) or session
        if keyword is not None and known and not _is_expected(module, call):
            yield keyword, call


def _is_expected(module: Module, call: ast.Call) -> bool:
    """Whether the call stands in a ``with pytest.raises(TypeError)`` or the like: a test wants the error."""
    return any(
        isinstance(item.context_expr, ast.Call) and "raises" in tail(item.context_expr.func).lower()
        for above in module.ancestors(call)
        if isinstance(above, ast.With)
        for item in above.items
    )


def _rewrite(module: Module, call: ast.Call, keyword: ast.keyword, name: str) -> Rewrite | str:
    title = "Leave out the loop"
    operations: tuple[Operation, ...] = (RemoveKeyword(module.span(call), "loop"),)
    if module.in_coroutine(call):
        for held in running_loops(module):
            if any(use.node is keyword.value for use in held.uses):
                operations = needless(module, held) or operations
        return Rewrite(title, Safety.SAFE, operations)
    if name in PRIMITIVES:
        if module.target >= _GONE_SINCE:
            return Rewrite(title, Safety.SAFE, operations)
        why = "before Python 3.10 it takes the loop that is current where it is made"
        return Rewrite(title, Safety.UNSAFE, operations, why)
    return "no loop may be running here: make it in a coroutine, without `loop=`"
