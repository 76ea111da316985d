"""A resource that is used on the spot, ``await Client().get(url)``, gets a name and a block."""

from __future__ import annotations

import ast

from codemods.facts.lifetimes import Lifetime
from codemods.facts.module import Module
from codemods.model import Rewrite, Safety
from codemods.rewriting.operations import ReplaceExpression, WrapInWith
from codemods.rules.closing import Refusal

_ONCE = (ast.Attribute, ast.Call, ast.Await, ast.keyword, ast.Subscript, ast.Tuple, ast.withitem)
"""What may stand between the resource and its statement: all of it is evaluated once, and always."""


def open_inline(module: Module, life: Lifetime) -> Rewrite:
    """The rewrite that opens the unnamed resource of ``life`` around its statement.

    Raises Refusal.
    """
    creation, resource, block = life.creation, life.creation.resource, life.block
    if resource.refuse or resource.context != "async-with" or creation.value is not creation.call:
        raise Refusal("it has no name to close it by: keep it in a variable, and close that in a `finally`")
    if life.trace.escapes or life.outside or not _runs_once(module, creation.call):
        raise Refusal("it has no name to close it by: open it with `async with`, and use it inside")
    code = module.code(creation.call)
    statements = block.statements[block.index : life.last + 1]
    if "\n" in code or not all(module.stands_alone(statement) for statement in statements):
        raise Refusal("it is spread over lines with other code: keep it in a variable of its own first")
    name = _free_name(module, life)
    first, last = module.span(statements[0]), module.span(statements[-1])
    operations = (
        ReplaceExpression(module.span(creation.call), name),
        WrapInWith(first, last, f"async with {code} as {name}:"),
    )
    why = f"needs {resource.package} {resource.since} or later" if resource.since else ""
    return Rewrite(f"Open it with `async with`, as `{name}`", Safety.UNSAFE if why else Safety.SAFE, operations, why)


def _runs_once(module: Module, call: ast.Call) -> bool:
    """Whether the statement of ``call`` evaluates it once, before anything else of its block."""
    statement = module.statement(call)
    if isinstance(statement, ast.AsyncWith) and call not in ast.walk(statement.items[0].context_expr):
        return False
    if isinstance(statement, ast.AsyncFor) and call not in ast.walk(statement.iter):
        return False
    if not isinstance(statement, ast.Expr | ast.Assign | ast.AnnAssign | ast.Return | ast.AsyncWith | ast.AsyncFor):
        return False
    for above in module.ancestors(call):
        if above is statement:
            return True
        if not isinstance(above, _ONCE):
            return False
    return False


def _free_name(module: Module, life: Lifetime) -> str:
    """``session`` or ``client``, with the package in front where the name is taken."""
    resource = life.creation.resource
    name = "session" if resource.qualname.endswith("Session") else "client"
    nodes = list(ast.walk(life.creation.function))
    taken = {node.id for node in nodes if isinstance(node, ast.Name)} | {
        node.arg for node in nodes if isinstance(node, ast.arg)
    }
    if name in taken:
        name = f"{resource.package}_{name}"
    if name in taken:
        raise Refusal("it has no name to close it by: open it with `async with`, and use it inside")
    return name
