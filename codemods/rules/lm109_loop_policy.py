"""LM109 loop-policy: the kind of event loop is chosen by a policy, which Python is about to give up."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from codemods.facts.bonds import attribute_values
from codemods.facts.callees import assigned_values
from codemods.facts.flow import TRIES, falls_through
from codemods.facts.module import Module
from codemods.facts.nodes import is_self_attribute, start
from codemods.facts.versions import runs_only_before
from codemods.model import Finding, Severity
from codemods.rules.base import Rule

_SET, _GET = "asyncio.set_event_loop_policy", "asyncio.get_event_loop_policy"
_INSTALLERS = ("uvloop.install", "winloop.install")
_SELECTOR = "asyncio.WindowsSelectorEventLoopPolicy"
_PROACTOR = "asyncio.WindowsProactorEventLoopPolicy"
_WINDOWS_TEST = re.compile(r"win|'nt'|platform|hasattr|getattr|policy", re.I)
_WINDOWS_MODULES = frozenset({"winreg", "msvcrt", "win32api", "win32gui", "win32con", "pywintypes", "winsound"})
_CATCHING = re.compile(r"\b(AttributeError|ImportError|Exception|BaseException)\b")
_DEPRECATED, _REMOVED = (3, 14), (3, 16)
_RUN_TAKES_FACTORY = (3, 12)


class LoopPolicy(Rule):
    """The event loop is chosen by an event loop policy.

    What it finds
        `asyncio.set_event_loop_policy(...)`, `uvloop.install()`, and the policies for Windows
        (`asyncio.WindowsSelectorEventLoopPolicy`, `asyncio.WindowsProactorEventLoopPolicy`) also
        where they are only named or imported. Not where `sys.version_info` keeps Python 3.14 away, nor
        where the policy that was there before is set again.

    Why it breaks
        The two policies exist on Windows only: without a check of the platform, the line raises
        `AttributeError` everywhere else (*error*). In a coroutine, a policy comes too late: the
        loop is running already (*warning*). Everywhere else it still works: policies are
        deprecated since Python 3.14 (*warning* from that target version on, a hint before) and go
        in 3.16 (*error*).

        The selector policy was needed for libraries that watch sockets by themselves (psycopg,
        pyzmq, aiodns, Tornado), which the loop of Windows does not offer. Set to be rid of
        `RuntimeError: Event loop is closed` at the end of a program, it only hides what the
        message tells: that a session or a connection was not closed.

    What it changes
        Nothing.

    When it refuses
        Always, with what to write instead: the `loop_factory` of `asyncio.run` (Python 3.12) or of
        `asyncio.Runner` (3.11), `uvloop.run(...)`. Code that only sets the policy does not know
        who starts the loop.

    Safety
        Only reported.
    """

    code = "LM109"
    name = "loop-policy"
    fixable = False

    def find(self, module: Module) -> Iterator[Finding]:
        """Every policy that is set, and every policy of Windows that is only named."""
        calls = module.calls(_SET, *_INSTALLERS)
        inside = {node for call in calls for node in ast.walk(call)}
        named = [node for node in _windows_policies(module) if node not in inside]
        for statement in _windows_imports(module):
            if not _is_guarded(module, statement):
                message = "these policies exist on Windows only: ImportError everywhere else"
                yield self._at(module, statement, message, Severity.ERROR)
        for node in sorted([*calls, *named], key=start):
            policies = [policy for policy in _windows_policies(module) if policy in ast.walk(node)]
            unguarded = [policy for policy in policies if not _is_guarded(module, policy)]
            if unguarded and isinstance(unguarded[0], ast.Attribute):
                message = f"`{module.code(unguarded[0])}` exists on Windows only: AttributeError everywhere else"
                yield self._at(module, node, message, Severity.ERROR)
            elif isinstance(node, ast.Call) and not _may_stay(module, node, calls):
                yield self._at(module, node, *_outlook(module, node))

    def _at(self, module: Module, node: ast.expr | ast.stmt, message: str, severity: Severity) -> Finding:
        return self.finding(module, node, message, severity, refusal=_instead(module, node))


def _windows_imports(module: Module) -> list[ast.ImportFrom]:
    names = {name.rpartition(".")[2] for name in (_SELECTOR, _PROACTOR)}
    return [
        statement
        for statement in module.imports.statements
        if isinstance(statement, ast.ImportFrom)
        and statement.module == "asyncio"
        and any(alias.name in names for alias in statement.names)
    ]


def _windows_policies(module: Module) -> list[ast.expr]:
    """Where the file names a policy of Windows, outside of imports."""
    found: list[ast.expr] = []
    for name in (_SELECTOR, _PROACTOR):
        short = name.rpartition(".")[2]
        local = [local for local, imported in module.imports.names.items() if imported == name]
        nodes = [*module.attributes(short), *(n for spelled in local for n in module.names(spelled))]
        found += [node for node in nodes if module.qualname(node) == name]
    return found


def _is_guarded(module: Module, node: ast.expr | ast.stmt) -> bool:
    """Whether something around ``node``, or in front of it, sees to it that this is Windows."""
    if _WINDOWS_MODULES & {name.partition(".")[0] for name in module.imports.names.values()}:
        return True
    child: ast.AST = node
    for above in module.ancestors(node):
        match above:
            case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test):
                if child is not test and _WINDOWS_TEST.search(ast.unparse(test)):
                    return True
            case ast.BoolOp() | ast.Match():
                if _WINDOWS_TEST.search(
                    ast.unparse(above.values[0] if isinstance(above, ast.BoolOp) else above.subject)
                ):
                    return True
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                if "win" in name.lower() or _returns_early(module, child) or _is_called_guarded(module, name):
                    return True
        if isinstance(above, TRIES) and child in above.body and any(_catches(h) for h in above.handlers):
            return True
        child = above
    return _returns_early(module, child)


def _returns_early(module: Module, statement: ast.AST) -> bool:
    """Whether an ``if`` about the platform in front of ``statement``, in its block, leaves."""
    if not isinstance(statement, ast.stmt):
        return False
    block = module.block(statement)
    return any(
        isinstance(earlier, ast.If | ast.Assert)
        and _WINDOWS_TEST.search(ast.unparse(earlier.test))
        and (isinstance(earlier, ast.Assert) or not falls_through(module, earlier.body))
        for earlier in block.statements[: block.index]
    )


def _is_called_guarded(module: Module, name: str) -> bool:
    """Whether the function of that name is called under a test of the platform."""
    return any(
        isinstance(above, ast.If | ast.IfExp) and _WINDOWS_TEST.search(ast.unparse(above.test))
        for call in module.calls_ending(name)
        for above in module.ancestors(call)
    )


def _catches(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or bool(_CATCHING.search(ast.unparse(handler.type)))


def _may_stay(module: Module, call: ast.Call, calls: list[ast.Call]) -> bool:
    """Whether a policy is set only where Python still has them, or is the one that was there before another."""
    if runs_only_before(module, call, _DEPRECATED):
        return True
    given = call.args[0] if call.args else None
    if isinstance(given, ast.Constant):
        return given.value is None and len(calls) > 1
    if isinstance(given, ast.Name):
        values = assigned_values(module, given)
    else:
        cls = module.enclosing_class(call) if is_self_attribute(given) else None
        values = attribute_values(cls, given.attr) if cls is not None and isinstance(given, ast.Attribute) else []
    return bool(values) and all(isinstance(v, ast.Call) and module.qualname(v.func) == _GET for v in values)


def _outlook(module: Module, call: ast.Call) -> tuple[str, Severity]:
    """What becomes of a policy that is set where it can be."""
    if module.in_coroutine(call):
        return "the loop that runs this coroutine is there already: a policy is for the next one", Severity.WARNING
    if module.target >= _REMOVED:
        return "event loop policies are gone in Python 3.16", Severity.ERROR
    message = "event loop policies are deprecated since Python 3.14 and go in 3.16"
    return message, Severity.WARNING if module.target >= _DEPRECATED else Severity.INFO


def _instead(module: Module, node: ast.expr | ast.stmt) -> str:
    """What to write in the place of a policy, for the oldest Python that the code has to run on."""
    names = {module.qualname(inner) for inner in ast.walk(node) if isinstance(inner, ast.Attribute | ast.Name)}
    names |= {f"asyncio.{inner.name}" for inner in ast.walk(node) if isinstance(inner, ast.alias)}
    for package in ("uvloop", "winloop"):
        if names & {f"{package}.install", f"{package}.EventLoopPolicy"}:
            return f"run the program with `{package}.run(main())` in the place of `asyncio.run(main())`"
    if _PROACTOR in names:
        return "its loop is the default on Windows since Python 3.8: leave the policy out"
    factory = "asyncio.SelectorEventLoop" if _SELECTOR in names else "..."
    if module.target >= _RUN_TAKES_FACTORY:
        run = f"`asyncio.run(main(), loop_factory={factory})`"
    else:
        run = f"`with asyncio.Runner(loop_factory={factory}) as runner: runner.run(main())`"
    if _SELECTOR in names:
        silent = "`Event loop is closed` at the end of a program is mended by closing the session, not by this"
        return f"give the loop to the run, {run}, on every system; {silent}"
    return f"give a function that makes the loop to the run, {run}"
