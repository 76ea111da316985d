"""LM202 close-skipped: an exception or an early return leaves the resource open."""

from __future__ import annotations

from collections.abc import Iterator

from codemods.facts.lifetimes import End, lifetimes
from codemods.facts.module import Module
from codemods.model import Finding, Severity
from codemods.rules.base import Rule
from codemods.rules.closing import Refusal, close_it


class CloseSkipped(Rule):
    """A session, client or connection is closed only when nothing goes wrong.

    What it finds
        A coroutine makes an object that has to be closed, uses it, and closes it with an ordinary
        statement. The kinds of objects are those of LM201. Closing in a `finally`, in an
        `async with`, through an exit stack or behind the `yield` of a fixture is fine. Behind the `yield` of
        an `asynccontextmanager` it is not: there the `yield` raises what the block under it raises.

    Why it breaks
        An exception, a cancellation or an early `return` between the two skips the close. The
        connections stay open until the loop is closed under them: "Unclosed client session",
        `ResourceWarning`, and `RuntimeError: Event loop is closed` when something tries to close
        them later.

    What it changes
        The statements between creation and close move into `async with X() as x:`, and the old
        close goes, together with closes right before an early `return`. Where there is no context
        manager that does the same as the close, they move into a `try`, and the close, as it is
        written, into its `finally`.

    When it refuses
        The close is conditional, guarded by a `try` of its own or part of a larger statement; the
        object is returned, stored or reassigned on the way; what it gives is returned and still
        needs it; it is used again after the close.

    Safety
        Safe: where nothing goes wrong, the object is closed at the same place as before. Unsafe
        where it would be closed later, because another one that is made while it is open stays
        open longer; for a server, whose `wait_closed()` waits for all its connections; where the
        rewrite needs a newer version of the package than it may meet, and in async generators that are no
        context managers.
    """

    code = "LM202"
    name = "close-skipped"

    def find(self, module: Module) -> Iterator[Finding]:
        """Every resource of a coroutine that is closed on the happy path only."""
        for life in lifetimes(module):
            creation = life.creation
            if life.end is not End.HAPPY or creation.binding is None or not module.in_coroutine(creation.call):
                continue
            message = f"`{creation.name}` is left open when an exception or an early return skips its close"
            severity = Severity(creation.resource.severity)
            if creation.resource.note:
                message += f"; {creation.resource.note}"
            try:
                yield self.finding(module, creation.binding, message, severity, rewrite=close_it(module, life))
            except Refusal as refusal:
                worst = min(severity, refusal.severity, key=lambda s: s.rank)
                yield self.finding(module, creation.binding, message, worst, refusal=refusal.reason)
