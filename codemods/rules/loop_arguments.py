"""The calls that once took ``loop=`` and take the running loop by themselves now."""

from __future__ import annotations

import ast

from codemods.facts.module import Module
from codemods.facts.premade import PRIMITIVES

REMOVED = frozenset(
    {
        *("gather", "sleep", "wait", "wait_for", "shield", "as_completed"),
        *("open_connection", "open_unix_connection", "start_server", "start_unix_server"),
        *("create_subprocess_exec", "create_subprocess_shell"),
        *PRIMITIVES,
    }
)
"""What of asyncio has no parameter ``loop`` since Python 3.10; the others, such as ``ensure_future``, have."""

SESSIONS = frozenset({"aiohttp.ClientSession", "aiohttp.TCPConnector", "aiohttp.UnixConnector"})
"""What of aiohttp takes the running loop where it is made."""

_PLACES = ("asyncio", "asyncio.tasks", "asyncio.queues", "asyncio.locks", "asyncio.streams", "asyncio.subprocess")


def loop_argument(call: ast.Call) -> ast.keyword | None:
    """The argument ``loop=...`` of a call."""
    return next((keyword for keyword in call.keywords if keyword.arg == "loop"), None)


def takes_none(module: Module, call: ast.Call) -> str:
    """The name of the function of asyncio that takes no loop any more; empty for others."""
    parent, _, last = (module.qualname(call.func) or "").rpartition(".")
    return last if parent in _PLACES and last in REMOVED else ""


def is_needless(module: Module, keyword: ast.AST | None) -> bool:
    """Whether ``loop=...`` stands in a coroutine, in a call that takes the running loop by itself."""
    call = module.parent(keyword) if isinstance(keyword, ast.keyword) and keyword.arg == "loop" else None
    if not isinstance(call, ast.Call) or not module.in_coroutine(call):
        return False
    return bool(takes_none(module, call)) or module.qualname(call.func) in SESSIONS
