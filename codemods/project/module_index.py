"""The modules of a project by name: where do imported fixtures come from?"""

from __future__ import annotations

import ast
from pathlib import PurePosixPath

from codemods.facts.module import Module
from codemods.project.links import Links
from codemods.project.pytest_syntax import Fixture, Origin, Syntax
from codemods.project.tree import Project


class ModuleIndex:
    """The modules of one project, each read for fixtures and tests once."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._links = Links(project)
        self._syntaxes: dict[str, Syntax | None] = {}
        self._fixtures: dict[str, dict[str, Fixture]] = {}
        self._by_stem: dict[str, list[str]] = {}
        for path in project.modules:
            self._by_stem.setdefault(_dotted(path)[-1], []).append(path)

    def syntax(self, path: str) -> Syntax:
        """The module at a path of the project."""
        return self._of(self.project.modules[path])

    def _of(self, module: Module) -> Syntax:
        found = self._syntaxes.get(module.path)
        if found is None:
            found = self._syntaxes[module.path] = Syntax(module, self._variable)
        return found

    def at(self, path: str) -> Syntax | None:
        """The module at ``path``, if there is one: read now, where it holds nothing that made it worth reading before.

        Such a ``conftest.py`` hands on what it imports.
        """
        if path in self.project.modules:
            return self.syntax(path)
        if path not in self._syntaxes:
            module = self._links.module(path)
            self._syntaxes[path] = Syntax(module, self._variable) if module is not None else None
        return self._syntaxes[path]

    def _variable(self, module: Module, expression: ast.expr) -> Origin | None:
        """What an imported variable holds, where it is assigned once."""
        target = self._links.target(module, expression)
        values = target.values if target is not None and not target.rest else []
        return Origin(self._of(target.module), values[0]) if target is not None and len(values) == 1 else None

    def class_named(self, expression: ast.expr, syntax: Syntax, at: ast.AST) -> tuple[Syntax, ast.ClassDef] | None:
        """The class of the project that an expression of a module means."""
        if isinstance(expression, ast.Name):
            definition = syntax.module.definition(expression.id, at)
            if isinstance(definition, ast.ClassDef):
                return (syntax, definition) if definition is not at else None
        target = self._links.target(syntax.module, expression)
        if target is None or target.rest or not isinstance(target.definition, ast.ClassDef):
            return None
        return self._of(target.module), target.definition

    def resolve(self, name: str, importer: str) -> Syntax | None:
        """The module that ``importer`` means by a dotted name (leading dots: relative).

        Where several files could be meant, the one that shares most folders with the importer.
        """
        level = len(name) - len(name.lstrip("."))
        parts = tuple(part for part in name.split(".") if part)
        if level:
            folder = PurePosixPath(importer).parents[min(level, len(PurePosixPath(importer).parents)) - 1]
            base = folder.joinpath(*parts)
            return self.at(f"{base}.py") if parts and self.at(f"{base}.py") else self.at(str(base / "__init__.py"))
        paths = [p for p in self._by_stem.get(parts[-1], []) if _dotted(p)[-len(parts) :] == parts] if parts else []
        return self.syntax(max(paths, key=lambda path: _shared(path, importer))) if paths else None

    def fixtures(self, syntax: Syntax) -> dict[str, Fixture]:
        """The fixtures at the top level of a module by name, imported ones included."""
        path = syntax.module.path
        if path not in self._fixtures:
            self._fixtures[path] = {}  # a circle of imports ends here
            found: dict[str, Fixture] = {}
            for statement in syntax.module.imports.statements:
                if isinstance(statement, ast.ImportFrom):
                    found.update(self._imported(statement, path))
            found.update({fixture.name: fixture for fixture in syntax.fixtures if fixture.owner is None})
            self._fixtures[path] = found
        return self._fixtures[path]

    def _imported(self, statement: ast.ImportFrom, path: str) -> dict[str, Fixture]:
        source = self.resolve("." * statement.level + (statement.module or ""), path)
        if source is None or source.module.path == path:
            return {}
        offered = self.fixtures(source)
        found: dict[str, Fixture] = {}
        for alias in statement.names:
            if alias.name == "*":
                found.update(offered)
            for name, fixture in offered.items():
                if fixture.node.name == alias.name:
                    found[alias.asname or name] = fixture
        return found


def _dotted(path: str) -> tuple[str, ...]:
    parts = PurePosixPath(path).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts


def _shared(path: str, other: str) -> int:
    count = 0
    for one, two in zip(PurePosixPath(path).parts, PurePosixPath(other).parts, strict=False):
        if one != two:
            break
        count += 1
    return count
