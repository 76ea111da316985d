"""All rules, found by looking into this package, and their pages, read from their docstrings."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from functools import cache
from importlib import import_module

from codemods.rules.base import AnyRule, ProjectRule, Rule
from codemods.rules.index import NEEDLES, Entry, entries

SECTIONS = ("What it finds", "Why it breaks", "What it changes", "When it refuses", "Safety")

_NAME = re.compile(r"[a-z]+(-[a-z]+)*")


class RegistryError(Exception):
    """A rule that breaks the conventions; the message says which one and how."""


@dataclass(frozen=True)
class Page:
    """What a rule says about itself."""

    summary: str
    """The first line of the docstring."""
    sections: dict[str, str]
    """The text of each of SECTIONS."""


@cache
def load(entry: Entry) -> AnyRule:
    """The rule of an entry. Raises RegistryError for one that breaks the conventions."""
    classes = _rule_classes(entry.module)
    if len(classes) != 1:
        raise RegistryError(f"{entry.module}: expected one concrete rule, found {len(classes)}")
    (rule,) = classes
    validate(rule, entry)
    return rule()


@cache
def all_rules() -> tuple[AnyRule, ...]:
    """One instance of every rule, in the order of the codes.

    Raises RegistryError for a rule that breaks the conventions.
    """
    seen: dict[str, str] = {}
    for entry in entries():
        for word in (entry.code, entry.name):
            if word in seen:
                raise RegistryError(f"{word} is taken twice: by {seen[word]} and {entry.module}")
            seen[word] = entry.module
    return tuple(entry.load() for entry in entries())


def find(word: str) -> AnyRule | None:
    """The rule with this code or name, in any case."""
    for rule in all_rules():
        if word.upper() == rule.code or word.lower() == rule.name:
            return rule
    return None


def validate(rule: type[AnyRule], entry: Entry) -> None:
    """Check the conventions of one rule: its file, its needles, its page.

    Raises RegistryError.
    """
    if not _NAME.fullmatch(rule.name):
        raise RegistryError(f"{entry.module}: {rule.name!r} is not a name such as multiple-runs")
    if (rule.code, rule.name) != (entry.code, entry.name):
        raise RegistryError(f"{entry.module}: the file of {rule.code} {rule.name} has another name")
    if rule.code not in NEEDLES:
        raise RegistryError(f"{entry.module}: {rule.code} has no needles in codemods/rules/index.py")
    if issubclass(rule, Rule) is not (entry.sees_module or entry.of_notebooks):
        raise RegistryError(f"{entry.module}: a rule about modules and a project stands in IN_MODULES_TOO")
    if issubclass(rule, ProjectRule) is not entry.sees_project:
        raise RegistryError(f"{entry.module}: a project rule, and only that, has a CONTEXT in codemods/rules/index.py")
    if sys.flags.optimize >= 2:
        return  # python -OO takes the docstrings away
    text = rule.__dict__.get("__doc__") or ""
    missing = [title for title in SECTIONS if title not in text]
    if missing:
        raise RegistryError(f"{entry.module}: the page of {rule.code} lacks {', '.join(missing)}")


def page(rule: AnyRule) -> Page:
    """The page of a rule: its docstring, cut at the section titles."""
    import inspect  # a run without pages need not pay for it

    text = inspect.cleandoc(type(rule).__doc__ or "")
    titles = "|".join(SECTIONS)
    heading = re.compile(rf"^({titles})\n", re.MULTILINE)
    pieces = heading.split(text + "\n")
    sections = {title: inspect.cleandoc("\n" + body) for title, body in zip(pieces[1::2], pieces[2::2], strict=True)}
    return Page(pieces[0].strip().partition("\n")[0], sections)


def _rule_classes(module: str) -> list[type[AnyRule]]:
    members = vars(import_module(module)).values()
    return [
        member
        for member in members
        if isinstance(member, type)
        and issubclass(member, AnyRule)
        and member.__module__ == module
        and not getattr(member, "__abstractmethods__", None)
    ]
