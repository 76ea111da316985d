"""What one scope does with one loop that it handles by hand."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from codemods.facts.loops import HeldLoop, How
from codemods.facts.module import ScopeNode
from codemods.facts.runs import Run

RUN = "run_until_complete"
RUN_FOREVER = "run_forever"
SHUTDOWN = ("shutdown_asyncgens", "shutdown_default_executor")
"""What ``asyncio.run`` does by itself, and in this order, before it closes its loop."""


@dataclass
class Site:
    """A loop in the scope that gets it, with all that is done with it there."""

    scope: ScopeNode
    how: How
    loops: list[HeldLoop]
    """The calls that give it: one, several times the current loop, or those of a probe."""
    probe: list[ast.stmt] = field(default_factory=list)
    """The statements that make it where it may be one loop or another; empty where one call does."""
    runs: list[Run] = field(default_factory=list)
    forever: list[ast.Call] = field(default_factory=list)
    """Calls of ``loop.run_forever``."""
    starts: list[ast.Call] = field(default_factory=list)
    """Calls that start tasks on it before it runs: ``loop.create_task(c)``, ``ensure_future(c, loop=loop)``."""
    drain: list[ast.stmt] = field(default_factory=list)
    """The statements that cancel the tasks that are left, and wait for them."""
    done_with: list[ast.stmt] = field(default_factory=list)
    """The statements that only make, set, shut down or close the loop."""
    blocks: list[ast.With] = field(default_factory=list)
    """The ``with contextlib.closing(loop):`` around what is done with it."""
    handed: list[ast.expr] = field(default_factory=list)
    """Where the coroutine that is run gets the loop as an argument."""
    is_closed: bool = False
    is_set: bool = False
    """Whether it is made the current loop."""
    obstacle: str = ""
    """Why ``asyncio.run`` cannot take its place as it is, and what to do; empty when it can."""

    @property
    def name(self) -> str:
        """How the loop is called; empty when it has no name."""
        return next((held.name for held in self.loops if held.name), "")

    @property
    def place(self) -> ast.expr:
        """Where to report it: at the first run, or where the loop is made."""
        return self.runs[0].call if self.runs else self.loops[0].made

    @property
    def made_by(self) -> list[ast.stmt]:
        """The statements that bind the loop to its name."""
        return self.probe or [held.binding for held in self.loops if held.binding is not None]
