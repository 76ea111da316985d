"""Where asyncio tasks are started, what holds them, and what becomes of them there."""

from __future__ import annotations

import ast
from functools import lru_cache

from codemods.facts.module import Module
from codemods.facts.nodes import FUNCTIONS, is_self_attribute, tail
from codemods.facts.task_uses import FILLING, Holder, Reader, Use
from codemods.facts.variables import BINDERS, Variables, bound_otherwise

_SPAWNERS = ("asyncio.create_task", "asyncio.ensure_future")
_LOOPS = {"asyncio.get_running_loop", "asyncio.get_event_loop", "asyncio.new_event_loop", "uvloop.new_event_loop"}
_COROUTINE = ("coro", "coro_or_future")
_FUTURES = {"gather", "run_in_executor", "create_future", "wrap_future", "shield", "Future"}
_Key = tuple[ast.AST | None, str]


@lru_cache(maxsize=1)  # LM301 and LM302 ask one after the other
def tasks_of(module: Module) -> Tasks:
    """The tasks of one module."""
    return Tasks(module)


class Tasks:
    """The tasks of one module and their holders."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self._variables = Variables(module)
        self._holders: dict[_Key, Holder] = {}
        self._loads: dict[tuple[str, bool], list[tuple[Use, ast.expr]]] = {}
        self._reader = Reader(module, self._variables, self._is_task)
        self.started = [call for call in self._candidates() if self._starts_task(call)]
        self._started = set(self.started)
        for call in self.started:
            self._hold(call, call)
        handed = [pair for call in module.calls("asyncio.wait") if (pair := self._hold_pending(call))]
        self.locals = [h for h in self._holders.values() if not isinstance(h.scope, ast.ClassDef)]
        self._unread = {key for key, holder in self._holders.items() if isinstance(holder.scope, ast.ClassDef)}
        for holder in self.locals:
            self._read_local(holder)
        for pending, holders in handed:
            # Who waits for the tasks by their other names waits for these too.
            pending.uses += [pair for h in holders for pair in h.uses if pair[0] in {Use.SETTLE, Use.KEEP}]

    def holder(self, node: ast.expr) -> Holder | None:
        """The holder that ``task`` or ``self._task`` names, whatever else it may hold."""
        return self._holders.get(self._key(node))

    def cancelled(self, call: ast.Call) -> tuple[Holder, ast.For | ast.comprehension | None] | None:
        """What the statement ``task.cancel()`` cancels, and the loop that makes it a whole collection.

        None when the value of the call is used or the receiver is not known to be an asyncio task.
        """
        if not isinstance(call.func, ast.Attribute) or not self._reader.is_statement(call):
            return None
        receiver, over = call.func.value, None
        around = self._reader.loop_around(receiver) if isinstance(receiver, ast.Name) else None
        if around is not None:
            over = around if isinstance(around, ast.For) else around.generators[0]  # type: ignore[attr-defined]
            receiver = collection(over.iter)
        key = self._key(receiver)
        holder = self._holders.get(key)
        if holder is not None and key in self._unread:
            self._unread.remove(key)
            self._read_attribute(holder)
        if holder is None or not holder.known or holder.many is (over is None):
            return None
        return holder, over

    def is_loop(self, node: ast.expr, depth: int = 3) -> bool:
        """Whether an expression is known to be an asyncio event loop."""
        if isinstance(node, ast.Call):
            return self._module.qualname(node.func) in _LOOPS
        if isinstance(node, ast.BoolOp):
            return any(self.is_loop(value, depth) for value in node.values)
        if not depth:
            return False
        if isinstance(node, ast.Name):
            uses = self._variables.uses(node.id).get(self._variables.binder(node), ())
            parents = [self._module.parent(use) for use in uses if isinstance(use.ctx, ast.Store)]
            return bool(parents) and all(
                isinstance(p, BINDERS) and p.value is not None and self.is_loop(p.value, depth - 1) for p in parents
            )
        if isinstance(node, ast.Attribute) and is_self_attribute(node):
            return any(self.is_loop(value, depth - 1) for value in self._variables.attribute_values(node))
        return False

    def may_be_loop(self, node: ast.expr) -> bool:
        """Whether an expression is known to be a loop, a parameter that says so, or an attribute that holds such."""
        if self.is_loop(node):
            return True
        if isinstance(node, ast.Attribute) and is_self_attribute(node):
            values = [value for value in self._variables.attribute_values(node) if not isinstance(value, ast.Constant)]
            return bool(values) and all(isinstance(v, ast.Name) and self.may_be_loop(v) for v in values)
        if not isinstance(node, ast.Name):
            return False
        scope = self._variables.binder(node)
        given = [a for a in self._module.arguments(node.id) if self._module.binding_scope(a) is scope]
        return any(
            a.arg in ("loop", "event_loop") or (a.annotation is not None and tail(a.annotation) == "AbstractEventLoop")
            for a in given
        )

    # -- starting ---------------------------------------------------------------------------

    def _candidates(self) -> list[ast.Call]:
        plain = self._module.calls(*_SPAWNERS)
        methods = [c for c in self._module.calls_ending("create_task") if isinstance(c.func, ast.Attribute)]
        return sorted({*plain, *methods}, key=lambda call: (call.lineno, call.col_offset))

    def _starts_task(self, call: ast.Call) -> bool:
        made = coroutine_of(call)
        if made is None:
            return False
        qualname = self._module.qualname(call.func)
        if qualname == "asyncio.ensure_future":
            # a future is handed back as it is
            return isinstance(made, ast.Call) and tail(made.func) not in _FUTURES
        if qualname == "asyncio.create_task":
            return True
        return isinstance(call.func, ast.Attribute) and self.is_loop(call.func.value)

    def _is_task(self, node: ast.expr) -> bool:
        if node in self._started:
            return True
        holder = self.holder(node)
        return holder is not None and not holder.many

    # -- holding ----------------------------------------------------------------------------

    def _hold(self, node: ast.expr, call: ast.Call) -> None:
        """Note what holds the task that ``node`` evaluates to; ``call`` started it."""
        parent = self._module.parent(node)
        many = isinstance(parent, ast.List | ast.Set) or (
            isinstance(parent, ast.ListComp | ast.SetComp) and parent.elt is node
        )
        many = many or (isinstance(parent, ast.DictComp) and parent.value is node)
        value = parent if many else node
        parent = self._module.parent(value) if many and value is not None else parent
        if isinstance(parent, BINDERS) and parent.value is value:
            targets = parent.targets if isinstance(parent, ast.Assign) else [parent.target]
            if len(targets) == 1:
                self._put(targets[0], call, many=many)
        elif isinstance(parent, ast.Call) and isinstance(parent.func, ast.Attribute) and parent.args[:1] == [node]:
            if parent.func.attr not in FILLING:
                return
            self._put(parent.func.value, call, many=True)

    def _put(self, target: ast.expr, call: ast.Call, *, many: bool) -> None:
        if isinstance(target, ast.Subscript):
            target, many = target.value, True
        scope, code = self._key(target)
        if scope is None:
            return
        holder = self._holders.setdefault((scope, code), Holder(code, many, scope))
        holder.known = holder.known and holder.many is many
        if call in holder.starts:
            return
        holder.starts.append(call)
        if isinstance(target, ast.Name) and not many:
            # A name may hand its task on to a collection or to an attribute.
            for name in self._variables.uses(target.id)[self._variables.binder(target)]:
                if isinstance(name.ctx, ast.Load):
                    self._hold(name, call)

    def _hold_pending(self, call: ast.Call) -> tuple[Holder, list[Holder]] | None:
        """The holder ``pending`` of ``done, pending = await asyncio.wait(...)``, and those of its tasks.

        None unless all the tasks that the call waits for are known.
        """
        awaited = self._module.parent(call)
        match self._module.parent(awaited) if awaited else None:
            case ast.Assign(targets=[ast.Tuple(elts=[_, ast.Name() as name])]):
                key = self._key(name)
            case _:
                return None
        waited = call.args[0] if call.args else name
        literal = isinstance(waited, ast.List | ast.Set | ast.Tuple)
        items = waited.elts if isinstance(waited, ast.List | ast.Set | ast.Tuple) else [waited]
        scope, code = key
        known = [holder for item in items if (holder := self.holder(item)) and holder.many is not literal]
        holders = [holder for holder in known if holder.scope is scope]
        direct = [item for item in items if item in self._started]
        if scope is None or key in self._holders or len(holders) + len(direct) < len(items):
            return None
        starts = [start for holder in holders for start in holder.starts]
        starts += [item for item in direct if isinstance(item, ast.Call)]
        pending = self._holders[key] = Holder(code, True, scope, starts, origin=name)
        return pending, holders

    def _key(self, node: ast.expr) -> _Key:
        if isinstance(node, ast.Name):
            scope = self._variables.binder(node)
            return (scope if isinstance(scope, FUNCTIONS) else None), node.id
        if isinstance(node, ast.Attribute) and is_self_attribute(node):
            return self._module.enclosing_class(node), f"self.{node.attr}"
        return None, ""

    # -- reading ----------------------------------------------------------------------------

    def _read_local(self, holder: Holder) -> None:
        for name in self._variables.uses(holder.code)[holder.scope]:  # type: ignore[index]
            if (loop := self._reader.loop_around(name)) is not None:
                if isinstance(loop, ast.For) and loop.target is name:
                    holder.known = False  # and behind the loop, too
                continue  # there the name means what the loop gives it
            if self._module.scope(name) is not holder.scope:
                holder.uses.append((Use.KEEP, name))
            elif isinstance(name.ctx, ast.Load):
                holder.uses.extend((use, name) for use in self._reader.classify(name, many=holder.many))
            else:
                self._read_store(holder, name)
        arguments = self._module.arguments(holder.code)
        shadowed = any(self._module.binding_scope(argument) is holder.scope for argument in arguments)
        if shadowed or (
            isinstance(holder.scope, FUNCTIONS) and bound_otherwise(self._module, holder.code, holder.scope)
        ):
            holder.known = False

    def _read_attribute(self, holder: Holder) -> None:
        # Objects are used from outside too: every attribute of that name counts.
        attribute = (holder.code.removeprefix("self."), holder.many)
        if attribute not in self._loads:
            nodes = self._module.attributes(attribute[0])
            self._loads[attribute] = [
                (use, node)
                for node in nodes
                if isinstance(node.ctx, ast.Load)
                for use in self._reader.classify(node, many=holder.many)
            ]
        holder.uses.extend(self._loads[attribute])
        for node in self._variables.stores(holder.scope, attribute[0]):
            self._read_store(holder, node)

    def _read_store(self, holder: Holder, node: ast.expr) -> None:
        parent = self._module.parent(node)
        if node is holder.origin:
            return
        if isinstance(parent, ast.Delete):
            holder.uses.append((Use.TEST, node))
            return
        if not isinstance(parent, BINDERS) or (isinstance(parent, ast.Assign) and len(parent.targets) > 1):
            holder.known = False
            return
        holder.bindings.append(parent)
        value = parent.value
        if value is None or (isinstance(value, ast.Constant) and value.value is None):
            return
        if holder.many and _is_empty(value):
            return
        made = [value]
        if holder.many:
            one = value.value if isinstance(value, ast.DictComp) else getattr(value, "elt", value)
            made = value.elts if isinstance(value, ast.List | ast.Set) else [one]
        holder.known = holder.known and all(self._is_task(item) for item in made)
        holder.uses.append((Use.START, node))


def coroutine_of(call: ast.Call) -> ast.expr | None:
    """What ``create_task`` or ``ensure_future`` is given to run: by place, or as ``coro=``."""
    named = [keyword.value for keyword in call.keywords if keyword.arg in _COROUTINE]
    return next(iter([*call.args, *named]), None)


def made_by(call: ast.Call) -> ast.expr:
    """The same, of a call that is known to start a task."""
    made = coroutine_of(call)
    assert made is not None
    return made


def collection(node: ast.expr) -> ast.expr:
    """``self._tasks`` out of ``list(self._tasks.values())``."""
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr in {"values", "copy"} and not node.args:
            return collection(node.func.value)
        if tail(node.func) in {"list", "set", "tuple"} and len(node.args) == 1:
            return collection(node.args[0])
    return node


def _is_empty(value: ast.expr) -> bool:
    if isinstance(value, ast.Call):
        return not value.args and tail(value.func) in {"list", "set", "dict", "WeakSet"}
    return (isinstance(value, ast.List | ast.Set) and not value.elts) or (
        isinstance(value, ast.Dict) and not value.keys
    )
