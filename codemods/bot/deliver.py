"""Carrying out a plan on a forge: each step may fail, or its answer be lost, and nothing is done twice.

Branches are pushed with the place that they are expected at, so a commit of somebody else is never
overwritten. What creates something is preceded by a look whether it is there already, each time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from codemods.bot import body as bodies
from codemods.bot import marker as markers
from codemods.bot import plan
from codemods.bot.plan import Action, Proposal, Seen
from codemods.bot.policy import STAGING, Policy
from codemods.bot.verify import Result, Verified, run_in
from codemods.forge.protocol import (
    Exists,
    FileChange,
    Forge,
    ForgeError,
    NewPullRequest,
    PullRequest,
    Repository,
    RepositoryId,
    State,
    Unavailable,
    Uncertain,
)
from codemods.git import Clone, GitError, MovedError, Remote

T = TypeVar("T")

_TRIES = 3
_LONGEST_WAIT = 120.0
"""Seconds: a forge that asks for more is asked again in another run."""


@dataclass(frozen=True)
class Row:
    """What became of one action, for the summary."""

    repository: str
    what: str
    """One word: opened, updated, left, closed, skipped, commented, tidied, waiting, clean, failed."""
    where: str
    """The branch, or nothing."""
    why: str
    url: str = ""
    number: int = 0
    head: str = ""


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


class Delivery:
    """Carries out actions in one repository."""

    def __init__(
        self,
        forge: Forge,
        site: Site,
        policy: Policy,
        *,
        permit: Callable[[], bool] = lambda: True,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """``permit`` is asked before each pull request that is opened."""
        self._forge = forge
        self._site = site
        self._policy = policy
        self._permit = permit
        self._sleep = sleep
        self._before: Result | None = None

    def carry_out(self, action: Action, branches: Mapping[str, str]) -> Row:
        """Do one thing. What goes wrong is a row too."""
        try:
            return self._do(action, branches)
        except MovedError:
            return self._row(action, "skipped", "somebody has pushed to the branch just now")
        except (ForgeError, GitError) as error:
            return self._row(action, "failed", str(error) or type(error).__name__)

    def _do(self, action: Action, branches: Mapping[str, str]) -> Row:
        proposal, seen = action.proposal, action.seen
        if isinstance(action, plan.Open) and proposal:
            return self._open(action, proposal, branches.get(proposal.scope.branch, ""))
        if isinstance(action, plan.Update) and proposal and seen:
            return self._update(action, proposal, seen)
        if isinstance(action, plan.Comment) and proposal and seen:
            self._comment(seen.pull.number, proposal)
            return self._row(action, "commented")
        if isinstance(action, plan.Close) and seen:
            self._close(seen, action.why)
            return self._row(action, "closed")
        if isinstance(action, plan.Tidy):
            self._delete(action.branch, action.sha)
            return self._row(action, "tidied")
        return self._row(action, "skipped" if isinstance(action, plan.Skip) else "left")

    # -- what there is to do ------------------------------------------------------------------

    def _open(self, action: Action, proposal: Proposal, expected: str) -> Row:
        if not self._permit():
            return self._row(action, "waiting", "the limit of pull requests in an hour is reached")
        head = self._commit(proposal)
        verified = self._verify(head)
        if verified and verified.worse:
            return self._row(action, "skipped", self._worse(verified))
        branch = proposal.scope.branch
        head = self._publish(proposal, head, branch, expected)
        new = NewPullRequest(
            title=bodies.title(proposal),
            body=bodies.body(proposal, head, self._policy, verified),
            branch=branch,
            head=self._site.home,
            base=proposal.scope.base,
            draft=proposal.scope.unsafe or self._policy.draft,
            labels=self._policy.labels,
            reviewers=self._policy.reviewers,
            assignees=self._policy.assignees,
        )
        try:
            pull = self._create(new)
        except (Uncertain, Unavailable):
            raise  # the next run takes the branch up
        except ForgeError:
            self._delete(branch, head)
            raise
        return self._row(action, "opened", pull=pull)

    def _update(self, action: Action, proposal: Proposal, seen: Seen) -> Row:
        head = self._commit(proposal)
        verified = self._verify(head)
        if verified and verified.worse:
            return self._row(action, "left", self._worse(verified))
        pull = seen.pull
        head = self._publish(proposal, head, pull.branch, pull.head_sha)
        text = bodies.body(proposal, head, self._policy, verified)
        own_title = seen.marker is None or seen.marker.title in ("", markers.short(pull.title))
        self._describe(pull.number, bodies.title(proposal) if own_title else None, text)
        return self._row(action, "updated", pull=replace(pull, head_sha=head))

    def _close(self, seen: Seen, why: str) -> None:
        """Say why in the description, where the mark says as well that it was not a person's no, and close."""
        pull = seen.pull
        if seen.marker:
            mark = replace(seen.marker, withdrawn=True).render()
            text = markers.replaced(pull.body, replace(seen.marker, withdrawn=True))
            if not seen.marker.withdrawn:
                text = text.replace(mark, f"{mark}\n\n> {bodies.closing(why)}", 1)
            self._describe(pull.number, None, text)
        self._patiently(lambda: self._forge.close_pull_request(self._site.repository.id, pull.number), repeat=True)
        self._delete(pull.branch, pull.head_sha)

    def _comment(self, number: int, proposal: Proposal) -> None:
        id, text = self._site.repository.id, bodies.comment(proposal)
        for attempt in range(_TRIES):
            if any(proposal.ids <= markers.read_told(each.body) for each in self._forge.comments(id, number)):
                return None
            try:
                return self._patiently(lambda: self._forge.comment(id, number, text))
            except Uncertain:
                self._sleep(2**attempt)
        raise Uncertain("whether the comment was taken is not known; the next run looks again")

    # -- pull requests ------------------------------------------------------------------------

    def _create(self, new: NewPullRequest) -> PullRequest:
        """Open a pull request, unless it is there: after a lost answer it may be."""
        for attempt in range(_TRIES):
            if found := self._find(new.branch):
                return self._adopt(found, new)
            try:
                return self._patiently(lambda: self._forge.open_pull_request(self._site.repository.id, new))
            except (Uncertain, Exists):
                self._sleep(2**attempt)
        if found := self._find(new.branch):
            return self._adopt(found, new)
        raise Uncertain("whether the pull request was opened is not known; the next run looks again")

    def _find(self, branch: str) -> PullRequest | None:
        """Our open pull request for a branch, asked for now."""

        def ask() -> PullRequest | None:
            pulls = self._forge.pull_requests(self._site.repository.id, branch_prefix=branch)
            same = (pull for pull in pulls if pull.branch == branch and pull.head == self._site.home)
            return next((pull for pull in same if pull.state is State.OPEN), None)

        return self._patiently(ask)

    def _adopt(self, pull: PullRequest, new: NewPullRequest) -> PullRequest:
        if markers.read(pull.body) != markers.read(new.body):
            self._describe(pull.number, new.title, new.body)
        return pull

    def _describe(self, number: int, title: str | None, text: str) -> None:
        id = self._site.repository.id
        self._patiently(lambda: self._forge.update_pull_request(id, number, title=title, body=text), repeat=True)

    # -- commits ------------------------------------------------------------------------------

    def _commit(self, proposal: Proposal) -> str:
        """The commit of a proposal, in the clone."""
        tree = self._site.clone.tree(self._site.commit, self._files(proposal))
        message = bodies.message(proposal, tree)
        return self._site.clone.commit(self._site.commit, tree, message, self._policy.author)

    def _files(self, proposal: Proposal) -> dict[str, tuple[bytes, bool]]:
        known = self._site.executable
        return {path: (change.after.data, known.get(path, False)) for path, change in proposal.changes.items()}

    def _publish(self, proposal: Proposal, head: str, branch: str, expected: str) -> str:
        """Put the branch at the commit, or at one like it that the forge has signed; the commit that it was."""
        if self._policy.api_commits:
            head = self._signed(proposal, head) or head
        self._push(head, branch, expected)
        return head

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
            self._delete(branch, made or site.commit)

    def _push(self, head: str, branch: str, expected: str) -> None:
        """Push; where it is not known whether that took effect, look, and push again if it did not."""
        for attempt in range(_TRIES):
            try:
                return self._site.clone.push(head, branch, expected=expected, to=self._site.remote)
            except MovedError:
                if self._stands(branch) == head:
                    return None
                raise
            except GitError:
                if self._stands(branch) == head:
                    return None
                if attempt == _TRIES - 1:
                    raise
                self._sleep(2**attempt)
        return None

    def _delete(self, branch: str, expected: str) -> None:
        """Delete our branch where it stands as we know it; one that somebody has moved, or deleted, is left."""
        if self._stands(branch) == expected:
            self._push("", branch, expected)

    def _stands(self, branch: str) -> str:
        return self._site.clone.branches(branch, of=self._site.remote).get(branch, "")

    # -- the project's own command ------------------------------------------------------------

    def _verify(self, head: str) -> Verified | None:
        policy, site = self._policy, self._site
        if not policy.verify:
            return None
        if self._before is None:
            self._before = run_in(site.clone, site.commit, policy.verify, policy.verify_seconds)
        after = run_in(site.clone, head, policy.verify, policy.verify_seconds)
        return Verified(policy.verify, self._before, after)

    def _worse(self, verified: Verified) -> str:
        return f"`{verified.command}` is worse after it: {verified.before.summary} before, {verified.after.summary} now"

    # -- patience -----------------------------------------------------------------------------

    def _patiently(self, ask: Callable[[], T], *, repeat: bool = False) -> T:
        """Ask again while the forge is unavailable; ``repeat``: also when an answer was lost, for it does no harm."""
        for attempt in range(_TRIES):
            try:
                return ask()
            except (Unavailable, Uncertain) as error:
                wait = getattr(error, "retry_after", None) or 2.0**attempt
                if attempt == _TRIES - 1 or wait > _LONGEST_WAIT or (isinstance(error, Uncertain) and not repeat):
                    raise
                self._sleep(wait)
        raise AssertionError("the last try raises or returns")

    def _row(self, action: Action, what: str, why: str = "", *, pull: PullRequest | None = None) -> Row:
        pull = pull or (action.seen.pull if action.seen else None)
        where = action.scope.branch if action.scope else pull.branch if pull else ""
        return Row(
            str(self._site.repository.id),
            what,
            action.branch if isinstance(action, plan.Tidy) else where,
            why or action.why,
            pull.url if pull else "",
            pull.number if pull else 0,
            pull.head_sha if pull else "",
        )
