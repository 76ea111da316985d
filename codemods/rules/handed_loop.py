"""``main(loop)``: the coroutine that gets its loop as an argument takes the running one instead."""

from __future__ import annotations

import ast

from codemods.facts.callees import callee
from codemods.facts.loop_site import Site
from codemods.facts.module import Module
from codemods.facts.nodes import tail
from codemods.model import Operation
from codemods.rewriting.operations import InsertBefore, RemoveArgument, RemoveKeyword, RemoveParameter
from codemods.rules.loop_arguments import is_needless, takes_none


def take_back(module: Module, site: Site) -> list[Operation] | str:
    """The operations that take the loop out of the arguments of the coroutines, or why one has to have it."""
    operations: list[Operation] = []
    for node in site.handed:
        holder = module.parent(node)
        call = module.parent(holder) if isinstance(holder, ast.keyword) else holder
        assert isinstance(call, ast.Call)
        if isinstance(holder, ast.keyword) and holder.arg == "loop" and takes_none(module, call):
            operations.append(RemoveKeyword(module.span(call), "loop"))
            continue
        function = callee(module, call)
        code = module.code(call.func)
        if not isinstance(function, ast.AsyncFunctionDef) or function.decorator_list:
            return f"`{code}` gets the loop, and is not a coroutine of this file: give it none by hand"
        if len(_mentions(module, function.name)) > 1:
            return f"`{function.name}` gets the loop, and is named in other places, too: change them together"
        parameter = _parameter(function, call, node, holder)
        if parameter is None:
            return f"`{function.name}` takes the loop in a way that cannot be followed: take it out by hand"
        changed = _without(module, function, parameter)
        if isinstance(changed, str):
            return changed
        at = module.span(call)
        operations.append(
            RemoveKeyword(at, holder.arg or "")
            if isinstance(holder, ast.keyword)
            else RemoveArgument(at, call.args.index(node))
        )
        operations += changed
    return operations


def _mentions(module: Module, name: str) -> list[ast.AST]:
    return [*module.names(name), *module.attributes(name)]


def _parameter(
    function: ast.AsyncFunctionDef, call: ast.Call, node: ast.expr, holder: ast.AST | None
) -> ast.arg | None:
    """The parameter that gets ``node``; None where that cannot be told, or where another would move up wrongly."""
    arguments = function.args
    if isinstance(holder, ast.keyword):
        named = [*arguments.args, *arguments.kwonlyargs]
        return next((a for a in named if a.arg == holder.arg), None)
    if any(isinstance(a, ast.Starred) for a in call.args) or arguments.posonlyargs or arguments.vararg:
        return None
    parameters = [a for a in arguments.args if not (a is arguments.args[0] and a.arg == "self")]
    index = call.args.index(node)
    return parameters[index] if index < len(parameters) else None


def _without(module: Module, function: ast.AsyncFunctionDef, parameter: ast.arg) -> list[Operation] | str:
    """Take the parameter out; where the loop is needed in the body, the body takes the running one."""
    name = parameter.arg
    removed = RemoveParameter(module.span(function), name)
    names = [n for n in module.uses(name, function) if module.function(n) is not module.function(function)]
    if any(not isinstance(n.ctx, ast.Load) for n in names) or module.declarations(name):
        return f"`{function.name}` gives the name `{name}` to other things, too: take it out by hand"
    if any(tail(n) == name for default in _defaults(function) for n in ast.walk(default) if isinstance(n, ast.Name)):
        return f"`{function.name}` takes the loop in a way that cannot be followed: take it out by hand"
    needless = [keyword for n in names if is_needless(module, keyword := module.parent(n))]
    if len(needless) == len(names):
        calls = [call for keyword in needless if isinstance(call := module.parent(keyword), ast.Call)]  # type: ignore[arg-type]
        return [removed, *(RemoveKeyword(module.span(call), "loop") for call in calls)]
    spelled = module.imports.local_name("asyncio.get_running_loop")
    if spelled is None:
        return "asyncio is imported in a form that gives no `get_running_loop`: import asyncio"
    body = function.body
    first = body[1] if len(body) > 1 and _is_docstring(body[0]) else body[0]
    if not module.stands_alone(first) or _is_docstring(first):
        return f"`{function.name}` stands on one line: give it a body of its own"
    return [removed, InsertBefore(module.span(first), f"{name} = {spelled}()")]


def _defaults(function: ast.AsyncFunctionDef) -> list[ast.expr]:
    return [*function.args.defaults, *(d for d in function.args.kw_defaults if d is not None)]


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
