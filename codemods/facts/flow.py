"""Which statement can run after which, inside one function or module body."""

from __future__ import annotations

import ast

from codemods.facts.module import Module

_LEAVING_CALLS = {"sys.exit", "os._exit", "os.abort", "os.execv", "os.execvp"}
_LEAVING_BUILTINS = {"exit", "quit"}
LOOPS = (ast.For, ast.AsyncFor, ast.While)
TRIES = (ast.Try, ast.TryStar)


def falls_through(module: Module, block: list[ast.stmt]) -> bool:
    """Whether control can come out at the end of ``block`` (False: it returns, raises, exits...)."""
    return not any(_leaves(module, statement) for statement in block)


def _leaves(module: Module, statement: ast.stmt) -> bool:
    match statement:
        case ast.Return() | ast.Raise() | ast.Continue() | ast.Break():
            return True
        case ast.Expr(value=ast.Call(func=function)):
            if isinstance(function, ast.Name) and function.id in _LEAVING_BUILTINS:
                return True
            return module.qualname(function) in _LEAVING_CALLS
        case ast.If(body=body, orelse=orelse):
            return bool(orelse) and not falls_through(module, body) and not falls_through(module, orelse)
        case ast.With(body=body) | ast.AsyncWith(body=body):
            return not falls_through(module, body)
        case ast.Match(cases=cases):
            has_default = any(
                isinstance(c.pattern, ast.MatchAs) and c.pattern.pattern is None and c.guard is None for c in cases
            )
            return has_default and all(not falls_through(module, c.body) for c in cases)
        case ast.While(test=ast.Constant(value=value)) if value:
            return not any(isinstance(node, ast.Break) for node in ast.walk(statement))
    if isinstance(statement, TRIES):
        if not falls_through(module, statement.finalbody):
            return True
        happy = not falls_through(module, statement.body) or not falls_through(module, statement.orelse)
        return happy and all(not falls_through(module, handler.body) for handler in statement.handlers)
    return False


def path_to(module: Module, node: ast.AST) -> list[tuple[ast.AST, str, int]]:
    """The blocks from the scope of ``node`` down to its statement: (owner, field, index) each."""
    steps: list[tuple[ast.AST, str, int]] = []
    scope = module.scope(node)
    statement = module.statement(node)
    while True:
        block = module.block(statement)
        steps.append((block.owner, block.field, block.index))
        if block.owner is scope:
            break
        owner = block.owner
        if isinstance(owner, ast.ExceptHandler):
            above = module.parent(owner)
            assert isinstance(above, TRIES)
            steps.append((above, "handlers", above.handlers.index(owner)))
            statement = above
        elif isinstance(owner, ast.match_case):
            match = module.parent(owner)
            assert isinstance(match, ast.Match)
            steps.append((match, "cases", match.cases.index(owner)))
            statement = match
        else:
            assert isinstance(owner, ast.stmt)
            statement = owner
    return list(reversed(steps))


def can_follow(module: Module, first: ast.AST, second: ast.AST) -> bool:
    """Whether ``second`` can run after ``first`` completed, in one pass, both in one scope.

    ``first`` must stand before ``second`` in the source. Going round a loop again is not
    counted: ask ``repeating_loop`` for that. Tests that exclude each other
    (``cmd == "a"`` and ``cmd == "b"``) keep their branches apart.
    """
    path_a, path_b = path_to(module, first), path_to(module, second)
    depth = 0
    while depth < min(len(path_a), len(path_b)) - 1 and path_a[depth] == path_b[depth]:
        depth += 1
    owner, field_a, index_a = path_a[depth]
    _, field_b, index_b = path_b[depth]
    if path_b[depth][0] is not owner:
        return False
    if field_a != field_b:
        if not _fields_follow(owner, field_a, field_b):
            return False
        leaving_is_fine = field_b == "finalbody"
    elif field_a in ("handlers", "cases"):
        return index_a == index_b
    else:
        leaving_is_fine = False
        if index_a != index_b and _exclusive(
            getattr(owner, field_a), index_a, index_b, path_a[depth + 1 :], path_b[depth + 1 :]
        ):
            return False
    raises_into_handler = field_a == "body" and field_b == "handlers"
    if leaving_is_fine or raises_into_handler:
        return True
    for position in range(len(path_a) - 1, depth, -1):
        inner_owner, inner_field, inner_index = path_a[position]
        if inner_field in ("handlers", "cases"):
            continue
        if not _can_leave_block(module, getattr(inner_owner, inner_field)[inner_index:]):
            return False
    if field_a == field_b:
        between = getattr(owner, field_a)[index_a:index_b]
        return _can_leave_block(module, between)
    return _can_leave_block(module, getattr(owner, field_a)[index_a:])


def _can_leave_block(module: Module, statements: list[ast.stmt]) -> bool:
    """Like falls_through; a ``break`` or ``continue`` also leads on to what follows the loop."""
    for statement in statements:
        if _leaves(module, statement) and not isinstance(statement, ast.Break | ast.Continue):
            return False
    return True


def _fields_follow(owner: ast.AST, first: str, second: str) -> bool:
    if isinstance(owner, TRIES):
        order = {
            ("body", "handlers"),
            ("body", "orelse"),
            ("handlers", "finalbody"),
            ("orelse", "finalbody"),
            ("body", "finalbody"),
        }
        return (first, second) in order
    return isinstance(owner, LOOPS)  # body, then its else


def _exclusive(
    block: list[ast.stmt],
    first: int,
    second: int,
    inside_first: list[tuple[ast.AST, str, int]],
    inside_second: list[tuple[ast.AST, str, int]],
) -> bool:
    """Whether two ``if`` statements of one block have tests that cannot both hold."""
    a, b = block[first], block[second]
    if not (isinstance(a, ast.If) and isinstance(b, ast.If) and inside_first and inside_second):
        return False
    if inside_first[0][1] != "body" or inside_second[0][1] != "body":
        return False
    return tests_exclude(a.test, b.test)


def tests_exclude(one: ast.expr, other: ast.expr) -> bool:
    """Whether two tests cannot both be true: ``x == 1``/``x == 2``, ``x``/``not x``."""
    if isinstance(other, ast.UnaryOp) and isinstance(other.op, ast.Not) and ast.dump(other.operand) == ast.dump(one):
        return True
    if isinstance(one, ast.UnaryOp) and isinstance(one.op, ast.Not) and ast.dump(one.operand) == ast.dump(other):
        return True
    values_one, values_other = _equals(one), _equals(other)
    if values_one is None or values_other is None or values_one[0] != values_other[0]:
        return False
    return not values_one[1] & values_other[1]


def _equals(test: ast.expr) -> tuple[str, set[object]] | None:
    """``x == "a"`` or ``x in ("a", "b")`` as (dump of x, values)."""
    if not (isinstance(test, ast.Compare) and len(test.ops) == 1):
        return None
    right = test.comparators[0]
    if isinstance(test.ops[0], ast.Eq) and isinstance(right, ast.Constant):
        return ast.dump(test.left), {right.value}
    if isinstance(test.ops[0], ast.In) and isinstance(right, ast.Tuple | ast.List | ast.Set):
        values: set[object] = {e.value for e in right.elts if isinstance(e, ast.Constant)}
        if len(values) == len(right.elts):
            return ast.dump(test.left), values
    return None


def repeating_loop(module: Module, node: ast.AST) -> ast.AST | None:
    """The innermost loop or comprehension of the same scope that can run ``node`` again.

    None when every way on from ``node`` leaves the loop (``break``, ``return``).
    """
    scope = module.scope(node)
    child = node
    for above in module.ancestors(node):
        if above is scope:
            return None
        if isinstance(above, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            if child is not above.generators[0] or node is not above.generators[0].iter:
                return above
        elif isinstance(above, LOOPS):
            statement = child
            if statement in above.body and not _always_breaks(module, node, above):
                return above
            if isinstance(above, ast.While) and child is above.test:
                return above
        child = above
    return None


def _always_breaks(module: Module, node: ast.AST, loop: ast.AST) -> bool:
    """Whether the statement of ``node`` and what follows it in its blocks always leave ``loop``."""
    statement: ast.AST = module.statement(node)
    while statement is not loop:
        assert isinstance(statement, ast.stmt)
        block = module.block(statement)
        for later in block.statements[block.index :]:
            if isinstance(later, ast.Continue):
                return False
            if isinstance(later, ast.Break | ast.Return | ast.Raise) or (
                _leaves(module, later) and not any(isinstance(n, ast.Continue) for n in ast.walk(later))
            ):
                return not _inside_handled_try(module, node, loop)
        statement = block.owner
        while isinstance(statement, ast.ExceptHandler | ast.match_case):
            above = module.parent(statement)
            assert above is not None
            statement = above
    return False


def _inside_handled_try(module: Module, node: ast.AST, loop: ast.AST) -> bool:
    """Whether an exception at ``node`` can be caught inside ``loop``, which then goes round."""
    child = node
    for above in module.ancestors(node):
        if above is loop:
            return False
        if isinstance(above, TRIES) and above.handlers and child in above.body:
            return True
        child = above
    return False
