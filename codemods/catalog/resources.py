"""What has to be closed, and how: the typed form of ``resources.toml``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

from codemods.model import Severity
from codemods.needles import Imported

_FILE = Path(__file__).with_name("resources.toml")
_SCALARS: dict[Any, tuple[type, str]] = {
    "bool": (bool, "true or false"),
    "int": (int, "a whole number"),
    "str": (str, "a string"),
}
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")
_SEVERITIES = tuple(severity.value for severity in Severity)
_CONTEXTS = ("async-with", "async-with-await", "none")


class CatalogError(ValueError):
    """An entry that makes no sense; the message names the entry and the key."""


@dataclass(frozen=True)
class Resource:
    """One kind of object that stays open until it is closed (the keys are explained in the data file)."""

    qualname: str
    acquire: str
    context: str
    close: str
    aliases: tuple[str, ...] = ()
    awaitable: bool = False
    sync_close: bool = False
    close_args: str = ""
    then: str = ""
    alt_close: tuple[str, ...] = ()
    equal_close: tuple[str, ...] = ()
    not_close: tuple[str, ...] = ()
    start: tuple[str, ...] = ()
    item: int = -1
    live: tuple[str, ...] = ()
    ambient: bool = False
    owned: bool = False
    uses: str = ""
    ends: tuple[str, ...] = ()
    refuse: str = ""
    since: str = ""
    closes_once: bool = False
    in_loop: bool = False
    severity: str = "warning"
    note: str = ""

    @property
    def constructors(self) -> tuple[str, ...]:
        """Every qualified name under which the object is made."""
        return (self.qualname, *self.aliases)

    @property
    def package(self) -> str:
        """The name that an import of it starts with."""
        return self.qualname.partition(".")[0]

    @cached_property
    def closers(self) -> frozenset[str]:
        """The methods (or paths to them) that end the object's life, ``close`` and ``aclose`` by habit."""
        named = {self.close, *self.alt_close, *self.equal_close, *self.ends, "close", "aclose"}
        return frozenset(named - {"", *self.not_close})

    @cached_property
    def block_closers(self) -> frozenset[str]:
        """The methods that do what leaving the object's ``async with`` does."""
        return frozenset() if self.context == "none" else frozenset({self.close, *self.equal_close} - {""})

    def cleanup(self, name: str) -> str:
        """The statements that close the object called ``name``."""
        call = f"{name}.{self.close}({self.close_args})"
        lines = [call if self.sync_close else f"await {call}"]
        if self.then:
            lines.append(self.then.format(x=name))
        return "\n".join(lines)


@dataclass(frozen=True)
class Catalog:
    """All resources, by the qualified name of their constructors."""

    by_name: Mapping[str, Resource] = field(default_factory=dict)

    @cached_property
    def block_closers(self) -> frozenset[str]:
        """The last words of all that does what leaving an ``async with`` does: ``close``, ``aclose``..."""
        return frozenset(name.rpartition(".")[2] for r in self.by_name.values() for name in r.block_closers)


@lru_cache(maxsize=4)
def load(extra: tuple[Resource, ...] = ()) -> Catalog:
    """The catalog of this package, with ``extra`` entries that replace those of the same name."""
    return Catalog({name: resource for resource in (*_own(), *extra) for name in resource.constructors})


@cache
def _own() -> tuple[Resource, ...]:
    import tomllib  # 15 ms that a run over files without any of these names need not pay

    with _FILE.open("rb") as file:
        return tuple(parse(table) for table in tomllib.load(file)["resource"])


def parse(table: Mapping[str, Any]) -> Resource:
    """One entry, checked.

    Raises CatalogError for an unknown or missing key and for a value of the wrong kind.
    """
    where = str(table.get("qualname", "a resource without qualname"))
    known = {f.name: f for f in fields(Resource)}
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in known:
            raise CatalogError(f"{where}: unknown key {key!r}")
        kind = known[key].type
        if kind in _SCALARS:
            wanted, said = _SCALARS[kind]
            if type(value) is not wanted:
                raise CatalogError(f"{where}: {key}: expected {said}, not {value!r}")
            values[key] = value
        elif isinstance(value, list) and all(isinstance(item, str) for item in value):
            values[key] = tuple(value)
        else:
            raise CatalogError(f"{where}: {key}: expected a list of strings, not {value!r}")
    missing = [key for key in ("qualname", "acquire", "context", "close") if key not in values]
    if missing:
        raise CatalogError(f"{where}: {', '.join(missing)} is missing")
    for name in (values["qualname"], *values.get("aliases", ())):
        if not _DOTTED.fullmatch(name):
            raise CatalogError(f"{where}: {name!r} is not what an import spells, such as aiohttp.ClientSession")
    if values.get("severity", "warning") not in _SEVERITIES:
        raise CatalogError(f"{where}: severity: {values['severity']!r} is not one of {', '.join(_SEVERITIES)}")
    if values["context"] not in _CONTEXTS:
        raise CatalogError(f"{where}: context: {values['context']!r} is not one of {', '.join(_CONTEXTS)}")
    if values["acquire"] not in ("call", "await"):
        raise CatalogError(f"{where}: acquire: {values['acquire']!r} is neither call nor await")
    if values["context"] == "none" and not values["close"] and not values.get("refuse"):
        raise CatalogError(f"{where}: without a context manager and without close there is no way to end it")
    return Resource(**values)


def constructor_names() -> frozenset[str]:
    """Every constructor of the package's own catalog, read without parsing the file.

    The prefilter needs nothing else, and it runs even where no file has to be parsed.
    """
    lines = re.findall(r"^(?:qualname|aliases) = (.*)$", _FILE.read_text(encoding="utf-8"), re.MULTILINE)
    return frozenset(name for line in lines for name in re.findall(r'"([\w.]+)"', line))


def needles(constructors: Iterable[str]) -> tuple[tuple[bytes, ...], ...]:
    """For each constructor what occurs in a file that calls it: its package and its last name."""
    pairs = {(name.partition(".")[0], name.rpartition(".")[2]) for name in constructors}
    spellings = ("{}(", "{} as ")
    return tuple(
        (Imported(package.encode()), form.format(tail).encode())
        for package, tail in sorted(pairs)
        for form in spellings
    )
