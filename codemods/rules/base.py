"""What every rule has: a code, a name, needles, a page, and ``find``."""

from __future__ import annotations

import ast
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar

from codemods.facts.module import Module
from codemods.model import Finding, Related, Rewrite, Severity
from codemods.project.tree import Project


class AnyRule(ABC):
    """One row of the catalogue. Rules keep no state.

    The docstring of a concrete rule is its page; its first line says what the rule finds. The
    needles, without which a file is not worth parsing, stand in ``codemods.rules.index``.
    """

    code: ClassVar[str]
    name: ClassVar[str]
    fixable: ClassVar[bool] = True
    """Whether the rule ever offers a rewrite."""

    def finding(
        self,
        module: Module,
        node: ast.stmt | ast.expr,
        message: str,
        severity: Severity,
        *,
        rewrite: Rewrite | None = None,
        refusal: str = "",
        related: tuple[Related, ...] = (),
    ) -> Finding:
        """A finding of this rule at ``node``: exactly one of ``rewrite`` and ``refusal`` is given."""
        span = module.span(node)
        return Finding(
            code=self.code,
            message=message,
            severity=severity,
            path=module.path,
            span=span,
            scope=module.qualified_scope(node),
            anchor=module.anchor(span),
            rewrite=rewrite,
            refusal=refusal,
            related=related,
        )


class Rule(AnyRule):
    """A rule that looks at one module at a time."""

    @abstractmethod
    def find(self, module: Module) -> Iterator[Finding]:
        """Every candidate of one module, with its rewrite or the reason that there is none."""


class ProjectRule(AnyRule):
    """A rule that has to see several files at once.

    Its needles, and then ``starts``, only decide whether it has anything to do in this project; its
    context in ``codemods.rules.index`` says which files are among ``Project.modules``.
    """

    def starts(self, project: Project, paths: Sequence[str]) -> bool:
        """Whether the files that hold the needles give the rule anything to do.

        Asked before any other file is parsed: ``project`` has no modules yet, ``paths`` are its
        files with needles. What looks at few files here saves parsing many.
        """
        return True

    @abstractmethod
    def find_in(self, project: Project) -> Iterator[Finding]:
        """Every candidate of the project, with its rewrite or the reason that there is none."""
