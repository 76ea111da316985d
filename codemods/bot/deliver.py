"""Carrying out a plan on a forge: each step may fail, or its answer be lost, and nothing is done twice.

What creates something is preceded by a look whether it is there already, each time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from codemods.bot import body as bodies
from codemods.bot import marker as markers
from codemods.bot import plan
from codemods.bot.branches import Branches, Site
from codemods.bot.observed import Seen
from codemods.bot.patience import TRIES, patiently
from codemods.bot.plan import Action
from codemods.bot.policy import Policy
from codemods.bot.proposal import Proposal
from codemods.bot.verify import Result, Verified, run_in
from codemods.forge.protocol import (
    Exists,
    Forge,
    ForgeError,
    NewPullRequest,
    PullRequest,
    State,
    Unavailable,
    Uncertain,
)
from codemods.git import GitError, MovedError


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
        self._branches = Branches(forge, site, policy, sleep)
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
            self._branches.delete(action.branch, action.sha)
            return self._row(action, "tidied")
        return self._row(action, "skipped" if isinstance(action, plan.Skip) else "left")

    # -- what there is to do ------------------------------------------------------------------

    def _open(self, action: Action, proposal: Proposal, expected: str) -> Row:
        if not self._permit():
            return self._row(action, "waiting", "the limit of pull requests in an hour is reached")
        head = self._branches.commit(proposal)
        verified = self._verify(head)
        if verified and verified.worse:
            return self._row(action, "skipped", self._worse(verified))
        branch = proposal.scope.branch
        head = self._branches.publish(proposal, head, branch, expected)
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
            self._branches.delete(branch, head)
            raise
        missing = self._forge.furnish(self._site.repository.id, pull.number, new)
        return self._row(action, "opened", "; ".join([action.why, *missing]), pull=pull)

    def _update(self, action: Action, proposal: Proposal, seen: Seen) -> Row:
        head = self._branches.commit(proposal)
        verified = self._verify(head)
        if verified and verified.worse:
            return self._row(action, "left", self._worse(verified))
        pull = seen.pull
        head = self._branches.publish(proposal, head, pull.branch, pull.head_sha)
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
        id = self._site.repository.id
        patiently(lambda: self._forge.close_pull_request(id, pull.number), self._sleep, repeat=True)
        if pull.head == self._site.home:
            self._branches.delete(pull.branch, pull.head_sha)

    def _comment(self, number: int, proposal: Proposal) -> None:
        """Say it, unless it was said. No forge takes two comments for one, so a lost answer ends the matter here."""
        id, text = self._site.repository.id, bodies.comment(proposal)

        def said() -> bool:
            return any(proposal.ids <= markers.read_told(each.body) for each in self._forge.comments(id, number))

        if patiently(said, self._sleep):
            return
        try:
            patiently(lambda: self._forge.comment(id, number, text), self._sleep)
        except Uncertain:
            for attempt in range(TRIES):
                if said():
                    return
                self._sleep(2**attempt)
            raise

    # -- pull requests ------------------------------------------------------------------------

    def _create(self, new: NewPullRequest) -> PullRequest:
        """Open a pull request, unless it is there: after a lost answer it may be."""
        for attempt in range(TRIES):
            if found := self._find(new.branch):
                return self._adopt(found, new)
            try:
                return patiently(lambda: self._forge.open_pull_request(self._site.repository.id, new), self._sleep)
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

        return patiently(ask, self._sleep)

    def _adopt(self, pull: PullRequest, new: NewPullRequest) -> PullRequest:
        if markers.read(pull.body) != markers.read(new.body):
            self._describe(pull.number, new.title, new.body)
        return pull

    def _describe(self, number: int, title: str | None, text: str) -> None:
        id = self._site.repository.id
        patiently(lambda: self._forge.update_pull_request(id, number, title=title, body=text), self._sleep, repeat=True)

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
