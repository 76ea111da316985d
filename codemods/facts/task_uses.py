"""What a function does with a task, or a collection of tasks, that it holds."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

from codemods.facts.module import Module
from codemods.facts.nodes import FUNCTIONS, tail
from codemods.facts.variables import Variables

_HARMLESS = {"len", "isinstance", "bool", "print", "repr"}
_LOOKS = {"done", "cancelled", "cancelling", "get_name", "set_name", "get_coro", "print_stack"}
FILLING = {"append", "add"}
"""The methods that put one thing into a collection."""


class Use(Enum):
    """What a piece of code does with a task, or with a collection of tasks."""

    START = auto()
    """It puts a fresh task there."""
    CANCEL = auto()
    """``task.cancel()`` as a statement; for a collection, a loop that does it."""
    SETTLE = auto()
    """Behind it the task is done: ``await task``, ``gather``, ``wait_for``, ``while not task.done()``."""
    WATCH = auto()
    """It waits, but the task may still run behind it: ``asyncio.wait``, ``shield``, ``as_completed``."""
    TEST = auto()
    """It only looks: ``if task``, ``task.done()``, ``len(tasks)``."""
    KEEP = auto()
    """Somebody else gets it: returned, stored, captured, passed to a call."""


@dataclass
class Holder:
    """A local name or an attribute of ``self`` that holds a task, or a collection of tasks."""

    code: str
    """As the source spells it: ``task``, ``self._task``."""
    many: bool
    scope: ast.AST
    """The function that binds the name; for an attribute, its class."""
    starts: list[ast.Call] = field(default_factory=list)
    """The calls that start its tasks."""
    uses: list[tuple[Use, ast.expr]] = field(default_factory=list)
    bindings: list[ast.stmt] = field(default_factory=list)
    """The statements that assign to it as a whole."""
    known: bool = True
    """Whether it never holds anything but these tasks (and None)."""
    origin: ast.Name | None = None
    """For the ``pending`` of ``done, pending = await asyncio.wait(...)``: where it is bound."""

    @property
    def items(self) -> str:
        """The code that gives the tasks of a collection."""
        values = [getattr(binding, "value", None) for binding in self.bindings]
        keyed = any(
            isinstance(value, ast.Dict | ast.DictComp) or (isinstance(value, ast.Call) and tail(value.func) == "dict")
            for value in values
        )
        return f"{self.code}.values()" if keyed else self.code

    def used(self, *kinds: Use) -> list[ast.expr]:
        """The places where it is used in one of these ways."""
        return [node for kind, node in self.uses if kind in kinds]


class Reader:
    """Tells the uses of a holder apart by where they stand."""

    def __init__(self, module: Module, variables: Variables, is_task: Callable[[ast.expr], bool]) -> None:
        """``is_task`` says of an expression whether it is known to give an asyncio task."""
        self._module = module
        self._variables = variables
        self._is_task = is_task

    def classify(self, node: ast.expr, *, many: bool) -> Iterator[Use]:
        """The uses that the load ``node`` of a task (with ``many``: of a collection) stands for."""
        parent = self._module.parent(node)
        if isinstance(parent, ast.Attribute):
            yield from self._method(parent, many=many)
        elif many and (loop := self.loop_over(node)) is not None:
            yield from self._loop_uses(loop)
        elif isinstance(parent, ast.Await) and not many:
            yield Use.SETTLE
        elif many and isinstance(parent, ast.Subscript) and parent.value is node:
            yield self._item(parent)
        else:
            yield self._position(node)

    def _item(self, item: ast.Subscript) -> Use:
        if isinstance(item.ctx, ast.Del):
            return Use.TEST
        parent = self._module.parent(item)
        starts = isinstance(item.ctx, ast.Store) and isinstance(parent, ast.Assign) and self._is_task(parent.value)
        return Use.START if starts else Use.KEEP

    def _method(self, attribute: ast.Attribute, *, many: bool) -> Iterator[Use]:
        call = self._module.parent(attribute)
        name = attribute.attr
        if not (isinstance(call, ast.Call) and call.func is attribute):
            yield Use.TEST if name in {"discard", "remove"} else Use.KEEP  # a callback that forgets the task
        elif not many:
            yield self._task_method(name, call)
        elif name in FILLING and call.args:
            yield Use.START if self._is_task(call.args[0]) else Use.KEEP
        elif name in {"values", "copy"}:
            yield from self.classify(call, many=True)
        elif name in {"clear", "remove", "discard", "pop"} and isinstance(self._module.parent(call), ast.Expr):
            yield Use.TEST
        else:
            yield Use.KEEP

    def _task_method(self, name: str, call: ast.Call) -> Use:
        if name == "cancel":
            return Use.CANCEL if self.is_statement(call) else Use.TEST
        if name in _LOOKS:
            return Use.SETTLE if self._in_while_test(call) else Use.TEST
        return Use.SETTLE if name in {"result", "exception"} else Use.KEEP

    def is_statement(self, call: ast.Call) -> bool:
        """Whether the value of ``call`` is dropped: a statement, or ``[t.cancel() for t in tasks]`` as one."""
        parent = self._module.parent(call)
        if isinstance(parent, ast.ListComp) and parent.elt is call:
            parent = self._module.parent(parent)
        return isinstance(parent, ast.Expr)

    def _position(self, node: ast.expr) -> Use:
        """What becomes of a value by the place where it stands."""
        child: ast.AST = node
        for above in self._module.ancestors(node):
            match above:
                case ast.List() | ast.Set() | ast.Tuple() | ast.Starred() | ast.BoolOp() | ast.NamedExpr():
                    child = above
                    continue
                case ast.If(test=test) | ast.IfExp(test=test) | ast.Assert(test=test) | ast.While(test=test):
                    return Use.TEST if test is child else Use.KEEP
                case ast.Compare() | ast.UnaryOp(op=ast.Not()):
                    return Use.TEST
                case ast.comprehension(ifs=ifs):
                    return Use.TEST if child in ifs else Use.KEEP
                case ast.Call(func=function) if function is not child:
                    return self._argument(function)
            return Use.KEEP
        return Use.KEEP

    def _argument(self, function: ast.expr) -> Use:
        qualname = self._module.qualname(function)
        if qualname in {"asyncio.gather", "asyncio.wait_for"} or tail(function) == "run_until_complete":
            return Use.SETTLE
        if qualname in {"asyncio.wait", "asyncio.shield", "asyncio.as_completed"}:
            return Use.WATCH
        if isinstance(function, ast.Name) and function.id in _HARMLESS:
            return Use.TEST
        return Use.KEEP

    def _in_while_test(self, node: ast.expr) -> bool:
        child: ast.AST = node
        for above in self._module.ancestors(node):
            if isinstance(above, ast.stmt):
                return isinstance(above, ast.While) and above.test is child
            child = above
        return False

    # -- loops over collections -----------------------------------------------------------------

    def loop_over(self, node: ast.expr) -> ast.For | ast.comprehension | None:
        """The loop that goes over ``node``, or over ``list(node)``, with one name."""
        parent: ast.AST | None = self._module.parent(node)
        if isinstance(parent, ast.Call) and node in parent.args and tail(parent.func) in {"list", "set", "tuple"}:
            node, parent = parent, self._module.parent(parent)
        if isinstance(parent, ast.For | ast.comprehension) and parent.iter is node:
            return parent if isinstance(parent.target, ast.Name) else None
        return None

    def _loop_uses(self, loop: ast.For | ast.comprehension) -> Iterator[Use]:
        """The uses of a collection by a loop over it: those of the loop's variable."""
        assert isinstance(loop.target, ast.Name)
        around: ast.AST | None = loop if isinstance(loop, ast.For) else self._module.parent(loop)
        for name in self._variables.uses(loop.target.id).get(self._variables.binder(loop.target), ()):
            if isinstance(name.ctx, ast.Load) and around in list(self._module.ancestors(name)):
                captured = self._module.scope(name) is not self._module.scope(loop.target)
                yield from [Use.KEEP] if captured else self.classify(name, many=False)

    def loop_around(self, name: ast.Name) -> ast.AST | None:
        """The loop or comprehension around ``name`` whose variable it is."""
        for above in self._module.ancestors(name):
            if isinstance(above, FUNCTIONS):
                return None
            loops = [above] if isinstance(above, ast.For) else getattr(above, "generators", [])
            if any(isinstance(loop.target, ast.Name) and loop.target.id == name.id for loop in loops):
                return above
        return None
