"""LM404 mark-scope."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from codemods.facts.module import Module
from codemods.model import Finding, Operation, Rewrite, Safety, Severity
from codemods.project.fixtures_graph import Suite, find_suites
from codemods.project.pytest_asyncio_version import LOOP_SCOPE, MARK_SCOPE
from codemods.project.pytest_syntax import ASYNCIO_MARK
from codemods.project.tree import Project
from codemods.rewriting.operations import RemoveKeyword, RenameKeyword, ReplaceExpression
from codemods.rules.base import ProjectRule

_SCOPE = re.compile(rb"mark\s*\.\s*asyncio\(\s*(?:[\"']|(?:[^()]*\W)?scope\s*=)")


class MarkScope(ProjectRule):
    """An asyncio mark that says `scope=`, which 0.24 renamed to `loop_scope=`.

    What it finds
        `pytest.mark.asyncio(scope="session")`, wherever the mark stands: on tests and classes, in
        `pytestmark`, in `pytest.param(..., marks=...)`, in a collection hook. Also marks that say
        both `scope` and `loop_scope`, and marks with the scope as a positional argument.

    Why it breaks
        pytest-asyncio 0.23 took the scope of the loop as `scope=`. Since 0.24 the argument is
        called `loop_scope`; the old name gives a `PytestDeprecationWarning`, which is an error under
        `-W error`. Both together, or a positional argument, stop the collection. Before 0.23 the
        mark ignores its arguments.

    What it changes
        The name of the argument, and nothing else. Of two that say the same, `scope` goes.

    When it refuses
        When the version of pytest-asyncio is unknown or older than 0.24, which does not know
        `loop_scope` on marks and ignores it; when `scope` and `loop_scope` say different things.

    Safety
        Safe: the two names mean the same.
    """

    code = "LM404"
    name = "mark-scope"

    def starts(self, project: Project, paths: Sequence[str]) -> bool:
        """Only where a mark is called with a scope by that name."""
        return any(_SCOPE.search(source.data) for path in paths if (source := project.source(path)))

    def find_in(self, project: Project) -> Iterator[Finding]:
        """One finding at each mark."""
        for suite in find_suites(project):
            if suite.version.at_least(MARK_SCOPE) and suite.version.older_than(LOOP_SCOPE):
                continue  # the right name there
            for module in suite.modules:
                for call in module.calls(ASYNCIO_MARK):
                    yield from self._at(suite, module, call)

    def _at(self, suite: Suite, module: Module, call: ast.Call) -> Iterator[Finding]:
        said = {keyword.arg: keyword.value for keyword in call.keywords}
        if None in said or not ("scope" in said or _is_positional(call)):
            return
        stops = _is_positional(call) or "loop_scope" in said
        refusal = _refusal(suite, said)
        known = suite.version.at_least(LOOP_SCOPE)
        severity = Severity.INFO if not known else Severity.ERROR if stops else Severity.WARNING
        rewrite = (
            None if refusal else Rewrite("Call the argument loop_scope", Safety.SAFE, (_rename(module, call, said),))
        )
        yield self.finding(module, call, _message(suite, call, said), severity, rewrite=rewrite, refusal=refusal)


def _is_positional(call: ast.Call) -> bool:
    return len(call.args) == 1 and not call.keywords and isinstance(call.args[0], ast.Constant)


def _message(suite: Suite, call: ast.Call, said: dict[str | None, ast.expr]) -> str:
    if suite.version.older_than(MARK_SCOPE):
        return "the mark ignores its arguments: the test runs on a loop of its own"
    if _is_positional(call):
        return "the mark takes no positional argument: the collection stops with ValueError"
    if "loop_scope" in said:
        return "the mark says both scope and loop_scope: the collection stops with a usage error"
    return "scope= was renamed to loop_scope= in pytest-asyncio 0.24: pytest warns, and with -W error the test fails"


def _refusal(suite: Suite, said: dict[str | None, ast.expr]) -> str:
    version = suite.version
    if not version.at_least(LOOP_SCOPE):
        if version.older_than(MARK_SCOPE):
            return f"pytest-asyncio {version} knows no scope on marks: it takes {LOOP_SCOPE} for loop_scope"
        return (
            f"pytest-asyncio {MARK_SCOPE} needs the old name, {LOOP_SCOPE} has the new one, and which it is here is "
            "unknown: install it in .venv, lock it, pin it, or set pytest-asyncio-version in [tool.loopmend]"
        )
    if "scope" in said and "loop_scope" in said and ast.dump(said["scope"]) != ast.dump(said["loop_scope"]):
        return "scope and loop_scope say different things: keep the one that is meant, as loop_scope"
    return ""


def _rename(module: Module, call: ast.Call, said: dict[str | None, ast.expr]) -> Operation:
    at = module.span(call)
    if _is_positional(call):
        code = f"{module.code(call.func)}(loop_scope={module.code(call.args[0])})"
        return ReplaceExpression(at, code, path=module.path)
    if "loop_scope" in said:
        return RemoveKeyword(at, "scope", path=module.path)
    return RenameKeyword(at, "scope", "loop_scope", path=module.path)
