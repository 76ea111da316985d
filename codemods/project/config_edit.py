"""Set options of pytest in the file that configures it, with every comment kept."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from codemods.model import Edit, Operation
from codemods.project.pytest_config import INI_FILES, NATIVE_FILES, pyproject_tables
from codemods.source import Source

if TYPE_CHECKING:
    from configupdater import Section
    from tomlkit import TOMLDocument
    from tomlkit.items import Comment, Table, Whitespace

_SECTIONS = {**dict.fromkeys((*INI_FILES, "tox.ini"), "pytest"), "setup.cfg": "tool:pytest"}


@dataclass(frozen=True, slots=True)
class SetPytestOptions(Operation):
    """Set options in the configuration file at ``path``; its kind follows from its name.

    A ``pyproject.toml`` without a table of pytest's gets ``[tool.pytest.ini_options]``.
    """

    options: tuple[tuple[str, str], ...]


def lower(operation: Operation, source: Source) -> tuple[Edit, ...]:
    """Whole-line edits that carry ``operation`` out, in the newline style of the file.

    Raises ValueError for another operation, for a file that is none of pytest's, and for
    one that does not parse.
    """
    if not isinstance(operation, SetPytestOptions):
        raise ValueError(f"{type(operation).__name__} is not a change of a configuration")
    name = PurePosixPath(source.path).name
    before = source.text.replace("\r\n", "\n")
    if name == "pyproject.toml" or name in NATIVE_FILES:
        after = _in_toml(before, operation, native=name in NATIVE_FILES)
    elif name in _SECTIONS:
        after = _in_ini(before, operation, _SECTIONS[name])
    else:
        raise ValueError(f"{source.path} does not configure pytest")
    if before and not before.endswith("\n"):
        after = after.removesuffix("\n")
    return _edits(source, before, after)


def _edits(source: Source, before: str, after: str) -> tuple[Edit, ...]:
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    starts = [0]
    for line in source.text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    return tuple(
        Edit(source.path, starts[i1], starts[i2], "".join(new[j1:j2]).replace("\n", source.newline))
        for tag, i1, i2, j1, j2 in matcher.get_opcodes()
        if tag != "equal"
    )


def _in_toml(text: str, operation: SetPytestOptions, *, native: bool) -> str:
    import tomlkit

    document = tomlkit.parse(text)
    keys = ("pytest",) if native else _pyproject_keys(text)
    table = _table(document, keys)
    if table is None:
        header = f"[{'.'.join(keys)}]\n"
        lines = "".join(f'{option} = "{value}"\n' for option, value in operation.options)
        gap = "" if not text.strip() else "\n" if text.endswith("\n") else "\n\n"
        return f"{text}{gap}{header}{lines}"
    tail = _take_tail(table)
    for option, value in operation.options:
        is_new = option not in table
        table[option] = value
        if is_new:
            _move_to_related(table)
    for item in tail:
        table.add(item)
    return tomlkit.dumps(document)


def _take_tail(table: Table) -> list[Whitespace | Comment]:
    """Take the blank lines and comments off the end of a table: they speak of the next one."""
    from tomlkit.items import Comment, Table, Whitespace

    tail: list[Whitespace | Comment] = []
    body = table.value.body if isinstance(table, Table) else []
    while body and isinstance(body[-1][1], Whitespace | Comment):
        tail.insert(0, body.pop()[1])  # type: ignore[arg-type]
    return tail


def _move_to_related(table: Table) -> None:
    """Put the last option of a table behind the last one of its plugin, if there is one."""
    body = table.value.body
    related = [index for index, (key, _) in enumerate(body[:-1]) if key is not None and key.key.startswith("asyncio_")]
    if related:
        body.insert(related[-1] + 1, body.pop())


def _pyproject_keys(text: str) -> tuple[str, ...]:
    """The table that stands there: pytest refuses to start when it finds both."""
    native, ini = pyproject_tables(text)
    return ("tool", "pytest") if native and not ini else ("tool", "pytest", "ini_options")


def _table(document: TOMLDocument, keys: tuple[str, ...]) -> Table | None:
    here: object = document
    for key in keys:
        if not hasattr(here, "get"):
            return None
        here = here.get(key)
    return here  # type: ignore[return-value]


def _in_ini(text: str, operation: SetPytestOptions, section_name: str) -> str:
    from configupdater import ConfigUpdater

    spaced = re.search(r"^[^\s#;\[=:](?:[^=:\n]*[^\s=:])?=\S", text, re.MULTILINE) is None
    updater = ConfigUpdater(space_around_delimiters=spaced)
    updater.read_string(text)
    if not updater.has_section(section_name):
        gap = "" if not text.strip() else "\n" if text.endswith("\n") else "\n\n"
        equals = " = " if spaced else "="
        lines = "".join(f"{option}{equals}{value}\n" for option, value in operation.options)
        return f"{text}{gap}[{section_name}]\n{lines}"
    if not text.endswith("\n"):
        updater = ConfigUpdater(space_around_delimiters=spaced)
        updater.read_string(text + "\n")
    section = updater[section_name]
    for option, value in operation.options:
        _set(section, option, value)
    return str(updater)


def _set(section: Section, option: str, value: str) -> None:
    """Change an option, or add it behind the last one: not behind the blank lines there."""
    if option in section:
        section[option].value = value
        return
    names = section.options()
    if not names:
        section.set(option, value)
        return
    related = [name for name in names if name.startswith("asyncio_")]
    section[(related or names)[-1]].add_after.option(option, value)
