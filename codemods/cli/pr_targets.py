"""Which repositories ``loopmend pr`` is about, and the way to each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from codemods.cli import pr_output as output

if TYPE_CHECKING:
    from codemods.bot.fleet import Target
    from codemods.bot.policy import Policy
    from codemods.forge.protocol import Forge, RepositoryId
    from codemods.forge.select import Kind


@dataclass(frozen=True)
class Where:
    """The options that say which repositories, and how to get there."""

    repo: str | None
    repos: Path | None
    org: str | None
    host: str
    forge: str | None
    token_file: Path | None
    output_format: str
    quiet: bool

    @classmethod
    def take(cls, options: dict[str, Any]) -> Where:
        """Take them out of all options. Raises UsageError."""
        where = cls(**{name: options.pop(name) for name in cls.__dataclass_fields__})
        if sum(bool(each) for each in (where.repo, where.repos, where.org)) > 1:
            raise click.UsageError("--repo, --repos and --org exclude each other")
        return where


def targets_of(where: Where, policy: Policy, connect: Callable[[Target], Forge]) -> list[Target]:
    """The repositories, those of organisations among them. Raises UsageError, FleetFileError and ForgeError."""
    from codemods.bot.fleet import Target
    from codemods.bot.fleet_file import Listed, read

    kind = where.forge or ""
    _kind(kind)
    if where.repos:
        listed = read(where.repos, policy)
        repositories, orgs = listed.repositories, listed.orgs
    elif where.org:
        repositories, orgs = (), (Listed(where.org, policy),)
    else:
        repositories, orgs = (Listed(where.repo or output.here(), policy),), ()
    targets = [Target(_parse(each.url, where.host), each.policy, each.forge or kind) for each in repositories]
    known = {target.id for target in targets}
    for org in orgs:
        forge = connect(Target(_parse(f"{org.url}/-", where.host), org.policy, kind))
        for repository in forge.repositories(org.url):
            if not repository.archived and repository.id not in known:
                known.add(repository.id)
                targets.append(Target(repository.id, org.policy, kind))
    return targets


def _parse(text: str, host: str) -> RepositoryId:
    from codemods.forge.select import parse

    return parse(text, host=host)


def connector(where: Where) -> Callable[[Target], Forge]:
    """Connects each thread once to each host (an app: to each owner)."""
    import threading

    from codemods.forge import select

    local = threading.local()

    def connect(target: Target) -> Forge:
        known: dict[tuple[str, str, str], Forge] = local.__dict__.setdefault("known", {})
        key = (target.id.host, target.id.path.partition("/")[0], target.forge)
        if key not in known:
            known[key] = select.connect(target.id, kind=_kind(target.forge), token_file=where.token_file)
        return known[key]

    return connect


def _kind(word: str) -> Kind | None:
    """The kind of forge that a word names, None where there is no word. Raises UsageError."""
    from codemods.engine.settings import suggestion
    from codemods.forge.select import Kind

    kinds = [kind.value for kind in Kind]
    if word and word not in kinds:
        raise click.UsageError(f"--forge: {word!r} is not one of {', '.join(kinds)}{suggestion(word, kinds)}")
    return Kind(word) if word else None


def signs(target: Target) -> bool:
    """Whether its forge makes commits that it signs."""
    from codemods.forge.protocol import ForgeError
    from codemods.forge.select import Kind, kind_of

    try:
        return (_kind(target.forge) or kind_of(target.id.host)) is Kind.GITHUB
    except ForgeError:
        return False


def journal_of(where: Where) -> Path:
    """Beside the file that lists the repositories; for an organisation in the user's state folder."""
    if where.repos:
        return where.repos.with_name(where.repos.name + ".journal")
    from platformdirs import user_state_path

    return user_state_path("loopmend") / f"{where.host}-{where.org}.journal".replace("/", "-")
