"""Which dotted name does a local name stand for?"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field


@dataclass
class Imports:
    """The import statements of a module, at whatever depth they stand."""

    names: dict[str, str] = field(default_factory=dict)
    """Local name -> what it was imported from: ``{"aio": "asyncio", "run": "asyncio.run"}``."""
    stars: list[str] = field(default_factory=list)
    """Modules that were imported with ``*``."""
    statements: list[ast.Import | ast.ImportFrom] = field(default_factory=list)

    def add(self, node: ast.Import | ast.ImportFrom) -> None:
        """Note one import statement; the first import of a name wins."""
        self.statements.append(node)
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                self.names.setdefault(alias.asname or top, alias.name if alias.asname else top)
            return
        module = "." * node.level + (node.module or "")
        for alias in node.names:
            if alias.name == "*":
                self.stars.append(module)
            else:
                dot = "" if module.endswith(".") else "."
                self.names.setdefault(alias.asname or alias.name, f"{module}{dot}{alias.name}")

    def local_name(self, qualname: str) -> str | None:
        """How ``qualname`` is spelled here (``aio.run``, ``run``), or None if it is out of reach."""
        for local, imported in self.names.items():
            if imported == qualname:
                return local
        parent, _, last = qualname.rpartition(".")
        if not parent:
            return None
        local_parent = self.local_name(parent)
        return f"{local_parent}.{last}" if local_parent else None
