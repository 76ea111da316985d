"""Changes inside one statement: each takes the node as it is by now and gives the new one."""

from __future__ import annotations

import ast

import libcst as cst

from codemods.rewriting.locate import MisplacedError
from codemods.rewriting.operations import (
    AddKeyword,
    AwaitArgument,
    ChangeFromImport,
    RemoveArgument,
    RemoveKeyword,
    RemoveParameter,
    RenameKeyword,
    ReplaceExpression,
)

_Argument = AddKeyword | RemoveKeyword | RenameKeyword | RemoveArgument
ExpressionOperation = ReplaceExpression | AwaitArgument | _Argument


def change_expression(operation: ExpressionOperation, node: cst.BaseExpression) -> cst.BaseExpression:
    """Carry out ``operation`` on ``node``. Raises MisplacedError when it is no call but must be."""
    if isinstance(operation, ReplaceExpression):
        return cst.parse_expression(operation.code).with_changes(
            **{name: getattr(node, name) for name in ("lpar", "rpar") if getattr(node, name, ())}
        )
    if not isinstance(node, cst.Call):
        raise MisplacedError(f"a call was expected, not {type(node).__name__}")
    match operation:
        case AwaitArgument():
            return _await_argument(node)
        case AddKeyword(name=name, value=value):
            return _add_keyword(node, name, value)
        case RemoveKeyword(name=name):
            return _without(node, [a for a in node.args if a.keyword is not None and a.keyword.value == name])
        case RemoveArgument(index=index):
            return _without(node, [node.args[index]])
        case RenameKeyword(name=name, to=to):
            return _rename_keyword(node, name, to)


def _await_argument(call: cst.Call) -> cst.Await:
    """``run(c)`` -> ``await c``; comments around the argument are kept by keeping its parentheses."""
    argument = call.args[0].value
    if isinstance(call.whitespace_before_args, cst.ParenthesizedWhitespace) and not argument.lpar:
        argument = _keep_layout(call, argument)
    elif not argument.lpar and not isinstance(argument, cst.Call | cst.Name | cst.Attribute | cst.Subscript):
        argument = argument.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    if not argument.lpar and not _stands_alone(argument):
        argument = parenthesised(argument)
    return cst.Await(expression=argument, lpar=call.lpar, rpar=call.rpar)


def _stands_alone(node: cst.BaseExpression) -> bool:
    """Whether an expression means the same outside of brackets: it may have gone over several lines in them."""
    code = cst.Module([]).code_for_node(node)
    if "\n" not in code:
        return True
    try:
        ast.parse(code)
    except SyntaxError:
        return False
    return len(ast.parse(code).body) == 1


def _keep_layout(call: cst.Call, argument: cst.BaseExpression) -> cst.BaseExpression:
    """Drop the line breaks around the argument, unless they carry a comment."""
    after = call.args[0].whitespace_after_arg
    comma = call.args[0].comma
    parts = [call.whitespace_before_args, after]
    if isinstance(comma, cst.Comma):
        parts += [comma.whitespace_before, comma.whitespace_after]
    has_comment = any("#" in cst.Module([]).code_for_node(part) for part in parts)
    is_simple = isinstance(argument, cst.Call | cst.Name | cst.Attribute | cst.Subscript)
    if not has_comment and is_simple and _stands_alone(argument):
        assert isinstance(call.whitespace_before_args, cst.ParenthesizedWhitespace)
        moved = argument.visit(Dedent(call.whitespace_before_args.last_line.value))
        assert isinstance(moved, cst.BaseExpression)
        return moved
    trailing = parts[-1] if isinstance(comma, cst.Comma) else after
    return argument.with_changes(
        lpar=[cst.LeftParen(whitespace_after=call.whitespace_before_args)],
        rpar=[cst.RightParen(whitespace_before=trailing)],
    )


class Dedent(cst.CSTTransformer):
    """Takes one step of indentation off the continuation lines of an expression."""

    def __init__(self, step: str) -> None:
        super().__init__()
        self._step = step

    def leave_ParenthesizedWhitespace(
        self, original_node: cst.ParenthesizedWhitespace, updated_node: cst.ParenthesizedWhitespace
    ) -> cst.ParenthesizedWhitespace:
        """Called by libcst for every line break."""
        shorter = updated_node.last_line.value.removeprefix(self._step)
        return updated_node.with_changes(last_line=cst.SimpleWhitespace(shorter))


def needs_parentheses(parent: cst.CSTNode, child: cst.CSTNode) -> bool:
    """Whether an ``await`` in the place of ``child`` binds too loosely inside ``parent``."""
    match parent:
        case cst.Attribute(value=value) | cst.Subscript(value=value):
            return value is child
        case cst.Call(func=func):
            return func is child
        case cst.Await():
            return True
        case cst.BinaryOperation(left=left, operator=cst.Power()):
            return left is child
    return False


def parenthesised(node: cst.BaseExpression) -> cst.BaseExpression:
    """``node`` inside one more pair of parentheses, unless it has one."""
    if node.lpar:
        return node
    return node.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])


def _add_keyword(call: cst.Call, name: str, value: str) -> cst.Call:
    parsed = cst.parse_expression(value)
    arguments = list(call.args)
    if len(arguments) == 1 and isinstance(arguments[0].value, cst.GeneratorExp) and not arguments[0].keyword:
        arguments[0] = arguments[0].with_changes(value=parenthesised(arguments[0].value))
    for index, argument in enumerate(arguments):
        if argument.keyword is not None and argument.keyword.value == name:
            arguments[index] = argument.with_changes(value=parsed)
            return call.with_changes(args=arguments)
    tight = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
    added = cst.Arg(keyword=cst.Name(name), value=parsed, equal=tight)
    if arguments:
        last = arguments[-1]
        separator: cst.BaseParenthesizableWhitespace = cst.SimpleWhitespace(" ")
        if isinstance(last.comma, cst.Comma):
            added = added.with_changes(comma=last.comma)
            separator = call.whitespace_before_args if len(arguments) == 1 else _separator(arguments[-2])
            if not isinstance(separator, cst.ParenthesizedWhitespace) and not separator.empty:
                separator = cst.SimpleWhitespace(" ")
            if isinstance(separator, cst.SimpleWhitespace) and separator.empty:
                separator = cst.SimpleWhitespace(" ")
        else:
            added = added.with_changes(whitespace_after_arg=last.whitespace_after_arg)
            if isinstance(call.whitespace_before_args, cst.ParenthesizedWhitespace):
                separator = call.whitespace_before_args if len(arguments) == 1 else _separator(arguments[-2])
        arguments[-1] = last.with_changes(
            comma=cst.Comma(whitespace_after=separator), whitespace_after_arg=cst.SimpleWhitespace("")
        )
    return call.with_changes(args=[*arguments, added])


def _separator(argument: cst.Arg) -> cst.BaseParenthesizableWhitespace:
    if isinstance(argument.comma, cst.Comma):
        return argument.comma.whitespace_after
    return cst.SimpleWhitespace(" ")


def _without(call: cst.Call, removed: list[cst.Arg]) -> cst.Call:
    """The call without some arguments; the last one that stays gets the end of the last one of before."""
    kept = [argument for argument in call.args if argument not in removed]
    if kept and kept[-1] is not call.args[-1]:
        last = call.args[-1]
        kept[-1] = kept[-1].with_changes(comma=last.comma, whitespace_after_arg=last.whitespace_after_arg)
    if not kept and "#" not in cst.Module([]).code_for_node(call.whitespace_before_args):
        return call.with_changes(args=[], whitespace_before_args=cst.SimpleWhitespace(""))
    return call.with_changes(args=kept)


def _rename_keyword(call: cst.Call, name: str, to: str) -> cst.Call:
    arguments = [
        a.with_changes(keyword=a.keyword.with_changes(value=to)) if a.keyword and a.keyword.value == name else a
        for a in call.args
    ]
    return call.with_changes(args=arguments)


def remove_parameter(operation: RemoveParameter, function: cst.FunctionDef) -> cst.FunctionDef:
    """Take one parameter out of a function; the last one left takes its comma. Raises MisplacedError."""
    parameters = function.params
    for field in ("posonly_params", "params", "kwonly_params"):
        some = list(getattr(parameters, field))
        kept = [p for p in some if p.name.value != operation.name]
        if len(kept) == len(some):
            continue
        if kept and kept[-1] is not some[-1]:
            last = some[-1]
            kept[-1] = kept[-1].with_changes(comma=last.comma, whitespace_after_param=last.whitespace_after_param)
        changes: dict[str, object] = {field: kept}
        if field == "kwonly_params" and not kept and isinstance(parameters.star_arg, cst.ParamStar):
            before = [p.with_changes(comma=cst.MaybeSentinel.DEFAULT) for p in parameters.params[-1:]]
            changes |= {"star_arg": cst.MaybeSentinel.DEFAULT, "params": [*parameters.params[:-1], *before]}
        left = parameters.with_changes(**changes)
        changed = function.with_changes(params=left)
        if not left.params and not left.posonly_params and not left.kwonly_params and left.star_kwarg is None:
            return changed.with_changes(whitespace_before_params=cst.SimpleWhitespace(""))
        return changed
    raise MisplacedError(f"{function.name.value} has no parameter {operation.name}")


def change_from_import(operation: ChangeFromImport, statement: cst.SimpleStatementLine) -> cst.SimpleStatementLine:
    """Add a name to a ``from x import a, b`` and take one out; sorted names stay sorted."""
    imported = statement.body[0]
    if not isinstance(imported, cst.ImportFrom) or isinstance(imported.names, cst.ImportStar):
        raise MisplacedError("a from-import was expected")
    aliases = list(imported.names)
    names = [_alias_name(alias) for alias in aliases]
    if operation.add and operation.add not in names:
        if operation.remove in names:
            at = names.index(operation.remove)
            aliases[at] = aliases[at].with_changes(name=cst.Name(operation.add), asname=None)
            return statement.with_changes(body=[imported.with_changes(names=aliases), *statement.body[1:]])
        at = next((i for i, name in enumerate(names) if name > operation.add), len(names))
        at = at if names == sorted(names) else len(names)
        aliases.insert(at, cst.ImportAlias(name=cst.Name(operation.add)))
        aliases = _with_commas(aliases, list(imported.names))
    elif operation.remove in names:
        del aliases[names.index(operation.remove)]
        aliases = _with_commas(aliases, list(imported.names))
    return statement.with_changes(body=[imported.with_changes(names=aliases), *statement.body[1:]])


def _alias_name(alias: cst.ImportAlias) -> str:
    return alias.name.value if isinstance(alias.name, cst.Name) else ""


def _with_commas(aliases: list[cst.ImportAlias], before: list[cst.ImportAlias]) -> list[cst.ImportAlias]:
    """Give every alias the comma that its place asks for, in the style of the old list."""
    between = before[0].comma if len(before) > 1 else cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    last = before[-1].comma
    return [alias.with_changes(comma=between) for alias in aliases[:-1]] + [aliases[-1].with_changes(comma=last)]
