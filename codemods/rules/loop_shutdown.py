"""The end of a loop that stays: what ``asyncio.run`` would do in front of ``loop.close()``, written out."""

from __future__ import annotations

import ast

from codemods.facts.flow import TRIES
from codemods.facts.loop_end import STEPS, LoopEnd
from codemods.facts.loop_site import RUN, SHUTDOWN
from codemods.facts.module import Module, ScopeNode
from codemods.facts.nodes import FUNCTIONS, start, tail
from codemods.facts.variables import own_names
from codemods.model import Operation
from codemods.rewriting.operations import InsertAfter, InsertBefore, RemoveStatement, WrapInTry
from codemods.rules.free_names import first_free
from codemods.rules.main_results import targets

_EXECUTOR_SINCE = (3, 9)


def shut_down(module: Module, end: LoopEnd) -> list[Operation]:
    """What adds the missing steps; empty where it cannot be told from the source where the loop ends."""
    prefix = _prefix(module)
    if not end.loop or not prefix or module.target < _EXECUTOR_SINCE:
        return []
    close = end.close
    if close is None:
        return _close_at_last(module, end, prefix)
    scope = module.scope(close)
    if not module.stands_alone(close) or not end.may_run_in(scope):
        return []
    runs = end.runs(scope)
    if not runs:
        return _inserted(module, end, close, prefix) if end.is_of_a_facade() else []
    if start(runs[-1]) > start(close):
        return []
    if _is_in_finally(module, close, runs[-1]):
        return _inserted(module, end, close, prefix)
    block = module.block(close)
    tops = _tops(module, runs, block.statements[: block.index])
    if end.missing(scope) != STEPS or not tops:
        return []
    first, last = tops[0], block.statements[block.index - 1]
    if not all(map(module.stands_alone, (first, last))):
        return []
    gone = RemoveStatement(module.span(close))
    return [gone, WrapInTry(module.span(first), module.span(last), _whole(module, end, scope, prefix))]


def _close_at_last(module: Module, end: LoopEnd, prefix: str) -> list[Operation]:
    """A ``finally`` behind the runs of a loop that nothing closes, where nobody else gets to know it."""
    if not end.is_private() or not end.may_run_in(end.site.scope):
        return []
    runs = end.runs(end.site.scope)
    tops = _tops(module, runs, module.block(end.site.made_by[0]).statements)
    if not tops or end.missing(end.site.scope) != STEPS or not all(map(module.stands_alone, tops)):
        return []
    bound = {name for statement in tops for name in targets(statement)}
    later = [node for name in bound for node in module.names(name) if start(node) > start(tops[-1])]
    if any(tops[-1] not in module.ancestors(node) for node in later):
        return []  # what the loop gave may need it
    return [WrapInTry(module.span(tops[0]), module.span(tops[-1]), _whole(module, end, end.site.scope, prefix))]


def _prefix(module: Module) -> str:
    """``asyncio.``, as it is imported; empty where only names are."""
    name = module.imports.local_name("asyncio.all_tasks") or ""
    return name.removesuffix("all_tasks") if name.endswith(".all_tasks") else ""


def _tops(module: Module, runs: list[ast.Call], statements: list[ast.stmt]) -> list[ast.stmt]:
    """The statements of one block that hold the runs, in order; none where a run is not in any of them."""
    found = [s for run in runs for s in statements if s in module.ancestors(run)]
    return sorted(set(found), key=start) if len(found) == len(runs) else []


def _is_in_finally(module: Module, close: ast.stmt, run: ast.Call) -> bool:
    """Whether the close stands in the ``finally`` of a ``try`` that holds the run."""
    child: ast.AST = close
    for above in module.ancestors(close):
        if isinstance(above, TRIES) and child in above.finalbody:
            return above in module.ancestors(run)
        child = above
    return False


def _inserted(module: Module, end: LoopEnd, close: ast.stmt, prefix: str) -> list[Operation]:
    """The missing steps, each in front of the step that follows it at asyncio's own end."""
    scope = module.scope(close)
    present = {tail(call.func): module.statement(call) for call in end.calls(*SHUTDOWN)}
    texts: dict[ast.stmt, list[str]] = {}
    for step in end.missing(scope):
        later = [present[other] for other in STEPS[STEPS.index(step) + 1 :] if other in present]
        texts.setdefault(later[0] if later else close, []).append(_code(module, end, step, scope, prefix))
    return [_in_front(module, at, "\n".join(codes)) for at, codes in texts.items()]


def _in_front(module: Module, statement: ast.stmt, code: str) -> Operation:
    """Put ``code`` in front of a statement and the comments that are about it."""
    block = module.block(statement)
    before = block.statements[block.index - 1] if block.index else None
    if before is None or not module.stands_alone(before):
        return InsertBefore(module.span(statement), code, above=True)
    return InsertAfter(module.span(before), code)


def _whole(module: Module, end: LoopEnd, scope: ScopeNode, prefix: str) -> str:
    return "\n".join([*(_code(module, end, step, scope, prefix) for step in STEPS), f"{end.loop}.close()"])


def _code(module: Module, end: LoopEnd, step: str, scope: ScopeNode, prefix: str) -> str:
    loop = end.loop
    if step in SHUTDOWN:
        return f"{loop}.{RUN}({loop}.{step}())"
    taken = own_names(scope) if isinstance(scope, FUNCTIONS) else module.all_identifiers()
    pending = first_free(("pending",), taken)
    task = first_free(("task", "left"), taken)
    return (
        f"{pending} = {prefix}all_tasks({loop})\n"
        f"for {task} in {pending}:\n"
        f"    {task}.cancel()\n"
        f"if {pending}:\n"
        f"    {loop}.{RUN}({prefix}gather(*{pending}, return_exceptions=True))"
    )
