"""What becomes of a resource: who uses it, what is made of it, where it gets away.

The value is followed upwards from every read of its name: through method calls to what
they give (a response, a cursor, a coroutine), through assignments to further names, into
functions of the same file, until it is used up or leaves the function.
"""

from __future__ import annotations

import ast

from codemods.catalog.resources import Catalog, Resource
from codemods.facts import vocabulary as words
from codemods.facts.comprehensions import evaluated_later, items_read
from codemods.facts.handing import handed, makes_task
from codemods.facts.module import FunctionNode, Module, ScopeNode
from codemods.facts.nodes import FUNCTIONS
from codemods.facts.reaching import reads_of
from codemods.facts.results import AWAITED, lives_on, result_of
from codemods.facts.traces import Escape, Held, State, Trace

_WHOLE = (State.SELF, State.PART)


class Tracer:
    """Follows resources through one file."""

    def __init__(self, module: Module, catalog: Catalog) -> None:
        self.module = module
        self.catalog = catalog
        self._callees: dict[tuple[FunctionNode, str], Trace] = {}

    def trace(
        self, resource: Resource, name: str, binding: ast.stmt, scope: ScopeNode, companions: tuple[str, ...] = ()
    ) -> Trace:
        """Follow the resource that ``binding`` puts into the local ``name`` of ``scope``."""
        follower = Follower(self, resource, scope)
        follower.add(name, State.SELF, binding)
        for companion in companions:
            follower.add(companion, State.LIVE, binding)
        return follower.run()

    def trace_value(self, resource: Resource, value: ast.expr, scope: ScopeNode) -> Trace:
        """Follow the resource that ``value`` gives where it is used on the spot, without a name."""
        follower = Follower(self, resource, scope)
        follower.birth = self.module.statement(value)
        return follower.run(value)

    def callee(self, resource: Resource, function: FunctionNode, parameter: str) -> Trace:
        """What ``function`` does with the resource that it gets as ``parameter``."""
        key = (function, parameter)
        if key not in self._callees:
            self._callees[key] = Trace()  # what a recursive call sees
            follower = Follower(self, resource, function)
            follower.add(parameter, State.SELF, function.body[0], is_parameter=True)
            self._callees[key] = follower.run()
        return self._callees[key]


class Follower:
    """Follows one resource through one function."""

    def __init__(self, tracer: Tracer, resource: Resource, scope: ScopeNode) -> None:
        self.tracer = tracer
        self.module = tracer.module
        self.resource = resource
        self.scope = scope
        self.birth: ast.stmt | None = None
        self.trace = Trace()
        self.held: dict[tuple[str, ast.stmt], Held] = {}
        self._todo: list[tuple[Held, bool]] = []
        self._here: Held | None = None

    def add(
        self, name: str, state: State, binding: ast.stmt, *, is_task: bool = False, is_parameter: bool = False
    ) -> None:
        """Note that ``name`` holds something to follow."""
        if (name, binding) not in self.held:
            if state is State.SELF:
                self.birth = binding
            held = self.held[name, binding] = Held(name, state, binding, is_task, self._here)
            self._todo.append((held, is_parameter))

    def run(self, value: ast.expr | None = None) -> Trace:
        """Follow ``value``, where there is one, and every name until no new one turns up."""
        if value is not None and not self._is_ending(value):
            self._climb(value, State.SELF)
        while self._todo:
            held, is_parameter = self._todo.pop()
            if is_parameter:
                loads = [n for n in self.module.uses(held.name, self.scope) if isinstance(n.ctx, ast.Load)]
            else:
                loads, mixed = reads_of(self.module, held.name, held.binding, self.scope)
                if held.state is State.SELF:
                    self.trace.mixed = mixed
            for load in loads:
                self._here = held
                self._follow_read(load, held)
        for held in self.held.values():
            if held.is_task and not held.awaited:
                self.trace.escapes.append(Escape("task", held.binding, held.name))
        return self.trace

    def _follow_read(self, load: ast.Name, held: Held) -> None:
        inner = self.module.function(load)
        if inner is not self.scope:
            self._captured(load, held, inner)
            return
        if held.state is State.SELF and self._is_ending(load):
            return
        if held.state is State.SELF and self._is_peek(load):
            self.trace.peeks.append(load)
            return
        self.trace.reads.append(load)
        self._climb(load, held.state)

    # -- the object itself ------------------------------------------------------------------

    def _path(self, node: ast.expr) -> tuple[str, ast.expr]:
        """The attributes taken from ``node``, dotted, and the outermost of those expressions."""
        parts: list[str] = []
        top: ast.expr = node
        above = self.module.parent(top)
        while isinstance(above, ast.Attribute):
            parts.append(above.attr)
            top = above
            above = self.module.parent(top)
        return ".".join(parts), top

    def _is_ending(self, load: ast.expr) -> bool:
        """Note a call that closes the object, or one that is given the means to."""
        path, top = self._path(load)
        above = self.module.parent(top)
        called = isinstance(above, ast.Call) and above.func is top
        if path in self.resource.closers:
            if called:
                assert isinstance(above, ast.Call)
                self.trace.closes.append(above)
            elif not isinstance(above, ast.Compare | ast.BoolOp | ast.UnaryOp | ast.If):
                self.trace.managed = True
            return True
        if path == "wait_closed" and called:
            assert isinstance(above, ast.Call)
            self.trace.waits.append(above)
            return True
        if called and path.rpartition(".")[2] in words.SERVING:
            self.trace.managed = True
            return True
        return False

    def _is_peek(self, load: ast.Name) -> bool:
        path, top = self._path(load)
        above = self.module.parent(top)
        if not path:
            return isinstance(above, ast.Compare | ast.UnaryOp) or (
                isinstance(above, ast.If | ast.While) and above.test is top
            )
        return path in words.STATE_ATTRIBUTES

    def _captured(self, load: ast.Name, held: Held, inner: ast.AST | None) -> None:
        if held.state is State.SELF:
            path, top = self._path(load)
            above = self.module.parent(top)
            if path in self.resource.closers and isinstance(above, ast.Call):
                self.trace.managed = True
                return
        name = inner.name if isinstance(inner, FUNCTIONS) else "a lambda"
        self.trace.escapes.append(Escape("captured", load, name))

    # -- upwards ----------------------------------------------------------------------------

    def _climb(self, node: ast.expr, state: State) -> None:
        """Follow the value of ``node`` upwards until it is used up or leaves."""
        current: ast.expr = node
        while state is not State.PLAIN:
            parent = self.module.parent(current)
            if isinstance(parent, ast.Attribute):
                path, top = self._path(current)
                if state is State.SELF:
                    self.trace.attributes.add(path.partition(".")[0])
                above = self.module.parent(top)
                if isinstance(above, ast.Call) and above.func is top:
                    state = self._called(above, path, state)
                    current = above
                elif path.rpartition(".")[2] in words.STATE_ATTRIBUTES:
                    state = State.PLAIN
                else:
                    attribute = path.rpartition(".")[2]
                    live = attribute in words.LIVE_ATTRIBUTES or words.LIVE_METHOD.search(attribute)
                    if not isinstance(top.ctx, ast.Load):  # type: ignore[attr-defined]
                        state = State.PLAIN
                    elif state in _WHOLE:
                        state = State.PART
                    else:
                        state = State.LIVE if live or lives_on(self.module, top, self.scope) else State.PLAIN
                    current = top
            elif isinstance(parent, ast.Await):
                self._note_awaited()
                state = AWAITED[state]
                current = parent
                if state is State.PLAIN and lives_on(self.module, current, self.scope):
                    state = State.LIVE
                if state is State.PLAIN and (generator := evaluated_later(self.module, current)) is not None:
                    current, state = generator, State.PENDING  # awaited only when that is iterated
            elif isinstance(parent, ast.Call | ast.keyword):
                call = parent if isinstance(parent, ast.Call) else self.module.parent(parent)
                if not isinstance(call, ast.Call):
                    return  # a keyword of a class statement
                called = call.func is current
                state = self._called(call, "", state) if called else handed(self, call, current, state)
                current = call
            elif isinstance(parent, ast.Subscript):
                state = (State.PART if state in _WHOLE else state) if parent.value is current else State.PLAIN
                current = parent
            elif isinstance(parent, ast.Starred | ast.Tuple | ast.List | ast.Set | ast.Dict | ast.NamedExpr):
                if isinstance(parent, ast.NamedExpr):
                    self._bind([parent.target], state, parent)
                current = parent
            elif isinstance(parent, ast.BoolOp | ast.IfExp):
                if isinstance(parent, ast.IfExp) and parent.test is current:
                    return
                current = parent
            elif isinstance(parent, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
                current = parent
            elif isinstance(parent, ast.comprehension):
                if parent.iter is current and not parent.is_async:
                    for load in items_read(self.module, parent):
                        self._climb(load, state)
                    return
                self._note_awaited()
                around = self.module.parent(parent)
                if not isinstance(around, ast.GeneratorExp):
                    return
                current = around
            else:
                self._arrive(parent, current, state)
                return

    def _called(self, call: ast.Call, path: str, state: State) -> State:
        """What a method call on the value gives."""
        if state is State.SELF and path in self.resource.start:
            self.trace.starts.append(call)
            return State.PLAIN
        return result_of(self.resource, call, path, state, isinstance(self.module.parent(call), ast.Await))

    # -- where the climb ends ---------------------------------------------------------------

    def _arrive(self, parent: ast.AST | None, value: ast.expr, state: State) -> None:
        match parent:
            case ast.Return():
                self.escape("returned", parent, state)
            case ast.Yield() | ast.YieldFrom():
                self.escape("yielded", parent, state)
            case ast.Assign(targets=targets):
                self._bind(targets, state, value)
            case ast.AnnAssign(target=target) | ast.AugAssign(target=target):
                self._bind([target], state, value)
            case ast.For(target=target) if state is not State.SELF:
                self._bind([target], state, value)
            case ast.For():
                self.escape("container", parent, state)
            case ast.AsyncFor() | ast.withitem():
                self._note_awaited()
                if isinstance(parent, ast.withitem) and state is State.SELF:
                    self.trace.managed = True
            case ast.Match(cases=cases) if state is not State.SELF:
                for node in (n for one in cases for n in ast.walk(one.pattern)):
                    if isinstance(node, ast.MatchAs | ast.MatchStar) and node.name:
                        self.add(node.name, state, parent)
            case ast.arguments():
                self.escape("kept", parent, state, "a default value")

    def _bind(self, targets: list[ast.expr], state: State, value: ast.expr) -> None:
        """Follow the names that the value is assigned to; notice where it is stored."""
        statement = self.module.statement(value)
        for target in targets:
            if isinstance(target, ast.Tuple | ast.List):
                self._bind(target.elts, state, value)
            elif isinstance(target, ast.Starred):
                self._bind([target.value], state, value)
            elif isinstance(target, ast.Name) and not self.module.is_declared(target.id, self.scope):
                if state is State.SELF:
                    self.escape("alias", statement, state, target.id)
                else:
                    self.add(target.id, state, statement, is_task=makes_task(self.module, value))
            elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name) and state is not State.SELF:
                self.add(target.value.id, state, statement)
            elif isinstance(target, ast.expr):
                self.escape("stored", statement, state, self.module.code(target))

    def _note_awaited(self) -> None:
        held = self._here
        while held is not None and not held.awaited:
            held.awaited = True
            held = held.origin

    def escape(self, kind: str, node: ast.AST, state: State, into: str = "") -> None:
        """Note that the value gets away."""
        self.trace.escapes.append(Escape(kind if state is State.SELF else f"result-{kind}", node, into))
