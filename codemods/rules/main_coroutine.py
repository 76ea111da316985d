"""When several runs can become one main coroutine, and what it looks like."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection
from dataclasses import replace

from codemods.facts import flow
from codemods.facts.callees import callee
from codemods.facts.module import Module
from codemods.facts.nodes import FUNCTIONS
from codemods.facts.runs import Group, options, starts_a_loop, starts_a_loop_unseen
from codemods.model import Operation
from codemods.rewriting.operations import AwaitArgument, ExtractCoroutine
from codemods.rules.free_names import first_free
from codemods.rules.main_results import Range, main_guard, results, targets

_NAMES = ("main", "run_all", "async_main", "main_async", "amain")
_HARMLESS = {
    "print",
    "len",
    "str",
    "repr",
    "int",
    "float",
    "bool",
    "sorted",
    "list",
    "tuple",
    "set",
    "dict",
    "sum",
    "min",
    "max",
    "round",
    "type",
}
_OWN_SCOPES = (ast.Lambda, ast.GeneratorExp, ast.NamedExpr, ast.Yield, ast.YieldFrom, ast.Await)
"""What means something else, or nothing, once it stands in a coroutine."""
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp)


MayMove = Callable[[Module, ast.Call], bool]
"""Says of a call whether it may be moved into a coroutine."""


def common_range(module: Module, group: Group) -> Range:
    """The smallest run of statements in one block that holds all runs, and the loops that repeat them."""
    tops: list[ast.AST] = []
    for run in group.runs:
        top: ast.AST = run.statement
        for above in module.ancestors(run.call):
            if above is group.scope:
                break
            if isinstance(above, flow.LOOPS) and run.loop is not None and module.scope(above) is group.scope:
                top = above
        tops.append(top)
    chains = [[top, *module.ancestors(top)] for top in tops]
    for candidate in chains[0]:
        if not isinstance(candidate, ast.stmt) or candidate is group.scope or module.is_elif(candidate):
            continue
        block = module.block(candidate)
        places = []
        for chain in chains:
            inside = [index for index, statement in enumerate(block.statements) if statement in chain]
            places += inside[:1] or [-1]
        if -1 not in places:
            return Range(block.statements, min(places), max(places) + 1)
    raise ValueError("the runs of a group stand in one scope")


def merge(
    module: Module, group: Group, where: Range, taken: set[str], *, with_any_call: bool = False, runner: str = ""
) -> tuple[Operation, ...] | None:
    """The operations that put the runs into one main coroutine; None when that is not the right form.

    Its name is none of those ``taken`` by other new coroutines of the scope, and is added to them.
    Calls that may block between the runs are moved along only ``with_any_call``. ``runner`` is what
    runs the coroutine, where the runs are no ``asyncio.run``.
    """
    inside = where.inside
    may_move = _is_no_run if with_any_call else is_harmless
    if len(group.runs) < 2 or not all(_is_plain(module, group, statement, may_move) for statement in inside):
        return None
    if any(run.loop is not None for run in group.runs) or not all(module.stands_alone(s) for s in inside):
        return None
    if len(options(group)) > 1 or starts_a_loop_unseen(module):
        return None
    if any(isinstance(statement, ast.Return) for statement in inside[:-1]) or isinstance(group.scope, ast.ClassDef):
        return None
    moved = extract(module, group, _with_return(module, group, where, may_move), taken, runner=runner)
    if moved is None:
        return None
    return (*(AwaitArgument(at=module.span(run.call)) for run in group.runs), moved)


def _with_return(module: Module, group: Group, where: Range, may_move: MayMove) -> Range:
    """The range with the ``return`` behind it, where several results would be handed on only to be returned."""
    behind = where.statements[where.end : where.end + 1]
    if not behind or not isinstance(behind[0], ast.Return) or not module.stands_alone(behind[0]):
        return where
    needed = results(module, group, where)
    if needed is not None and (not needed or _gives(where.inside[-1], needed)):
        return where
    longer = replace(where, end=where.end + 1)
    return longer if _is_plain(module, group, behind[0], may_move) and results(module, group, longer) == [] else where


def extract(
    module: Module,
    group: Group,
    where: Range,
    taken: set[str],
    *,
    runner: str = "",
    private: Collection[str] = (),
    pulled: tuple[ast.stmt, ...] = (),
) -> ExtractCoroutine | None:
    """The operation that moves the range into a new coroutine and runs that; None where it cannot stand alone.

    ``runner`` is what runs it, ``asyncio.run``, where the first run of the group does not say that.
    Names in ``private`` are given back only where this file reads them. The statements ``pulled``
    stand in front of an outer block, and go in first.
    """
    inside = where.inside
    needed = results(module, group, where, private)
    hoist = _definition_place(module, group, inside[0])
    if needed is None or hoist is None:
        return None
    name = free_name(module, _NAMES, taken)
    taken.add(name)
    call = f"{runner}({name}())" if runner else _call(module, group, name)
    last = inside[-1]
    returns_last = bool(needed) and _gives(last, needed)
    if isinstance(last, ast.Return):
        call = f"return {call}"
    elif needed:
        annotation = f": {module.code(last.annotation)}" if returns_last and isinstance(last, ast.AnnAssign) else ""
        call = f"{', '.join(needed)}{annotation} = {call}"
    return ExtractCoroutine(
        first=module.span(inside[0]),
        last=module.span(last),
        name=name,
        call=call,
        returns="" if returns_last or isinstance(last, ast.Return) else ", ".join(needed),
        return_last=returns_last,
        before=None if hoist is inside[0] else module.span(hoist),
        annotation=_annotation(module, group, last, needed),
        pulled=tuple((module.span(statement), "") for statement in pulled),
    )


def _gives(statement: ast.stmt, needed: list[str]) -> bool:
    """Whether the value of an assignment is just what is needed behind it: ``x = ...``, ``x, y = ...``."""
    if isinstance(statement, ast.Assign) and (len(statement.targets) > 1 or not _only_names(statement.targets[0])):
        return False
    return isinstance(statement, ast.Assign | ast.AnnAssign) and targets(statement) == needed


def free_name(module: Module, names: tuple[str, ...], besides: Collection[str] = ()) -> str:
    """The first of ``names`` that occurs nowhere in the module; the last one numbered if all do."""
    return first_free(names, module.all_identifiers().union(besides))


def _annotation(module: Module, group: Group, last: ast.stmt, needed: list[str]) -> str:
    """What the new coroutine returns, where its file says that of its functions; else nothing."""
    around = [group.scope] if isinstance(group.scope, FUNCTIONS) else module.functions
    if not around or not all(function.returns for function in around):
        return ""
    if isinstance(last, ast.Return):
        returns = around[0].returns
        return module.code(returns) if isinstance(group.scope, FUNCTIONS) and returns is not None else ""
    return "" if needed else "None"


def _is_plain(module: Module, group: Group, statement: ast.stmt, may_move: MayMove) -> bool:
    """Whether a statement does the same in a coroutine: runs, results, and calls that may move there."""
    match statement:
        case ast.Expr(value=value) | ast.Return(value=ast.expr() as value):
            return _is_plain_value(module, group, value, may_move)
        case ast.Assign(targets=[ast.Name() | ast.Tuple() as target], value=value):
            return _only_names(target) and _is_plain_value(module, group, value, may_move)
        case ast.AnnAssign(target=ast.Name(), value=ast.expr() as value):
            return _is_plain_value(module, group, value, may_move)
        case ast.Assert(test=value, msg=None):
            return _is_plain_value(module, group, value, may_move)
    return False


def _only_names(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) or (
        isinstance(target, ast.Tuple) and all(isinstance(element, ast.Name) for element in target.elts)
    )


def _is_plain_value(module: Module, group: Group, value: ast.expr, may_move: MayMove) -> bool:
    calls = {run.call: run for run in group.runs}
    stack: list[ast.AST] = [value]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Call):
            if node in calls:
                if not reads_well(module, node) or any(k.arg != "debug" for k in node.keywords):
                    return False
                coroutine = calls[node].coroutine
                function = callee(module, coroutine)
                if function is not None and starts_a_loop(module, function):
                    return False
                stack += _parts(coroutine) if isinstance(coroutine, ast.Call) else [coroutine]
                continue
            if not may_move(module, node):
                return False
        elif isinstance(node, _COMPREHENSIONS):
            if any(inner in calls for inner in ast.walk(node)):
                return False
        elif isinstance(node, _OWN_SCOPES):
            return False
        stack.extend(ast.iter_child_nodes(node))
    return True


def _parts(call: ast.Call) -> list[ast.AST]:
    """Everything of the coroutine's call that is evaluated before it: receiver and arguments."""
    return [call.func, *call.args, *call.keywords]


def _is_no_run(module: Module, call: ast.Call) -> bool:
    """A call of which nothing says that it starts a loop of its own."""
    function = callee(module, call)
    return function is None or not starts_a_loop(module, function)


def is_harmless(module: Module, call: ast.Call) -> bool:
    """A call that neither blocks nor starts a loop: printing, a pure builtin, a method of a literal."""
    if any(keyword.arg in (None, "key") for keyword in call.keywords):
        return False  # somebody else's code is called
    function = callee(module, call)
    if isinstance(function, ast.AsyncFunctionDef) and not function.decorator_list:
        return True  # that only makes a coroutine
    if isinstance(call.func, ast.Name):
        return call.func.id in _HARMLESS and not module.is_bound(call.func.id, call)
    return isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Constant | ast.JoinedStr)


def reads_well(module: Module, call: ast.Call) -> bool:
    """Whether the place of a call is known exactly: before 3.12 that can be wrong inside an f-string."""
    code, function = module.code(call), module.code(call.func)
    same = "".join(function.split()) == "".join(ast.unparse(call.func).split())
    return code.startswith(function) and code.endswith(")") and same


def _definition_place(module: Module, group: Group, first: ast.stmt) -> ast.stmt | None:
    """The statement that the definition goes in front of; None where there is no natural place."""
    if isinstance(group.scope, ast.Module):
        guard = main_guard(module, first)
        if guard is not None and module.block(guard).owner is module.tree:
            return guard
    top: ast.stmt = first
    while True:
        owner = module.block(top).owner
        if owner is group.scope:
            return top
        if isinstance(owner, ast.ExceptHandler | ast.match_case):
            above = module.parent(owner)
            assert isinstance(above, ast.stmt)
            top = above
        elif isinstance(owner, (*flow.LOOPS, *FUNCTIONS)):
            return None
        else:
            assert isinstance(owner, ast.stmt)
            top = owner


def _call(module: Module, group: Group, name: str) -> str:
    first = group.runs[0].call
    keywords = "".join(
        f", {module.code(k.value) if k.arg is None else f'{k.arg}={module.code(k.value)}'}" for k in first.keywords
    )
    return f"{module.code(first.func)}({name}(){keywords})"
