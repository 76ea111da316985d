"""Calls around expressions, and the arguments of a call as a list of their own."""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst

from codemods.rewriting.expressions import Dedent
from codemods.rewriting.locate import MisplacedError
from codemods.rewriting.operations import NameArguments, WrapInCall


def wrap_in_call(operation: WrapInCall, node: cst.BaseExpression, indent: str) -> cst.Call:
    """``x`` -> ``function(x)``; a call over several lines gets lines of its own in there."""
    function = cst.parse_expression(operation.function)
    end = _closing_line(node)
    if end is None:
        return cst.Call(func=function, args=[cst.Arg(value=node)])
    inside = end.with_changes(last_line=cst.SimpleWhitespace(end.last_line.value + indent), empty_lines=[])
    inside = inside.with_changes(first_line=cst.TrailingWhitespace())
    deeper = node.visit(_Indent(indent))
    assert isinstance(deeper, cst.BaseExpression)
    plain = inside.with_changes(last_line=end.last_line)
    return cst.Call(
        func=function, args=[cst.Arg(value=deeper, whitespace_after_arg=plain)], whitespace_before_args=inside
    )


def _closing_line(node: cst.BaseExpression) -> cst.ParenthesizedWhitespace | None:
    """What stands in front of the closing parenthesis of a call that has it on a line of its own."""
    if not isinstance(node, cst.Call) or not node.args:
        return None
    last = node.args[-1]
    after = last.comma.whitespace_after if isinstance(last.comma, cst.Comma) else last.whitespace_after_arg
    if isinstance(last.whitespace_after_arg, cst.ParenthesizedWhitespace):
        after = last.whitespace_after_arg
    return after if isinstance(after, cst.ParenthesizedWhitespace) else None


class _Indent(cst.CSTTransformer):
    """Puts the continuation lines of an expression one step further in."""

    def __init__(self, step: str) -> None:
        super().__init__()
        self._step = step

    def leave_ParenthesizedWhitespace(
        self, original_node: cst.ParenthesizedWhitespace, updated_node: cst.ParenthesizedWhitespace
    ) -> cst.ParenthesizedWhitespace:
        return updated_node.with_changes(last_line=cst.SimpleWhitespace(self._step + updated_node.last_line.value))


def name_arguments(
    operation: NameArguments, node: cst.BaseExpression, indent: str
) -> tuple[cst.Call, cst.SimpleStatementLine]:
    """``f(a, b)`` -> ``f(*name)`` and ``name = [a, b]``. Raises MisplacedError when ``node`` is no call."""
    if not isinstance(node, cst.Call):
        raise MisplacedError(f"a call was expected, not {type(node).__name__}")
    positional = [argument for argument in node.args if argument.keyword is None]
    named = [argument for argument in node.args if argument.keyword is not None]
    if named and positional:
        positional[-1] = positional[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
    only = positional[0].value if len(positional) == 1 and positional[0].star else None
    made: cst.List | cst.ListComp
    if operation.each and only is not None:
        made = cst.ListComp(
            elt=cst.Call(func=cst.parse_expression(operation.each), args=[cst.Arg(value=cst.Name(operation.item))]),
            for_in=cst.CompFor(target=cst.Name(operation.item), iter=only),
        )
    elif isinstance(only, cst.ListComp | cst.GeneratorExp):
        made = _as_list(only)
        if isinstance(node.whitespace_before_args, cst.ParenthesizedWhitespace):
            moved = made.visit(Dedent(node.whitespace_before_args.last_line.value))
            assert isinstance(moved, cst.ListComp)
            made = moved
    elif isinstance(only, cst.List):
        made = only
    else:
        made = _list_of_arguments(node, positional)
    if operation.spread:
        made = _spread(made, indent)
    name = cst.AssignTarget(target=cst.Name(operation.name))
    assignment = cst.SimpleStatementLine(body=[cst.Assign(targets=[name], value=made)])
    comma = cst.Comma(whitespace_after=cst.SimpleWhitespace(" ")) if named else cst.MaybeSentinel.DEFAULT
    call = node.with_changes(
        args=[cst.Arg(value=cst.Name(operation.name), star="*", comma=comma), *named],
        whitespace_before_args=cst.SimpleWhitespace(""),
    )
    return call, assignment


def _as_list(made: cst.ListComp | cst.GeneratorExp) -> cst.ListComp:
    if isinstance(made, cst.ListComp):
        return made
    left = cst.LeftSquareBracket(whitespace_after=made.lpar[0].whitespace_after)
    right = cst.RightSquareBracket(whitespace_before=made.rpar[-1].whitespace_before)
    return cst.ListComp(elt=made.elt, for_in=made.for_in, lbracket=left, rbracket=right)


def _list_of_arguments(call: cst.Call, arguments: Sequence[cst.Arg]) -> cst.List:
    """The positional arguments as a list, in the layout of the call."""
    elements: list[cst.BaseElement] = []
    for argument in arguments:
        if argument.star:
            before = argument.whitespace_after_star
            elements.append(
                cst.StarredElement(value=argument.value, whitespace_before_value=before, comma=argument.comma)
            )
        else:
            elements.append(cst.Element(value=argument.value, comma=argument.comma))
    return cst.List(
        elements=elements,
        lbracket=cst.LeftSquareBracket(whitespace_after=call.whitespace_before_args),
        rbracket=cst.RightSquareBracket(whitespace_before=arguments[-1].whitespace_after_arg),
    )


def _spread(made: cst.List | cst.ListComp, indent: str) -> cst.List | cst.ListComp:
    """A line for each element of a list, or for the element and the loop of a comprehension."""
    inside = cst.ParenthesizedWhitespace(indent=True, last_line=cst.SimpleWhitespace(indent))
    outside = cst.ParenthesizedWhitespace(indent=True)
    left, right = cst.LeftSquareBracket(whitespace_after=inside), cst.RightSquareBracket(whitespace_before=outside)
    if isinstance(made, cst.ListComp):
        return made.with_changes(
            lbracket=left, rbracket=right, for_in=made.for_in.with_changes(whitespace_before=inside)
        )
    between, end = cst.Comma(whitespace_after=inside), cst.Comma(whitespace_after=cst.SimpleWhitespace(""))
    elements = [element.with_changes(comma=between) for element in made.elements[:-1]]
    return made.with_changes(
        elements=[*elements, made.elements[-1].with_changes(comma=end)], lbracket=left, rbracket=right
    )
