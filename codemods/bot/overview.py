"""All pull requests of the bot in one repository: how they are, and taking them back."""

from __future__ import annotations

import tempfile
from pathlib import Path

from codemods.bot import marker as markers
from codemods.bot.branches import Site
from codemods.bot.deliver import Delivery, Row
from codemods.bot.observed import Seen, trusted
from codemods.bot.plan import Action, Close, Leave
from codemods.bot.policy import Policy
from codemods.forge.protocol import Forge, ForgeError, PullRequest, Repository, RepositoryId, State
from codemods.git import Clone, GitError, Remote


def status(forge: Forge, id: RepositoryId) -> list[Row]:
    """One row for each pull request of ours: its state, and for an open one its checks. Raises ForgeError."""
    repository = forge.repository(id)
    return [
        Row(
            str(repository.id),
            pull.state.value,
            pull.branch,
            _checks(forge, repository.id, pull) if pull.state is State.OPEN else pull.title,
            pull.url,
            pull.number,
            pull.head_sha,
        )
        for pull in trusted(forge, repository.id, repository.id)
    ]


def _checks(forge: Forge, id: RepositoryId, pull: PullRequest) -> str:
    try:
        return f"checks: {forge.checks(id, pull.head_sha)}"
    except ForgeError as error:
        return f"checks: not known, {error}"


def close_all(forge: Forge, id: RepositoryId, policy: Policy) -> list[Row]:
    """Close every open pull request of ours and delete its branch, unless somebody else works on it.

    What goes wrong with one of them is its row. Raises ForgeError where they cannot be listed.
    """
    repository = forge.repository(id)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="loopmend-") as folder:
        for pull in trusted(forge, repository.id, repository.id):
            if pull.state is State.OPEN:
                try:
                    rows.append(_close(forge, repository, pull, policy, Path(folder) / str(pull.number)))
                except (ForgeError, GitError) as error:
                    rows.append(Row(str(repository.id), "failed", pull.branch, str(error), pull.url, pull.number))
    return rows


def _close(forge: Forge, repository: Repository, pull: PullRequest, policy: Policy, folder: Path) -> Row:
    seen = Seen(pull, markers.read(pull.body))
    own = seen.orphaned or pull.head == repository.id
    home = repository if own else forge.repository(pull.head)
    login = forge.git_login()
    remote = Remote(home.clone_url, login.username, login.password)
    site = Site(repository, home.id, Clone.empty(folder, remote, timeout=policy.seconds), remote, pull.base, "", {})
    action: Action = Close(seen.scope, "whoever runs the bot takes it back", seen=seen)
    if seen.marker is None or seen.marker.head != pull.head_sha:
        action = Leave(seen.scope, "somebody else has committed to its branch", seen=seen)
    return Delivery(forge, site, policy).carry_out(action, {})
