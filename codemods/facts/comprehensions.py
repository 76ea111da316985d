"""What comprehensions and generator expressions do with the values that they are given."""

from __future__ import annotations

import ast

from codemods.facts.module import Module


def items_read(module: Module, loop: ast.comprehension) -> list[ast.Name]:
    """What a comprehension reads of the items that it goes over."""
    around = module.parent(loop)
    names = [node for node in ast.walk(around or loop) if isinstance(node, ast.Name)]
    bound = {node.id for node in ast.walk(loop.target) if isinstance(node, ast.Name)}
    return [node for node in names if node.id in bound and isinstance(node.ctx, ast.Load)]


def is_own(module: Module, name: ast.Name) -> bool:
    """Whether a comprehension around ``name`` binds it, so that it is no variable of the scope."""
    for above in module.ancestors(name):
        if isinstance(above, ast.stmt | ast.Lambda):
            return False
        targets = [loop.target for loop in getattr(above, "generators", ())]
        if any(isinstance(n, ast.Name) and n.id == name.id for target in targets for n in ast.walk(target)):
            return True
    return False


def evaluated_later(module: Module, node: ast.expr) -> ast.GeneratorExp | None:
    """The generator expression that evaluates ``node`` only when it is iterated, if one does."""
    child: ast.AST = node
    for above in module.ancestors(node):
        if isinstance(above, ast.GeneratorExp) and child is not above.generators[0]:
            return above
        if isinstance(above, ast.stmt | ast.Lambda):
            return None
        child = above
    return None
