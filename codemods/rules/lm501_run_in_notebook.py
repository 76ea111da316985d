"""LM501: a cell of a notebook starts a loop, where the kernel runs one already."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from codemods.facts.kernel import goes_to_a_thread, is_guarded, kernel_functions, loop_runs
from codemods.facts.module import Module
from codemods.model import Finding, Related, Rewrite, Safety, Severity
from codemods.rules.base import Rule
from codemods.rules.cell_awaits import Refusal, await_it
from codemods.rules.loop_patches import archived, library_in_need, patches, removal


class RunInNotebook(Rule):
    """`asyncio.run` or `run_until_complete` in a notebook.

    What it finds
        In an `.ipynb` file, a call of `asyncio.run(...)`, or of `run_until_complete(...)` on any object, at
        the top level of a cell, in a coroutine, or in a plain function; and `nest_asyncio.apply()`. All
        cells are read together, so an import of one is known in the others. Not a finding: a run in a
        function that goes to a thread (or to Gradio, which calls it in one), and one whose code asks first
        whether a loop is running, or expects the `RuntimeError`. A plain function that no cell calls by
        its name is a hint. Cells under `%%bash`, `%%writefile` and the like, and those that are not
        Python or tagged `raises-exception`, are not looked at.

    Why it breaks
        The kernel runs every cell on one loop, so `asyncio.run` raises `RuntimeError: asyncio.run() cannot be
        called from a running event loop`, and `run_until_complete` raises `This event loop is already running`.
        `nest_asyncio` makes that work by patching asyncio. It is archived, and on Python 3.14 every timeout
        under it fails.

    What it changes
        `asyncio.run(work())` and `loop.run_until_complete(work())` become `await work()`, under
        `if __name__ == "__main__":`, too: a cell can await. With the last use of the kernel's loop go its name and
        its `close()`, which would raise. Only these characters of the file change: outputs, metadata, magics
        and the layout of the JSON stay as they are. `nest_asyncio` goes with the last run.

    When it refuses
        In a plain function, a lambda, a class body and a generator expression, which cannot await; under
        `%%time`, `%%timeit`, `%%capture` and `%%prun`, which cannot either; after `%autoawait off`; with
        a `loop_factory`; in a cell that nbdev exports. `nest_asyncio` stays where a run does, where nothing
        tells what it is for, and beside libraries that are known to run a loop inside of plain calls.

    Safety
        Safe: the call raises, or does what `await` does. Unsafe where a run names a loop that may not be the
        kernel's or asks for `debug=True`, and where the notebook stops a loop or asks for all tasks. Unsafe for
        the removal of `nest_asyncio`, because a library may still run a loop inside of a plain call.
    """

    code = "LM501"
    name = "run-in-notebook"

    def find(self, module: Module) -> Iterator[Finding]:
        """Every run of the notebook, and what patches asyncio so that it works."""
        if not module.source.is_notebook:
            return
        patched, called = bool(patches(module)), kernel_functions(module)
        findings: list[Finding] = []
        stuck: list[ast.Call] = []
        for run in loop_runs(module):
            function = module.function(run)
            is_called = not isinstance(function, ast.FunctionDef | ast.Lambda) or _is_called(function, called)
            if not is_called and function and goes_to_a_thread(module, function):
                continue
            if is_guarded(module, run):
                stuck.append(run)  # what to do is up to the code around it
                continue
            message, severity = _what_happens(module, run, patched=patched, is_called=is_called)
            try:
                findings.append(self.finding(module, run, message, severity, rewrite=await_it(module, run)))
            except Refusal as refusal:
                stuck.append(run)
                if not patched:
                    findings.append(self.finding(module, run, message, severity, refusal=str(refusal)))
        yield from self._patch(module, [finding.rewrite for finding in findings if finding.rewrite], stuck)
        yield from findings

    def _patch(self, module: Module, rewrites: list[Rewrite], stuck: list[ast.Call]) -> Iterator[Finding]:
        """The finding about ``nest_asyncio``, given what becomes of the runs."""
        calls = archived(module)
        if not calls:
            return
        message = "`nest_asyncio` is archived, and on Python 3.14 every timeout in a loop that it patches fails"
        severity, refusal, rewrite = Severity.WARNING, "", None
        if stuck:
            refusal = "these runs cannot await as they stand, and need it: make them await, then it can go"
        elif library := library_in_need(module):
            severity = Severity.INFO
            refusal = f"`{library}` may run a loop inside of a plain call: use what it offers to await, then it can go"
        elif not rewrites:
            severity = Severity.INFO
            refusal = "no run is in sight that needs it, so a library may: take it out, and see whether the cells work"
        elif operations := removal(module):
            awaits = tuple(operation for one in rewrites for operation in one.operations)
            why = "a library may still run a loop inside of a plain call"
            rewrite = Rewrite("Await, and take `nest_asyncio` out", Safety.UNSAFE, (*awaits, *operations), why)
        else:
            refusal = "it shares its lines with other code: take it out by hand, the cells can await"
        related = tuple(Related(module.path, module.span(run), "needs it") for run in stuck)
        yield self.finding(module, calls[0], message, severity, rewrite=rewrite, refusal=refusal, related=related)


def _is_called(function: ast.FunctionDef | ast.Lambda, called: set[str]) -> bool:
    """Whether a cell calls the function as it is: what a decorator makes of it may run elsewhere."""
    return isinstance(function, ast.FunctionDef) and function.name in called and not function.decorator_list


def _what_happens(module: Module, run: ast.Call, *, patched: bool, is_called: bool) -> tuple[str, Severity]:
    name = f"`{module.code(run.func)}`"
    if patched:
        return f"{name} works here only because `nest_asyncio` patches asyncio: a cell can await", Severity.WARNING
    if is_called:
        return f"{name} raises here: the kernel runs the cells on a loop, which is running already", Severity.ERROR
    return f"{name} raises here when a cell calls this: the loop of the kernel is running already", Severity.INFO
