"""Can anything in a project run on another loop than what uses it? Asked before its files are parsed.

Without a scope in the code or in the configuration, every test and every fixture of
pytest-asyncio runs on the loop of its own function, and they all agree.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from codemods.project.pytest_config import CONFIG_FILES, FIXTURE_OPTION, TEST_OPTION, Configs, PytestConfig
from codemods.project.tree import Project
from codemods.source import Source

_SCOPE = re.compile(rb"\bscope\s*=|\bloop_scope\b")


def loops_may_differ(project: Project, paths: Sequence[str]) -> bool:
    """Whether one of the files, or the configuration of its folder, speaks of scopes of loops."""
    sources = [source for path in paths if (source := project.source(path))]
    if any(map(says_scope, sources)):
        return True
    folders = {(project.directory / path).parent for path in paths}
    levels = {level for folder in folders for level in project.levels(folder)}
    if not any(_mentions_loops(project, level) for level in levels):
        return False
    configs = Configs(project)
    return any(_disagrees(configs.of(folder)) for folder in folders)


@lru_cache(maxsize=512)  # several rules ask in turn
def says_scope(source: Source) -> bool:
    """Whether a file names a loop scope, or gives an async fixture a scope.

    The scope of a sync fixture has nothing to do with loops. A file that does not parse says nothing.
    """
    if not _SCOPE.search(source.data):
        return False
    try:
        nodes = list(ast.walk(ast.parse(source.data)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    of_sync = {id(d) for node in nodes if isinstance(node, ast.FunctionDef) for d in node.decorator_list}
    for node in nodes:
        if isinstance(node, ast.Call):
            said = {keyword.arg for keyword in node.keywords}
            if "loop_scope" in said or ("scope" in said and id(node) not in of_sync):
                return True
    return False


def _mentions_loops(project: Project, level: Path) -> bool:
    """Whether a configuration file of a folder speaks of default loop scopes: no need to parse the others."""
    sources = (project.source(project.name(level / name)) for name in CONFIG_FILES)
    return any(b"asyncio_default_" in source.data for source in sources if source)


def _disagrees(config: PytestConfig) -> bool:
    """Whether fixtures and tests that say nothing of their loop get different ones."""
    fixtures, tests = config.option(FIXTURE_OPTION), config.option(TEST_OPTION)
    fixtures = "" if fixtures == "fixture-scope" else fixtures
    return (fixtures or "function") != (tests or "function")
