"""All rules, found by looking into this package, and their pages, read from their docstrings."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from codemods.rules import __name__ as package_name
from codemods.rules import __path__ as package_path
from codemods.rules.base import AnyRule

SECTIONS = ("What it finds", "Why it breaks", "What it changes", "When it refuses", "Safety")

_CODE = re.compile(r"LM\d{3}")
_NAME = re.compile(r"[a-z]+(-[a-z]+)*")
_MODULE = re.compile(r"lm\d{3}_\w+")


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
def all_rules() -> tuple[AnyRule, ...]:
    """One instance of every rule, in the order of the codes.

    Raises RegistryError for a rule that breaks the conventions.
    """
    names = sorted(info.name for info in iter_modules(package_path) if _MODULE.fullmatch(info.name))
    rules: list[AnyRule] = []
    for name in names:
        classes = _rule_classes(f"{package_name}.{name}")
        if len(classes) != 1:
            raise RegistryError(f"{name}: expected one concrete rule, found {len(classes)}")
        validate(classes[0], name)
        rules.append(classes[0]())
    seen: dict[str, str] = {}
    for rule in rules:
        for word in (rule.code, rule.name):
            if word in seen:
                raise RegistryError(f"{word} is taken twice: by {seen[word]} and {type(rule).__name__}")
            seen[word] = type(rule).__name__
    return tuple(rules)


def find(word: str) -> AnyRule | None:
    """The rule with this code or name, in any case."""
    for rule in all_rules():
        if word.upper() == rule.code or word.lower() == rule.name:
            return rule
    return None


def validate(rule: type[AnyRule], module: str) -> None:
    """Check the conventions of one rule that stands in ``module``.

    Raises RegistryError.
    """
    if not _CODE.fullmatch(rule.code):
        raise RegistryError(f"{module}: {rule.code!r} is not a code such as LM101")
    if not _NAME.fullmatch(rule.name):
        raise RegistryError(f"{module}: {rule.name!r} is not a name such as multiple-runs")
    if module != f"{rule.code.lower()}_{rule.name.replace('-', '_')}":
        raise RegistryError(f"{module}: the file of {rule.code} {rule.name} has another name")
    if sys.flags.optimize >= 2:
        return  # python -OO takes the docstrings away
    text = rule.__dict__.get("__doc__") or ""
    missing = [title for title in SECTIONS if title not in text]
    if missing:
        raise RegistryError(f"{module}: the page of {rule.code} lacks {', '.join(missing)}")


def page(rule: AnyRule) -> Page:
    """The page of a rule: its docstring, cut at the section titles."""
    import inspect  # a run without pages need not pay for it

    text = inspect.cleandoc(type(rule).__doc__ or "")
    titles = "|".join(SECTIONS)
    heading = re.compile(rf"^(?:#+ *)?({titles}):?[ ]*\n(?:[-=~^]{{3,}}\n)?", re.MULTILINE)
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
