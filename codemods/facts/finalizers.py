"""Which functions of a file run when an object or the program ends."""

from __future__ import annotations

import ast

from codemods.facts.callees import given_function
from codemods.facts.module import FunctionNode, Module


def finalizers(module: Module) -> set[FunctionNode | ast.Lambda]:
    """Every ``__del__``, and what ``atexit.register`` and ``weakref.finalize`` are given."""
    calls = module.calls("atexit.register", "weakref.finalize")
    given = {given_function(module, value) for call in calls for value in call.args[:2]}
    found = {function for function in given if function is not None}
    for function in module.functions:
        decorators = {module.qualname(decorator) for decorator in function.decorator_list}
        if function.name == "__del__" or "atexit.register" in decorators:
            found.add(function)
    return found
