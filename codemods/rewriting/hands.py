"""The libcst transformer that carries out the operations of one rewrite.

It decides nothing: every node it changes was named by an operation, and what cannot be
found raises MisplacedError, which rejects the rewrite and leaves the file alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst

from codemods.model import Operation
from codemods.rewriting.blocks import BlockEditor, BlockOperation, Hoist, join_items
from codemods.rewriting.expressions import (
    ExpressionOperation,
    change_expression,
    change_from_import,
    needs_parentheses,
    parenthesised,
    remove_parameter,
)
from codemods.rewriting.lists import name_arguments, wrap_in_call
from codemods.rewriting.locate import Locator, MisplacedError, Statement
from codemods.rewriting.operations import (
    AddFinally,
    AddKeyword,
    AwaitArgument,
    ChangeFromImport,
    EnterAsyncWith,
    ExtractCoroutine,
    InsertAfter,
    InsertBefore,
    NameArguments,
    NameValue,
    RemoveArgument,
    RemoveDefinition,
    RemoveFinally,
    RemoveKeyword,
    RemoveParameter,
    RemoveStatement,
    RenameKeyword,
    ReplaceExpression,
    ReplaceStatement,
    Unwrap,
    WrapInCall,
    WrapInTry,
    WrapInWith,
)


class Hands(cst.CSTTransformer):
    """Carries out ``operations`` while the tree that ``locate`` knows is visited once."""

    def __init__(self, operations: Sequence[Operation], locate: Locator) -> None:
        super().__init__()
        self._locate = locate
        self._expressions: dict[cst.CSTNode, ExpressionOperation] = {}
        self._wrapped: dict[cst.CSTNode, WrapInCall] = {}
        self._named: dict[cst.CSTNode, NameArguments] = {}
        self._imports: dict[cst.CSTNode, list[ChangeFromImport]] = {}
        self._signatures: dict[cst.CSTNode, RemoveParameter] = {}
        self._blocks: dict[Statement, list[BlockOperation]] = {}
        self._hoisted: list[tuple[Statement, Statement]] = []
        self._lists: list[tuple[Statement, Statement]] = []
        """What ``NameArguments`` made, and the statement that each goes in front of."""
        self._pulled: dict[Statement, Statement | None] = {}
        """What ``ExtractCoroutine`` pulls out of an outer block, as it was and as it has become."""
        self._indent = ""
        self._pending = len(operations)
        for operation in operations:
            self._plan(operation)

    def _plan(self, operation: Operation) -> None:
        match operation:
            case ReplaceExpression(at=at) | AwaitArgument(at=at):
                self._expressions[self._locate.expression(at)] = operation
            case WrapInCall(at=at):
                self._wrapped[self._locate.expression(at)] = operation
            case NameArguments(at=at):
                self._named[self._locate.expression(at)] = operation
            case AddKeyword(at=at) | RemoveKeyword(at=at) | RemoveArgument(at=at):
                self._expressions[self._locate.expression(at)] = operation
            case RenameKeyword(at=at):
                self._expressions[self._locate.expression(at)] = operation
            case RemoveParameter(at=at):
                self._signatures[self._locate.statement(at)] = operation
            case ChangeFromImport(at=at):
                self._imports.setdefault(self._locate.statement(at), []).append(operation)
            case RemoveStatement(at=first) | RemoveFinally(at=first) | AddFinally(at=first):
                self._blocks.setdefault(self._locate.statement(first), []).append(operation)
            case RemoveDefinition(at=first) | ReplaceStatement(at=first) | Unwrap(at=first):
                self._blocks.setdefault(self._locate.statement(first), []).append(operation)
            case NameValue(at=first) | InsertBefore(at=first):
                self._blocks.setdefault(self._locate.statement(first), []).append(operation)
            case InsertAfter(at=first) | EnterAsyncWith(binding=first):
                self._blocks.setdefault(self._locate.statement(first), []).append(operation)
            case WrapInWith(first=first) | WrapInTry(first=first) | ExtractCoroutine(first=first):
                self._blocks.setdefault(self._locate.statement(first), []).append(operation)
                if isinstance(operation, ExtractCoroutine):
                    self._pulled.update((self._locate.statement(at), None) for at, _ in operation.pulled)
            case _:
                raise MisplacedError(f"{type(operation).__name__} is not an operation on Python code")

    def finish(self) -> None:
        """Raise MisplacedError unless every operation was carried out."""
        if self._pending:
            raise MisplacedError("part of the rewrite found nothing to work on")

    def visit_Module(self, node: cst.Module) -> None:
        """Note how the file indents."""
        self._indent = node.default_indent

    def on_leave(self, original_node: cst.CSTNode, updated_node: cst.CSTNode) -> cst.CSTNode:  # type: ignore[override]
        """Dispatch on the node that an operation named; libcst calls it for every node."""
        node = self._changed(original_node, updated_node)
        if original_node in self._pulled:
            self._pulled[original_node] = node  # type: ignore[index, assignment]
        return node

    def _changed(self, original_node: cst.CSTNode, node: cst.CSTNode) -> cst.CSTNode:
        if original_node in self._expressions:
            assert isinstance(node, cst.BaseExpression)
            self._pending -= 1
            return change_expression(self._expressions[original_node], node)
        if original_node in self._wrapped:
            assert isinstance(node, cst.BaseExpression)
            self._pending -= 1
            return wrap_in_call(self._wrapped[original_node], node, self._indent)
        if original_node in self._named:
            assert isinstance(node, cst.BaseExpression)
            self._pending -= 1
            operation = self._named[original_node]
            node, assignment = name_arguments(operation, node, self._indent)
            self._lists.append((assignment, self._locate.statement(operation.before)))
            return node
        for change in self._imports.get(original_node, ()):
            assert isinstance(node, cst.SimpleStatementLine)
            self._pending -= 1
            node = change_from_import(change, node)
        if original_node in self._signatures:
            assert isinstance(node, cst.FunctionDef)
            self._pending -= 1
            return remove_parameter(self._signatures[original_node], node)
        if isinstance(original_node, cst.IndentedBlock | cst.Module):
            assert isinstance(node, cst.IndentedBlock | cst.Module)
            return self._edit_block(original_node, node)
        if isinstance(original_node, cst.With) and isinstance(node, cst.With):
            return self._join(original_node, node)
        return self._keep_precedence(original_node, node)

    def _keep_precedence(self, original: cst.CSTNode, updated: cst.CSTNode) -> cst.CSTNode:
        """Put parentheses around an ``await`` that came to stand where it binds too loosely."""
        changes: dict[str, cst.CSTNode] = {}
        for field in ("value", "func", "expression", "left"):
            before, after = getattr(original, field, None), getattr(updated, field, None)
            if before in self._expressions and isinstance(after, cst.Await) and needs_parentheses(updated, after):
                changes[field] = parenthesised(after)
        return updated.with_changes(**changes) if changes else updated

    def _edit_block(
        self, original: cst.IndentedBlock | cst.Module, updated: cst.IndentedBlock | cst.Module
    ) -> cst.IndentedBlock | cst.Module:
        operations = [op for statement in original.body for op in self._blocks.get(statement, ())]
        is_top = isinstance(original, cst.Module)
        arriving = [(new, before) for new, before in self._hoisted if before in original.body]
        lists = [(new, before) for new, before in self._lists if before in original.body]
        if not operations and not arriving and not lists:
            return updated
        editor = BlockEditor(original.body, updated.body, updated.footer, top=is_top)
        for assignment, before in lists:
            editor.insert_before(before, assignment)
        for operation in sorted(operations, key=_order):
            try:
                editor.apply(operation, self._locate, self._pulled)
            except Hoist as hoist:
                assert isinstance(operation, ExtractCoroutine)
                assert operation.before is not None
                self._hoisted.append((hoist.definition, self._locate.statement(operation.before)))
            self._pending -= 1
        for definition, before in arriving:
            editor.hoist(definition, before)
        return updated.with_changes(body=editor.statements, footer=editor.footer)

    def _join(self, original: cst.With, updated: cst.With) -> cst.With:
        """Join an ``async with`` that a block operation made first in this one, when it says so."""
        if not isinstance(original.body, cst.IndentedBlock) or not isinstance(updated.body, cst.IndentedBlock):
            return updated
        wanted = any(isinstance(op, EnterAsyncWith) and op.join for op in self._blocks.get(original.body.body[0], ()))
        inner = updated.body.body[0]
        if wanted and len(updated.body.body) == 1 and isinstance(inner, cst.With):
            return join_items(updated, inner)
        return updated


def _order(operation: BlockOperation) -> int:
    """Within one block: take out, then insert, then wrap what is left."""
    return _TURNS.index(type(operation))


_TURNS = (
    *(RemoveStatement, RemoveDefinition, RemoveFinally, Unwrap, AddFinally),
    *(NameValue, ReplaceStatement, InsertBefore, InsertAfter),
    *(WrapInWith, WrapInTry, EnterAsyncWith, ExtractCoroutine),
)
