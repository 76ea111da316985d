"""What LM201 and LM202 share: the rewrite that closes a resource, or why there is none."""

from __future__ import annotations

import ast

from codemods.facts.flow import TRIES, repeating_loop
from codemods.facts.lifetimes import End, Lifetime, is_context_manager
from codemods.facts.module import Module
from codemods.facts.traces import Escape
from codemods.facts.vocabulary import BORROWING_KEYWORDS, REGISTERING
from codemods.model import Operation, Rewrite, Safety, Severity
from codemods.rewriting.operations import EnterAsyncWith, RemoveStatement, WrapInTry

_WIDTH = 88


class Refusal(Exception):
    """Why a resource is not closed for the user, and how much its leak matters."""

    def __init__(self, reason: str, severity: Severity = Severity.WARNING) -> None:
        super().__init__(reason)
        self.reason = reason
        self.severity = severity


def close_it(module: Module, life: Lifetime) -> Rewrite:
    """The rewrite that closes the resource of ``life`` whatever happens.

    Raises Refusal.
    """
    _refuse(module, life)
    creation, resource, block = life.creation, life.creation.resource, life.block
    assert creation.binding is not None
    removed = _removed(life)
    statements = block.statements
    last = module.span(statements[life.last])
    timed = isinstance(creation.value, ast.Await) and creation.value.value is not creation.call
    attempted = timed or statements[block.index] is not creation.binding
    guards = (
        attempted or resource.context == "none" or any(_is_special(module, life, call) for call in life.trace.closes)
    )
    moved = life.closes.straight if guards else []
    operations: list[Operation] = [
        RemoveStatement(module.span(statement), keep_comments=statement not in moved) for statement in removed
    ]
    if guards and not resource.close:
        raise Refusal(f"`{creation.name}` has no close, and is not made on its own: use `async with` there")
    if guards:
        first = _first_guarded(module, life)
        cleanup = _own_cleanup(module, life) or resource.cleanup(creation.name)
        operations.append(WrapInTry(module.span(statements[first]), last, cleanup))
        closer = next(line.strip() for line in cleanup.splitlines() if not line.lstrip().startswith("#"))
        title = f"Close `{creation.name}` in a `finally` (`{closer}`)"
    else:
        keep = resource.context == "async-with-await" or (resource.awaitable and creation.value is not creation.call)
        join = _can_join(module, life)
        operations.append(EnterAsyncWith(module.span(creation.binding), last, keep_await=keep, join=join))
        title = f"Open `{creation.name}` with `async with`"
    why = _why_unsafe(module, life)
    return Rewrite(title, Safety.UNSAFE if why else Safety.SAFE, tuple(operations), why)


def _refuse(module: Module, life: Lifetime) -> None:
    """Raise Refusal when the resource cannot be closed here."""
    creation, resource, trace = life.creation, life.creation.resource, life.trace
    name = creation.name
    if module.path.rpartition("/")[2] == "env.py" and any(
        name.startswith("alembic") for name in module.imports.names.values()
    ):
        raise Refusal("this is Alembic's template, best left as it is generated", Severity.INFO)
    for escape in sorted(trace.escapes, key=lambda e: e.kind.startswith("result-")):
        _refuse_escape(life, escape, module)
    if resource.refuse:
        raise Refusal(resource.refuse.format(x=name))
    _refuse_shared(module, life)
    for call in module.calls_ending("locals", "vars", "eval", "exec"):
        if isinstance(call.func, ast.Name) and module.function(call) is creation.function:
            raise Refusal(
                f"`{module.code(call)}` on line {call.lineno} may get at `{name}`: name what it needs instead"
            )
    if trace.mixed:
        raise Refusal(
            f"`{name}` does not stand for one object all along, {trace.mixed}: give each object a name and a block"
        )
    if life.end is End.NEVER and (resource.ambient or any(REGISTERING.search(name) for name in trace.attributes)):
        raise Refusal(
            f"`{name}` goes on working without being named: close it in a `finally`, where the program is done with it"
        )
    outside = life.outside or (_closed_outside(module, life) if life.end is End.HAPPY else None)
    if outside is not None:
        where = f"on line {outside.lineno}"
        raise Refusal(f"`{name}` is made in one block and used outside of it, {where}: move both into one block first")
    if life.end is End.HAPPY and life.closes.odd:
        raise Refusal(_odd(module, life))
    _refuse_place(module, life)


def _refuse_shared(module: Module, life: Lifetime) -> None:
    """Raise Refusal when closing the resource would close an object that somebody else gave it."""
    creation = life.creation
    for keyword in creation.call.keywords:
        if keyword.arg not in BORROWING_KEYWORDS or not isinstance(keyword.value, ast.Name | ast.Attribute):
            continue
        given = keyword.value.id if isinstance(keyword.value, ast.Name) else ""
        uses = module.uses(given, creation.function)
        stores = [n for n in uses if isinstance(n.ctx, ast.Store) and module.scope(n) is creation.function]
        if not stores:
            what = f"its `{keyword.arg}` comes from elsewhere and would be closed with it"
            raise Refusal(f"{what}: close `{creation.name}` where that is closed", Severity.INFO)
        others = [n for n in uses if n is not keyword.value and isinstance(n.ctx, ast.Load)]
        loop = repeating_loop(module, creation.call)
        again = loop is not None and not any(loop in module.ancestors(n) for n in stores)
        if again or any(not isinstance(module.parent(n), ast.Attribute) for n in others):
            what = f"its `{keyword.arg}` is used again and would be closed with it"
            raise Refusal(f"{what}: give each its own, or close them all where `{given}` is closed")


def _refuse_escape(life: Lifetime, escape: Escape, module: Module) -> None:
    name, function = life.creation.name, life.creation.function.name
    into = escape.into
    gone = Severity.INFO if life.end is End.NEVER else Severity.WARNING
    match escape.kind:
        case "returned":
            raise Refusal(f"`{function}` returns `{name}`: its caller has to close it", gone)
        case "yielded":
            raise Refusal(f"`{function}` yields `{name}`: close it behind the `yield`, in a `finally`", gone)
        case "stored":
            raise Refusal(f"`{name}` is kept in {_quoted(into)}: whoever owns that has to close it", gone)
        case "alias":
            raise Refusal(f"`{name}` is also known as `{into}`: close it when both are done with")
        case "container":
            raise Refusal(f"`{name}` goes into a container with others: enter each in an `AsyncExitStack`")
        case "result-returned" | "result-yielded":
            verb = "returned" if escape.kind == "result-returned" else "yielded"
            what = f"what `{name}` gives is {verb} and may still need it open"
            raise Refusal(f"{what}: read it to the end first, or let the caller own `{name}`")
        case "result-stored":
            raise Refusal(
                f"what `{name}` gives is kept in {_quoted(into)} and may still need it open: close `{name}` with that"
            )
    if life.end is End.HAPPY:
        return  # the code itself says where it is done with these
    match escape.kind:
        case "kept":
            raise Refusal(f"`{into}(...)` may keep `{name}`: close it when that is done with", Severity.INFO)
        case "result-kept":
            raise Refusal(f"what `{name}` gives is kept by {_quoted(into)} and may still need it open")
        case "captured":
            raise Refusal(f"{_quoted(into)} uses `{name}` and may run later: close it after its last call")
        case "task":
            raise Refusal(
                f"a task that uses `{name}` is not awaited here and may outlive it: await the task, then close"
            )


def _closed_outside(module: Module, life: Lifetime) -> ast.stmt | None:
    """A close that does not stand in the block that the resource is made in, nor deeper."""
    for statement in life.closes.odd:
        if not any(above in life.block.statements for above in [statement, *module.ancestors(statement)]):
            return statement
    return None


def _odd(module: Module, life: Lifetime) -> str:
    name = life.creation.name
    statement = life.closes.odd[0]
    expression = statement.value if isinstance(statement, ast.Expr) else None
    inner = expression.value if isinstance(expression, ast.Await) else expression
    if not any(inner is call for call in life.trace.closes):
        return f"line {statement.lineno} does more than close `{name}`: close it alone, in a `finally`"
    if isinstance(module.parent(statement), ast.Try | ast.With):
        return f"the close on line {statement.lineno} is guarded: move it into a `finally` together with its guard"
    return (
        f"the close on line {statement.lineno} is conditional: close `{name}` in a `finally`, under the same condition"
    )


def _refuse_place(module: Module, life: Lifetime) -> None:
    """Raise Refusal when the statements do not lend themselves to a block of their own."""
    creation, block, closes = life.creation, life.block, life.closes
    assert creation.binding is not None
    name, statements = creation.name, block.statements
    removed = _removed(life)
    if life.end is End.HAPPY:
        places = [statements.index(statement) for statement in closes.straight]
        if places and places[-1] - places[0] != len(places) - 1:
            raise Refusal(f"`{name}` is closed in several places: close it once, in a `finally`")
        after = [
            r for r in life.trace.reads if closes.straight and r.id == name and r.lineno > closes.straight[-1].lineno
        ]
        if after:
            raise Refusal(f"`{name}` is used again on line {after[0].lineno}, after it was closed")
    for statement in closes.forgotten:
        if statement not in statements:
            raise Refusal(f"`{name}.close()` on line {statement.lineno} is conditional, and it is not awaited")
    needed = [s for s in statements[block.index + 1 : life.last + 1] if s not in removed]
    if not needed:
        raise Refusal(f"nothing uses `{name}`: leave it out, or close it where it is made")
    if not all(
        module.stands_alone(s) for s in [creation.binding, *removed, *statements[block.index + 1 : life.last + 1]]
    ):
        raise Refusal("several statements stand on one line: put each on a line of its own first")


def _removed(life: Lifetime) -> list[ast.stmt]:
    closes = life.closes
    return [*closes.straight, *closes.leaving, *closes.handled, *closes.forgotten]


def _first_guarded(module: Module, life: Lifetime) -> int:
    """Index of the first statement for the ``try``: behind the creation, or behind the start."""
    index = life.block.index
    if life.creation.resource.start:
        start = module.statement(life.trace.starts[0])
        if start not in life.block.statements:
            raise Refusal(
                f"`{life.creation.name}` is started inside another block: put a `try`/`finally` around what follows"
            )
        index = life.block.statements.index(start)
    removed = [*life.closes.straight, *life.closes.forgotten]
    if not [s for s in life.block.statements[index + 1 : life.last + 1] if s not in removed]:
        raise Refusal(f"nothing uses `{life.creation.name}` once it is started")
    return index + 1


def _own_cleanup(module: Module, life: Lifetime) -> str:
    """The statements that close the resource now, as they are written, with their comments; or nothing."""
    if not life.closes.straight:
        return ""
    first, last = life.closes.straight[0], life.closes.straight[-1]
    above = life.block.statements[life.block.statements.index(first) - 1]
    lines = module.source.lines[above.end_lineno or above.lineno : last.end_lineno]
    return "\n".join(line.strip("\r\n")[first.col_offset :] for line in lines if line.strip())


def _is_special(module: Module, life: Lifetime, call: ast.Call) -> bool:
    """Whether a close does something that leaving the ``async with`` would not do."""
    assert isinstance(call.func, ast.Attribute)
    path = module.code(call.func).partition(".")[2]
    return bool(call.args or call.keywords) or path in life.creation.resource.alt_close


def _can_join(module: Module, life: Lifetime) -> bool:
    """Whether the resource fits behind the items of the ``async with`` whose block it opens."""
    block, creation = life.block, life.creation
    assert creation.binding is not None
    owner = block.owner
    if not isinstance(owner, ast.AsyncWith) or block.index != 0:
        return False
    rest = [s for s in block.statements[life.last + 1 :] if s not in life.closes.straight]
    header = module.source.lines[owner.lineno - 1].rstrip()
    binding = module.span(creation.binding)
    line = module.source.lines[binding.line - 1]
    one_line = binding.line == binding.end_line == owner.lineno + 1 and line.rstrip("\r\n").endswith(
        module.code(creation.binding)
    )
    if rest or not one_line or not header.endswith(":"):
        return False
    return len(header) + len(f", {module.code(creation.value)} as {creation.name}") <= _WIDTH


def _why_unsafe(module: Module, life: Lifetime) -> str:
    creation, resource = life.creation, life.creation.resource
    if resource.since:
        return f"needs {resource.package} {resource.since} or later"
    if life.end is End.NEVER and life.trace.strangers:
        function = module.code(life.trace.strangers[0].func)
        return f"`{function}` gets `{creation.name}` and may keep it or close it"
    if life.overtaken is not None:
        return f"line {life.overtaken.lineno}, which runs after `{creation.name}` is closed, will run before that"
    if resource.ambient and life.trace.waits:
        return "since Python 3.12 `wait_closed()` waits for every open connection: after an error, too, from now on"
    inside = life.block.statements[life.block.index : life.last + 1]
    tries = [node for statement in inside for node in ast.walk(statement) if isinstance(node, TRIES)]
    caught = [handler for node in tries for handler in node.handlers if not _raises_again(handler)]
    if life.end is End.NEVER and "wait_closed" in resource.then and caught:
        return f"`wait_closed()` may raise the error again that line {caught[0].lineno} catches"
    if not is_context_manager(module, creation.function) and any(
        isinstance(node, ast.Yield) and module.function(node) is creation.function
        for s in inside
        for node in ast.walk(s)
    ):
        return "a consumer that stops early leaves the closing of a generator to the garbage collector"
    return ""


def _raises_again(handler: ast.ExceptHandler) -> bool:
    return any(isinstance(statement, ast.Raise) for statement in handler.body)


def _quoted(text: str) -> str:
    return text if " " in text and "(" not in text else f"`{text}`"
