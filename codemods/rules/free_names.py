"""Which names a rewrite may give to something that lives for a few statements."""

from __future__ import annotations

import ast
from collections.abc import Collection

from codemods.facts.flow import repeating_loop
from codemods.facts.module import FunctionNode, Module
from codemods.facts.task_uses import Use
from codemods.facts.tasks import tasks_of
from codemods.facts.variables import bound_otherwise, own_names
from codemods.rules.task_endings import only_cancels


def first_free(names: tuple[str, ...], taken: Collection[str]) -> str:
    """The first of ``names`` that is not ``taken``; the last one numbered if all are: ``left_2``."""
    for name in names:
        if name not in taken:
            return name
    number = 2
    while f"{names[-1]}_{number}" in taken:
        number += 1
    return f"{names[-1]}_{number}"


class Names:
    """The names of one function, as seen from a statement of it."""

    def __init__(self, module: Module, statement: ast.stmt, function: FunctionNode) -> None:
        self._module = module
        self._statement = statement
        self._function = function
        self._taken = own_names(function) | set(module.imports.names)

    def is_free(self, name: str) -> bool:
        """Whether no use of ``name`` in the function needs the value that it has at the statement."""
        if name not in self._taken:
            return True
        module, function = self._module, self._function
        if repeating_loop(module, self._statement) or name in module.imports.names or not self._is_variable(name):
            return False
        held = [one for one in tasks_of(module).locals if one.code == name and one.scope is function]
        if any(not holder.used(Use.SETTLE) for holder in held):
            return False  # its tasks still run
        uses = [use for use in module.uses(name, function) if not only_cancels(module, use)]
        earlier = [use for use in uses if (use.end_lineno or 0) < self._statement.lineno]
        later = sorted((use for use in uses if use not in earlier), key=lambda use: use.lineno)
        bound = any(isinstance(use.ctx, ast.Store) for use in uses) or not uses
        here = all(module.scope(use) is function for use in uses)
        renewed = not later or (bool(held) and self._is_renewed(later[0]))
        return bound and here and renewed

    def _is_variable(self, name: str) -> bool:
        """Whether nothing but assignments binds a local name: no parameter, definition, declaration or handler."""
        module, function = self._module, self._function
        arguments = any(module.binding_scope(argument) is function for argument in module.arguments(name))
        return not (arguments or module.declarations(name) or bound_otherwise(module, name, function))

    def _is_renewed(self, use: ast.Name) -> bool:
        """Whether a name gets another value, on any way from the statement to what reads it."""
        binding = self._module.parent(use)
        if not isinstance(binding, ast.Assign) or binding.targets != [use] or use.lineno <= self._statement.lineno:
            return False
        return self._module.block(binding).owner in self._module.ancestors(self._statement)
