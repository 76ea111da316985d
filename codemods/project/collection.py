"""Which tests does pytest collect from a module, with the marks and the fixtures that each of them asks for?"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from codemods.facts.module import FunctionNode
from codemods.facts.nodes import FUNCTIONS
from codemods.project.module_index import ModuleIndex
from codemods.project.pytest_config import PytestConfig
from codemods.project.pytest_syntax import Syntax, Test, parameters

_MAKERS = ("__init__", "__new__")


class Class(NamedTuple):
    """A class, and the module that defines it."""

    syntax: Syntax
    node: ast.ClassDef


class Function(NamedTuple):
    """A test function, and the module that it is written in."""

    syntax: Syntax
    node: FunctionNode


def collected(index: ModuleIndex, config: PytestConfig, syntax: Syntax) -> Iterator[Test]:
    """Every test of a module: functions, and methods once for each class that has them."""
    module = syntax.module
    if not config.collects_file(module.path):
        return
    functions = {node.name: node for node in module.functions if module.scope(node) is module.tree}
    for node in functions.values():
        if config.collects_function(node.name):
            yield _test(index, syntax, Function(syntax, node), None)
    for cls in module.classes:
        lineage = lineage_of(index, syntax, cls)
        if not config.collects_class(cls.name) or is_unittest(index, lineage) or _is_made_by_hand(lineage):
            continue
        methods = {
            n.name: Function(c.syntax, n) for c in reversed(lineage) for n in c.node.body if isinstance(n, FUNCTIONS)
        }
        for name, method in methods.items():
            if config.collects_function(name):
                yield _test(index, syntax, method, cls)


def lineage_of(index: ModuleIndex, syntax: Syntax, cls: ast.ClassDef) -> list[Class]:
    """A class and the base classes that the project defines, nearest first."""
    found = [Class(syntax, cls)]
    for own in found:
        for base in own.node.bases:
            definition = index.class_named(base, own.syntax, own.node)
            if definition is not None and definition[1] not in [one.node for one in found]:
                found.append(Class(*definition))
    return found


def classes_around(syntax: Syntax, cls: ast.ClassDef) -> list[ast.ClassDef]:
    """The class itself and those that it is nested in, the innermost first."""
    return [cls, *(a for a in syntax.module.ancestors(cls) if isinstance(a, ast.ClassDef))]


def is_unittest(index: ModuleIndex, lineage: list[Class]) -> bool:
    """Whether a class is a ``unittest.TestCase``, by the name of a base that the project does not define.

    Such a test has a loop of its own, or none.
    """
    for own, base in ((one, base) for one in lineage for base in one.node.bases):
        if index.class_named(base, own.syntax, own.node) is not None:
            continue
        name = base.attr if isinstance(base, ast.Attribute) else base.id if isinstance(base, ast.Name) else ""
        if name.endswith("TestCase"):
            return True
    return False


def _is_made_by_hand(lineage: list[Class]) -> bool:
    """Whether a class has a constructor of its own: pytest warns, and collects nothing of it."""
    return any(isinstance(n, FUNCTIONS) and n.name in _MAKERS for one in lineage for n in one.node.body)


def _test(index: ModuleIndex, home: Syntax, method: Function, owner: ast.ClassDef | None) -> Test:
    said = method.syntax.marks_of(method.node)
    for cls in classes_around(home, owner) if owner is not None else ():
        # pytest puts the marks of a base class before those of the class itself.
        said += [mark for one in reversed(lineage_of(index, home, cls)) for mark in one.syntax.marks_of(one.node)]
    said += home.marks_of(home.module.tree)
    given = {name for one in said for name in one.given}
    asked = [name for one in said for name in one.asked]
    requests = [name for name in parameters(method.node, owner is not None) if name not in given]
    return Test(
        module=method.syntax.module,
        home=home.module,
        node=method.node,
        owner=owner,
        mark=next((one.asyncio for one in said if one.asyncio is not None), None),
        other_runner=any(one.is_other_runner for one in said),
        requests=(*requests, *asked, *method.syntax.dynamic(method.node)),
        may_hide=any(one.may_hide for one in said),
    )
