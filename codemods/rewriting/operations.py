"""What a rule can ask the hands to do, as plain data.

A rule composes a ``Rewrite`` out of these; ``codemods.rewriting.hands`` carries them out on
the concrete tree and decides nothing. Spans are those of ``Module.span``; a span of a
statement means the whole statement, and "statements ``first`` to ``last``" always stand in
one block. Nothing here imports libcst, so ``check`` may.
"""

from __future__ import annotations

from dataclasses import dataclass

from codemods.model import Operation, Span


@dataclass(frozen=True, slots=True)
class ReplaceExpression(Operation):
    """Put the expression ``code`` in the place of the expression at ``at``."""

    at: Span
    code: str


@dataclass(frozen=True, slots=True)
class WrapInCall(Operation):
    """Give the expression at ``at`` to a call of ``function``: ``x`` becomes ``function(x)``."""

    at: Span
    function: str


@dataclass(frozen=True, slots=True)
class NameArguments(Operation):
    """Assign the arguments of the call at ``at`` to ``name``, as a list in front of the statement ``before``.

    The call gets ``*name``. An only argument ``*[... for ...]`` or ``*(... for ...)`` becomes the list itself.
    """

    at: Span
    before: Span
    name: str
    each: str = ""
    """What every item of an only argument ``*items`` goes through, as ``item``: ``[each(item) for item in items]``."""
    item: str = ""
    spread: bool = False
    """Whether the list, which stands on one line, gets a line for each of its parts."""


@dataclass(frozen=True, slots=True)
class AwaitArgument(Operation):
    """Turn the call ``run(c, ...)`` at ``at`` into ``await c``, parenthesised where it must be."""

    at: Span


@dataclass(frozen=True, slots=True)
class AddKeyword(Operation):
    """Give the call at ``at`` the argument ``name=value``, in the place of one of that name."""

    at: Span
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class RemoveKeyword(Operation):
    """Take the keyword argument ``name`` out of the call at ``at``."""

    at: Span
    name: str


@dataclass(frozen=True, slots=True)
class RenameKeyword(Operation):
    """Give the keyword argument ``name`` of the call at ``at`` the name ``to``."""

    at: Span
    name: str
    to: str


@dataclass(frozen=True, slots=True)
class RemoveParameter(Operation):
    """Take the parameter ``name`` out of the function at ``at``."""

    at: Span
    name: str


@dataclass(frozen=True, slots=True)
class NameValue(Operation):
    """Keep the value of the expression that is the statement at ``at``: ``f()`` becomes ``name = f()``."""

    at: Span
    name: str


@dataclass(frozen=True, slots=True)
class RemoveDefinition(Operation):
    """Take a function or class out, with its decorators, its docstring and the comments that are about it alone."""

    at: Span


@dataclass(frozen=True, slots=True)
class RemoveStatement(Operation):
    """Take a statement out; its comments stay."""

    at: Span
    keep_comments: bool = True
    """False where another operation of the same rewrite puts the comments elsewhere."""
    own_comments_go: bool = False
    """Whether the comments right above it and those inside of it are about it alone, and go with it."""


@dataclass(frozen=True, slots=True)
class RemoveFinally(Operation):
    """Take the ``finally`` off the ``try`` at ``at``; what is left without an ``except`` stands on its own.

    With a ``header`` (``with x as y:``), what is left stands under that. The comments of what
    goes away stay.
    """

    at: Span
    header: str = ""


@dataclass(frozen=True, slots=True)
class Unwrap(Operation):
    """Put what stands in the ``with`` at ``at`` in its place, under ``header`` where there is one; comments stay."""

    at: Span
    header: str = ""


@dataclass(frozen=True, slots=True)
class RemoveArgument(Operation):
    """Take the positional argument number ``index`` out of the call at ``at``."""

    at: Span
    index: int


@dataclass(frozen=True, slots=True)
class AddFinally(Operation):
    """Give the ``try`` at ``at``, which has none, ``cleanup`` as its ``finally:``."""

    at: Span
    cleanup: str


@dataclass(frozen=True, slots=True)
class ReplaceStatement(Operation):
    """Put the statement ``code`` in the place of a simple one; what stands above it stays."""

    at: Span
    code: str


@dataclass(frozen=True, slots=True)
class InsertBefore(Operation):
    """Put the statements ``code`` in front of a statement, below its comments or ``above`` them."""

    at: Span
    code: str
    above: bool = False


@dataclass(frozen=True, slots=True)
class InsertAfter(Operation):
    """Put the statements ``code`` behind a statement."""

    at: Span
    code: str


@dataclass(frozen=True, slots=True)
class WrapInWith(Operation):
    """Indent the statements ``first`` to ``last`` under ``header`` (``with x as y:``)."""

    first: Span
    last: Span
    header: str


@dataclass(frozen=True, slots=True)
class EnterAsyncWith(Operation):
    """Turn the assignment ``binding`` and what follows up to ``last`` into an ``async with``.

    ``x = Session()`` becomes ``async with Session() as x:``. With ``join``, the assignment is
    the first statement of an ``async with`` block: its item joins that statement's items.
    """

    binding: Span
    last: Span
    keep_await: bool = False
    """Whether the ``await`` in front of the acquiring call stays (``async with await f()``)."""
    join: bool = False


@dataclass(frozen=True, slots=True)
class WrapInTry(Operation):
    """Put the statements ``first`` to ``last`` into ``try:``, with ``cleanup`` as ``finally:``."""

    first: Span
    last: Span
    cleanup: str


@dataclass(frozen=True, slots=True)
class ExtractCoroutine(Operation):
    """Move the statements ``first`` to ``last`` into a new ``async def name()``.

    ``call`` takes their place. The definition goes before the statement ``before``, or before
    the call when that is None.
    """

    first: Span
    last: Span
    name: str
    call: str
    returns: str = ""
    """An expression for a ``return`` behind the statements."""
    return_last: bool = False
    """Whether the last statement, an assignment, becomes ``return value``."""
    before: Span | None = None
    annotation: str = ""
    """What the coroutine returns, where its file annotates that."""
    pulled: tuple[tuple[Span, str], ...] = ()
    """Statements of a block around, in front of this one, that move into the coroutine first, with their comments.

    Each with the name that keeps its value, where it is an expression that has none.
    """


@dataclass(frozen=True, slots=True)
class ChangeFromImport(Operation):
    """Add a name to the ``from module import ...`` at ``at`` and take another one out."""

    at: Span
    add: str = ""
    remove: str = ""
