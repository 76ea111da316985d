"""LM204 resource-outside-loop: something that needs a running loop is made where none runs."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from codemods.facts.flow import TRIES
from codemods.facts.module import FunctionNode, Module
from codemods.facts.nodes import FUNCTIONS, start
from codemods.model import Finding, Related, Severity
from codemods.rules.base import Rule

_RUNS = ("asyncio.run", "uvloop.run", "anyio.run")
_LOOP_ARGUMENTS = frozenset({"loop", "connector", "_loop"})
_REMEDY = (
    "make it inside the coroutine that is run, in an `async with`, and hand it on; an object that keeps it makes it in "
    "its `__aenter__`, a web application in its lifespan"
)


class ResourceOutsideLoop(Rule):
    """A session or client that needs a running event loop is made where none runs.

    What it finds
        `aiohttp.ClientSession()` and other objects that look for the running loop when they are
        made (aiohttp connectors, aiokafka, aiodocker, kubernetes_asyncio, aioimaplib, the async
        clients of InfluxDB and of Slack's socket mode):

        - at the top level of a module, in a class body, as a default value;
        - in a plain function that itself starts the loop afterwards, with `asyncio.run`;
        - in an `__init__`, where the object is made in one of these places in the same file.

        With a `loop` or a `connector` they do not look for it. Clients that wait for their first
        request (httpx, OpenAI, redis) may be made anywhere; LM110 is about these.

    Why it breaks
        There is no loop yet, so the line raises `RuntimeError: no running event loop` (before
        aiohttp 3.10 it warned, and bound the session to a loop that nobody runs). A module that a
        server such as uvicorn imports from inside its loop gets away with it: a warning there, an
        error in a file that starts its loop itself.

    What it changes
        Nothing: the place to make it, and to close it, is a coroutine further down.

    When it refuses
        Always. Make it inside the coroutine that is run.

    Safety
        Only reported. An `__init__` whose object may be made inside a coroutine is left alone.
    """

    code = "LM204"
    name = "resource-outside-loop"
    fixable = False

    def find(self, module: Module) -> Iterator[Finding]:
        """Every such object, where it is made."""
        starters = [call for call in module.calls(*_RUNS) if not module.in_coroutine(call)]
        names = [name for name, resource in module.catalog.by_name.items() if resource.in_loop]
        for call in module.calls(*names):
            if any(keyword.arg in _LOOP_ARGUMENTS for keyword in call.keywords) or _is_tried(module, call):
                continue
            place = _outside(module, call, starters)
            if place is None:
                continue
            error = bool(starters) or module.function(place) is not None
            name = module.code(call.func)
            message = f"no event loop is running here: `{name}` raises `no running event loop`"
            if not error:
                message = f"`{name}` raises `no running event loop` unless a running loop imports this module"
            related = (
                [Related(module.path, module.span(place), "made here, before a loop runs")] if place is not call else []
            )
            severity = Severity.ERROR if error else Severity.WARNING
            yield self.finding(module, call, message, severity, refusal=_REMEDY, related=tuple(related))


def _outside(module: Module, call: ast.Call, starters: list[ast.Call]) -> ast.Call | None:
    """The call, or the one that makes the object around it, where it surely runs without a loop."""
    function = module.function(call)
    if function is None:
        return None if _is_for_type_checkers(module, call) else call
    if not isinstance(function, ast.FunctionDef):
        return None
    if _starts_later(module, call, function, starters):
        return call
    cls = module.scope(function)
    if function.name not in ("__init__", "__post_init__") or not isinstance(cls, ast.ClassDef):
        return None
    for made in module.calls_ending(cls.name):
        around = module.function(made)
        if not isinstance(made.func, ast.Name) or module.definition(cls.name, made) is not cls:
            continue
        if around is None or (isinstance(around, ast.FunctionDef) and _starts_later(module, made, around, starters)):
            return made
    return None


def _starts_later(module: Module, call: ast.Call, function: FunctionNode, starters: list[ast.Call]) -> bool:
    """Whether the function around ``call`` starts a loop behind it: then none was running before."""
    return any(
        module.function(starter) is function and start(call) < start(starter) and not _is_probe(module, starter)
        for starter in starters
    )


def _is_probe(module: Module, starter: ast.Call) -> bool:
    """Whether a run stands in an exception handler or under an ``if``: the function may be called in a loop."""
    for above in module.ancestors(starter):
        if isinstance(above, FUNCTIONS):
            return False
        if isinstance(above, ast.ExceptHandler | ast.If | ast.IfExp):
            return True
    return False


def _is_tried(module: Module, call: ast.Call) -> bool:
    """Whether the error is caught where it comes up."""
    child: ast.AST = call
    for above in module.ancestors(call):
        if isinstance(above, TRIES) and child in above.body and above.handlers:
            return True
        if isinstance(above, FUNCTIONS):
            return False
        child = above
    return False


def _is_for_type_checkers(module: Module, call: ast.Call) -> bool:
    return any(
        isinstance(above, ast.If) and "TYPE_CHECKING" in ast.unparse(above.test) for above in module.ancestors(call)
    )
