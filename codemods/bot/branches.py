"""The bot's commits and branches: made in the clone or by the forge, and put where nobody else has been.

A push names the place that the branch is expected at, so a commit of somebody else is never overwritten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from codemods.bot import body as bodies
from codemods.bot.patience import TRIES
from codemods.bot.policy import STAGING, Policy
from codemods.bot.proposal import Proposal
from codemods.forge.protocol import FileChange, Forge, ForgeError, Repository, RepositoryId, Uncertain
from codemods.git import Clone, GitError, MovedError, RefusedError, Remote


@dataclass(frozen=True)
class Site:
    """Where the work is done."""

    repository: Repository
    home: RepositoryId
    """The repository that our branches are in: the same one, or our fork."""
    clone: Clone
    remote: Remote
    """Of ``home``."""
    base: str
    commit: str
    """The commit of the base branch that was looked at."""
    executable: Mapping[str, bool]
    """Of the files of that commit."""


class Branches:
    """Those of one site."""

    def __init__(self, forge: Forge, site: Site, policy: Policy, sleep: Callable[[float], None]) -> None:
        self._forge = forge
        self._site = site
        self._policy = policy
        self._sleep = sleep

    def commit(self, proposal: Proposal) -> str:
        """The commit of a proposal, in the clone."""
        tree = self._site.clone.tree(self._site.commit, self._files(proposal))
        message = bodies.message(proposal, tree)
        return self._site.clone.commit(self._site.commit, tree, message, self._policy.author)

    def publish(self, proposal: Proposal, head: str, branch: str, expected: str) -> str:
        """Put the branch at the commit, or at one like it that the forge has signed; the commit that it was.

        Raises MovedError when the branch is not where it was ``expected``, and other GitErrors.
        """
        if self._policy.api_commits:
            head = self._signed(proposal, head) or head
        self._push(head, branch, expected)
        return head

    def delete(self, branch: str, expected: str) -> None:
        """Delete our branch where it stands as we know it; one that somebody has moved, or deleted, is left."""
        if self._stands(branch) == expected:
            self._push("", branch, expected)

    def _files(self, proposal: Proposal) -> dict[str, tuple[bytes, bool]]:
        known = self._site.executable
        return {path: (change.after.data, known.get(path, False)) for path, change in proposal.changes.items()}

    def _signed(self, proposal: Proposal, head: str) -> str | None:
        """The same commit, made by the forge; None where it does not make it.

        It is made on a branch of its own: a pull request whose branch is set back to its base, even for
        a moment, is closed by the forge.
        """
        site, branch = self._site, STAGING + proposal.scope.key
        tree, message = site.clone.tree_and_message(head)
        changes = [FileChange(path, data, executable) for path, (data, executable) in self._files(proposal).items()]
        self._push(site.commit, branch, self._stands(branch))
        try:
            made = self._forge.commit(
                site.home, branch=branch, parent=site.commit, message=message, changes=changes
            )  # fmt: skip
        except Uncertain:
            made = self._stands(branch)
        except ForgeError:
            made = None
        try:
            if made in (None, "", site.commit):
                return None
            site.clone.fetch(made, of=site.remote, parent_is_here=True)
            return made if site.clone.tree_and_message(made)[0] == tree else None
        finally:
            self.delete(branch, made or site.commit)

    def _push(self, head: str, branch: str, expected: str) -> None:
        """Push; where it is not known whether that took effect, look, and push again if it did not."""
        for attempt in range(TRIES):
            try:
                return self._site.clone.push(head, branch, expected=expected, to=self._site.remote)
            except RefusedError:
                raise
            except GitError as error:
                if self._stands(branch) == head:
                    return None
                if isinstance(error, MovedError) or attempt == TRIES - 1:
                    raise
                self._sleep(2**attempt)
        return None

    def _stands(self, branch: str) -> str:
        return self._site.clone.branches(branch, of=self._site.remote).get(branch, "")
