"""LM601: a signal handler that stops or closes the loop under the coroutine that it runs."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from codemods.facts.flow import TRIES
from codemods.facts.module import Module
from codemods.facts.nodes import tail
from codemods.facts.signals import Registration, handled, registrations
from codemods.facts.tasks import Tasks, tasks_of
from codemods.model import Finding, Severity
from codemods.rules.base import Rule

_EVENT = (
    "let the handler set an `asyncio.Event`, as in `loop.add_signal_handler(signal.SIGTERM, stop.set)`, and the main "
    "coroutine wait for it with `await stop.wait()`: then it cleans up and returns"
)
_RUNS = ("asyncio.run", "uvloop.run")
_CATCHING = {"RuntimeError", "Exception", "BaseException"}


class LoopClosedBySignal(Rule):
    """A signal handler stops or closes the loop that is running a coroutine.

    What it finds
        `loop.add_signal_handler(signal.SIGTERM, loop.stop)` or `signal.signal(...)`, where the handler is
        `loop.stop` or `loop.close`, or a lambda or function of the file that calls it; for `stop`, in a file that runs
        its coroutines by `asyncio.run` or `run_until_complete` and has no `run_forever`.

    Why it breaks
        `stop` ends the run before its coroutine is done: `RuntimeError: Event loop stopped before Future
        completed`. The coroutine stands still in the middle, its `finally` blocks run late or never, and what it
        holds is closed after the loop: "Event loop is closed". `close` raises "Cannot close a running
        event loop"; the loop logs that and goes on, so that the signal does nothing.

    What it changes
        Nothing.

    When it refuses
        Always: what the program has to do at its end has to be written down. Let the handler set an
        `asyncio.Event` for which the main coroutine waits. A loop under `run_forever` is stopped by
        `stop` as it should be, and is not reported.

    Safety
        There is no rewrite.
    """

    code = "LM601"
    name = "loop-closed-by-signal"
    fixable = False

    def find(self, module: Module) -> Iterator[Finding]:
        """Every registration of a handler that stops or closes a loop."""
        found = list(registrations(module))
        if not found:
            return
        tasks = tasks_of(module)
        stoppable = not _is_run_to_its_end(module)
        for registration in found:
            ending = _ending(module, tasks, registration)
            if ending is None or (ending.attr == "stop" and stoppable):
                continue
            code = module.code(ending)
            if ending.attr == "close":
                message = f"`{code}` raises `Cannot close a running event loop` on the signal, and nothing ends"
                severity = Severity.ERROR
            else:
                message = (
                    f"`{code}` ends the run in the middle of its coroutine: `RuntimeError: Event loop stopped before "
                    "Future completed`"
                )
                severity = Severity.WARNING
            yield self.finding(module, registration.call, message, severity, refusal=_EVENT)


def _ending(module: Module, tasks: Tasks, registration: Registration) -> ast.Attribute | None:
    """The ``loop.stop`` or ``loop.close`` that happens on the signal; ``close`` first."""
    nodes = [registration.handler, *handled(module, registration.handler)]
    ends = [node for node in nodes if isinstance(node, ast.Attribute) and node.attr in ("stop", "close")]
    called = [node for node in ends if node is registration.handler or _is_called(module, node)]
    found = [node for node in called if tasks.may_be_loop(node.value)]
    return min(found, key=lambda node: node.attr, default=None)


def _is_called(module: Module, node: ast.Attribute) -> bool:
    call = module.parent(node)
    return isinstance(call, ast.Call) and call.func is node


def _is_run_to_its_end(module: Module) -> bool:
    """Whether the file runs coroutines to their end and no loop forever, and is not ready for a stop."""
    if module.calls_ending("run_forever", "run_app"):
        return False
    runs = [*module.calls(*_RUNS), *module.calls_ending("run_until_complete")]
    return bool(runs) and not any(_is_caught(module, run) for run in runs)


def _is_caught(module: Module, run: ast.Call) -> bool:
    child: ast.AST = run
    for above in module.ancestors(run):
        if isinstance(above, TRIES) and child in above.body:
            kinds = [k for h in above.handlers for k in (h.type.elts if isinstance(h.type, ast.Tuple) else [h.type])]
            if any(kind is None or tail(kind) in _CATCHING for kind in kinds):
                return True
        child = above
    return False
