"""Which functions of a file handle signals, and how they are registered."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from codemods.facts.callees import given_function, reached
from codemods.facts.module import Module
from codemods.facts.nodes import FUNCTIONS, walk_scope


@dataclass(frozen=True)
class Registration:
    """One call that says what happens on a signal."""

    call: ast.Call
    number: ast.expr
    """The signal."""
    handler: ast.expr
    by_loop: bool
    """By ``loop.add_signal_handler``, whose handlers the loop calls; else by ``signal.signal``."""


def registrations(module: Module) -> Iterator[Registration]:
    """Every handler that a file registers, in source order."""
    plain = module.calls("signal.signal")
    loops = [call for call in module.calls_ending("add_signal_handler") if isinstance(call.func, ast.Attribute)]
    for call in sorted([*plain, *loops], key=lambda call: call.lineno):
        if len(call.args) >= 2 and not any(isinstance(given, ast.Starred) for given in call.args[:2]):
            yield Registration(call, call.args[0], call.args[1], call in loops)


def handled(module: Module, handler: ast.expr) -> Iterator[ast.AST]:
    """What runs on the signal: the nodes of the handler and of the plain functions of this file that it calls."""
    function = given_function(module, handler)
    if isinstance(function, ast.Lambda):
        yield from walk_scope(function.body)
    elif isinstance(function, ast.FunctionDef):
        for one in reached(module, function, depth=2):
            if isinstance(one, ast.FunctionDef):
                yield from (n for s in one.body if not isinstance(s, FUNCTIONS) for n in walk_scope(s))
