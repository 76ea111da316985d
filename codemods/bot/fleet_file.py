"""The file that lists many repositories, and what is wanted in each."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from codemods.bot.policy import GroupBy, Policy
from codemods.engine.settings import suggestion

_NOT_KEYS = {"author", "depth", "api_commits"}
POLICY_KEYS = tuple(f.name.replace("_", "-") for f in fields(Policy) if f.name not in _NOT_KEYS)
_TOP = ("policy", "repositories", "orgs", "repository")
_OF_ONE = ("url", "forge")


class FleetFileError(ValueError):
    """The file makes no sense; the message is for the user."""


@dataclass(frozen=True)
class Listed:
    """A repository, or an organisation, of the file."""

    url: str
    policy: Policy
    forge: str = ""


@dataclass(frozen=True)
class FleetFile:
    """What the file says."""

    repositories: tuple[Listed, ...]
    orgs: tuple[Listed, ...]


def read(path: Path, policy: Policy) -> FleetFile:
    """The repositories of a file; ``policy`` is what the command line says, the file's own words count more.

    Raises FleetFileError.
    """
    try:
        data = tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise FleetFileError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise FleetFileError(f"{path}: {error}") from error
    try:
        _known(data, _TOP)
        common = with_keys(policy, data.get("policy", {}))
        plain = [Listed(url, common) for url in _strings("repositories", data.get("repositories", []))]
        tables = [_of_table(table, common) for table in data.get("repository", [])]
        orgs = [Listed(name, common) for name in _strings("orgs", data.get("orgs", []))]
    except FleetFileError as error:
        raise FleetFileError(f"{path}: {error}") from None
    if not plain and not tables and not orgs:
        raise FleetFileError(f'{path}: it lists nothing: repositories = ["owner/name"], or orgs = ["name"]')
    return FleetFile((*plain, *tables), tuple(orgs))


def with_keys(policy: Policy, table: Mapping[str, Any]) -> Policy:
    """The policy with the values of a table in place of its own. Raises FleetFileError."""
    _known(table, POLICY_KEYS)
    for key, value in table.items():
        policy = with_key(policy, key, value)
    return policy


def with_key(policy: Policy, key: str, value: Any) -> Policy:
    """The policy with one value. Raises FleetFileError for one of the wrong kind."""
    name = key.replace("-", "_")
    default = getattr(policy, name)
    if name == "group_by":
        return grouped(policy, str(value))
    if isinstance(default, tuple):
        return _replaced(policy, name, tuple(_strings(key, value)))
    wanted = (bool,) if isinstance(default, bool) or default is None else (type(default), *_NUMBERS.get(name, ()))
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
        raise FleetFileError(f"{key}: expected {'true or false' if bool in wanted else wanted[0].__name__}")
    return _replaced(policy, name, value)


def _replaced(policy: Policy, name: str, value: Any) -> Policy:
    return replace(policy, **{name: value})


_NUMBERS: dict[str, tuple[type, ...]] = {"seconds": (int,), "verify_seconds": (int,)}


def grouped(policy: Policy, text: str) -> Policy:
    """The policy with groups as ``rule``, ``directory``, ``directory:2`` or ``codeowners`` says."""
    word, _, depth = text.partition(":")
    if word not in [*GroupBy] or (depth and (word != GroupBy.DIRECTORY or not depth.isdecimal() or int(depth) < 1)):
        choices = ", ".join(GroupBy)
        raise FleetFileError(
            f"group-by: {text!r} is not one of {choices}, directory:2{suggestion(word, [by.value for by in GroupBy])}"
        )
    return replace(policy, group_by=GroupBy(word), depth=int(depth or 1))


def _of_table(table: Mapping[str, Any], common: Policy) -> Listed:
    if not isinstance(table, dict) or not isinstance(table.get("url"), str):
        raise FleetFileError('a [[repository]] needs its url = "owner/name"')
    _known(table, (*_OF_ONE, *POLICY_KEYS))
    wanted = {key: value for key, value in table.items() if key not in _OF_ONE}
    return Listed(table["url"], with_keys(common, wanted), str(table.get("forge", "")))


def _strings(key: str, value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise FleetFileError(f"{key}: expected a list of strings")
    return value


def _known(table: Mapping[str, Any], keys: tuple[str, ...]) -> None:
    if not isinstance(table, dict):
        raise FleetFileError("expected a table")
    for key in table:
        if key not in keys:
            raise FleetFileError(f"unknown key {key!r}{suggestion(key, keys)}")
