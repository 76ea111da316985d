"""What a name means that was imported from another file of the project: imports followed to where it is made."""

from __future__ import annotations

import ast
import os
import sys
from pathlib import Path
from typing import NamedTuple

from codemods.facts.callees import assigned_values
from codemods.facts.module import FunctionNode, Module
from codemods.project.tree import Project

_REEXPORTS = 4
"""Through so many files a name may be handed on."""


class Target(NamedTuple):
    """What a dotted name leads to: something at the top of a module, and what is looked up in it."""

    module: Module
    name: str
    rest: tuple[str, ...]
    """The attributes after the name: ``("get",)`` for ``clients.http.get``."""

    @property
    def definition(self) -> FunctionNode | ast.ClassDef | None:
        """The function or class of that name; None for a variable."""
        return self.module.definition(self.name, self.module.tree)

    @property
    def values(self) -> list[ast.expr]:
        """What the variable of that name holds when its module has been imported."""
        stores = _stores(self.module, self.name)
        values = assigned_values(self.module, stores[0]) if stores else []
        return [value for value in values if self.module.function(value) is None]


class Links:
    """The modules of a project, read when an import leads to them."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._modules: dict[str, Module | None] = dict(project.modules)
        self._roots: dict[Path, list[Path]] = {}
        self._found: dict[tuple[str, str], Target | None] = {}

    def target(self, module: Module, expression: ast.AST) -> Target | None:
        """What an imported name, or an attribute of one, leads to; None for anything not made in the project."""
        name = module.qualname(expression)
        if name is None:
            return None
        key = module.path, name
        if key not in self._found:
            self._found[key] = None  # a circle of imports ends here
            self._found[key] = self._resolve(name, module, _REEXPORTS)
        return self._found[key]

    def module(self, path: str) -> Module | None:
        """The module at a path, as the user sees it; None when there is none, or it does not parse."""
        if path not in self._modules:
            like = next(iter(self._project.modules.values()), None)
            self._modules[path] = self._read(path, like) if like is not None else None
        return self._modules[path]

    def _resolve(self, name: str, importer: Module, depth: int) -> Target | None:
        level = len(name) - len(name.lstrip("."))
        parts = [part for part in name.split(".") if part]
        if not parts or depth == 0 or (not level and _is_library(parts[0], importer)):
            return None
        path = Path(os.path.normpath(self._project.directory / importer.path))
        folders = [path.parents[min(level, len(path.parents)) - 1]] if level else self._import_roots(path.parent)
        for folder in folders:
            for cut in range(len(parts) - 1, -1 if level else 0, -1):
                found = self._module_at(folder.joinpath(*parts[:cut]), importer)
                if found is not None:
                    return self._at_top(found, parts[cut], tuple(parts[cut + 1 :]), depth)
        return None

    def _at_top(self, module: Module, name: str, rest: tuple[str, ...], depth: int) -> Target | None:
        """Where a name at the top of a module comes from, if that hands it on."""
        target = Target(module, name, rest)
        if target.definition is not None or _stores(module, name):
            return target
        origins = [module.imports.names[name]] if name in module.imports.names else []
        origins += [star if star.endswith(".") else f"{star}." for star in module.imports.stars if not origins]
        for origin in origins:
            dotted = f"{origin}{name}" if origin.endswith(".") else origin
            found = self._resolve(".".join([dotted, *rest]), module, depth - 1)
            if found is not None:
                return found
        return None

    def _import_roots(self, folder: Path) -> list[Path]:
        """The folders in which a file of ``folder`` may look for a package: no packages themselves."""
        if folder not in self._roots:
            levels = [level for level in self._project.levels(folder) if not (level / "__init__.py").is_file()]
            self._roots[folder] = [root for level in levels for root in (level, level / "src") if root.is_dir()]
        return self._roots[folder]

    def _module_at(self, path: Path, importer: Module) -> Module | None:
        """The module or package whose path, without its ending, is given."""
        for file in (path.with_name(f"{path.name}.py"), path / "__init__.py"):
            name = self._project.name(file)
            if name not in self._modules:
                self._modules[name] = self._read(name, importer)
            if (found := self._modules[name]) is not None:
                return found
        return None

    def _read(self, name: str, importer: Module) -> Module | None:
        source = self._project.source(name)
        try:
            return importer.changed(source) if source is not None else None
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def _stores(module: Module, name: str) -> list[ast.Name]:
    """Where the top level of a module assigns to a name."""
    return [n for n in module.names(name) if isinstance(n.ctx, ast.Store) and module.scope(n) is module.tree]


def _is_library(package: str, module: Module) -> bool:
    """Whether a package is no part of any project: a file of its name is something else."""
    return package in sys.stdlib_module_names or package in {name.partition(".")[0] for name in module.catalog.by_name}
