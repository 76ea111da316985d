"""LM108: the program calls its main coroutine, and nobody runs it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from codemods.facts.callees import callee
from codemods.facts.loops import is_micropython
from codemods.facts.module import Module
from codemods.model import Finding, Operation, Rewrite, Safety, Severity
from codemods.rewriting.operations import InsertBefore, ReplaceExpression
from codemods.rules.base import Rule
from codemods.rules.main_results import under_main_guard
from codemods.rules.spelling import has_run

_EXITS = ("sys.exit",)
_OTHER_LOOPS = {"trio", "curio", "anyio", "asks"}


class EntryNotRun(Rule):
    """A program calls a coroutine function and drops the coroutine.

    What it finds
        A statement at the top of a file, or under its `if __name__ == "__main__":`, that is nothing but
        the call of an `async def` of the same file: `main()`, or `sys.exit(main())`.

    Why it breaks
        The call makes a coroutine and runs none of it. The program ends at once, with exit code 0, or 1
        by `sys.exit`, and `RuntimeWarning: coroutine 'main' was never awaited`.

    What it changes
        `main()` becomes `asyncio.run(main())`; asyncio is imported where it is not.

    When it refuses
        Where several coroutines are called so, or one is run by `asyncio.run` already: they belong into
        one main coroutine. In a file that uses trio, curio or anyio, which have a `run` of their own.

    Safety
        Safe under the guard: that is what the program is for. Unsafe at the top of a file, which would
        run it whenever the file is imported.
    """

    code = "LM108"
    name = "entry-not-run"

    def find(self, module: Module) -> Iterator[Finding]:
        """Every dropped coroutine of the top level."""
        if is_micropython(module):
            return
        dropped = [call for call in _top_calls(module) if _makes_coroutine(module, call)]
        for call in dropped:
            message = f"`{module.code(call)}` makes a coroutine that nobody runs: none of its code happens"
            rewrite = _rewrite(module, call, dropped)
            if isinstance(rewrite, str):
                yield self.finding(module, call, message, Severity.ERROR, refusal=rewrite)
            else:
                yield self.finding(module, call, message, Severity.ERROR, rewrite=rewrite)


def _top_calls(module: Module) -> Iterator[ast.Call]:
    """The calls outside of functions and classes that are statements of their own, or the exit code."""
    for function in dict.fromkeys(f.name for f in module.functions if isinstance(f, ast.AsyncFunctionDef)):
        for call in module.calls_ending(function):
            dropped = isinstance(module.parent(call), ast.Expr) or _is_exit_code(module, call)
            if dropped and isinstance(call.func, ast.Name) and isinstance(module.scope(call), ast.Module):
                yield call


def _is_exit_code(module: Module, call: ast.Call) -> bool:
    """Whether the coroutine is given to ``sys.exit``, which prints it and exits with 1."""
    leaving = module.parent(call)
    return isinstance(leaving, ast.Call) and leaving.args == [call] and module.qualname(leaving.func) in _EXITS


def _makes_coroutine(module: Module, call: ast.Call) -> bool:
    function = callee(module, call)
    if not isinstance(function, ast.AsyncFunctionDef) or function.decorator_list:
        return False
    return not any(isinstance(node, ast.Yield) for statement in function.body for node in ast.walk(statement))


def _rewrite(module: Module, call: ast.Call, dropped: list[ast.Call]) -> Rewrite | str:
    imported = {name.partition(".")[0] for name in module.imports.names.values()}
    if other := sorted(_OTHER_LOOPS & imported):
        return f"the file uses {other[0]}, which has a way to run it of its own"
    others = [one for one in (*dropped, *module.calls("asyncio.run")) if module.scope(one) is module.tree]
    if len(others) > 1:
        return "several coroutines are to run: call them from one main coroutine, and run that by `asyncio.run`"
    if not module.stands_alone(module.statement(call)):
        return "the call shares its line with another statement: put it on a line of its own"
    run, operations = _run(module, call)
    if not run:
        return "asyncio is not imported where the program begins: import it, and call `asyncio.run`"
    operations = (*operations, ReplaceExpression(module.span(call), f"{run}({module.code(call)})"))
    title = "Run it by asyncio.run"
    if under_main_guard(module, call):
        return Rewrite(title, Safety.SAFE, operations)
    return Rewrite(title, Safety.UNSAFE, operations, "it will run whenever the file is imported")


def _run(module: Module, call: ast.Call) -> tuple[str, tuple[Operation, ...]]:
    """How ``asyncio.run`` is written where ``call`` stands, and the import that this takes."""
    statements = [s for s in module.imports.statements if isinstance(module.scope(s), ast.Module)]
    top = [statement for statement in statements if has_run(module, statement, call)]
    for statement in top:
        for alias in statement.names:
            if isinstance(statement, ast.Import) and alias.name == "asyncio":
                return f"{alias.asname or alias.name}.run", ()
            if isinstance(statement, ast.ImportFrom) and (statement.module, alias.name) == ("asyncio", "run"):
                return alias.asname or alias.name, ()
    if "asyncio" in module.all_identifiers():
        return "", ()
    first = next((s for s in top if not (isinstance(s, ast.ImportFrom) and s.module == "__future__")), None)
    if first is not None and module.stands_alone(first):
        return "asyncio.run", (InsertBefore(module.span(first), "import asyncio"),)
    return "", ()
