"""One repository, from the clone to the rows of the summary."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from codemods.bot import body as bodies
from codemods.bot import plan
from codemods.bot.branches import Site
from codemods.bot.deliver import Delivery, Row
from codemods.bot.groups import Group, Scope, covers, groups
from codemods.bot.look import Look, Looked, LookError, Wishes
from codemods.bot.observed import Observed, observe, trusted
from codemods.bot.owners import CodeOwners
from codemods.bot.plan import Action
from codemods.bot.policy import Policy
from codemods.bot.proposal import Choice, Proposal, unmended
from codemods.bot.tree import Tree, lay_out
from codemods.engine.results import Report, Status
from codemods.forge.protocol import Forge, ForgeError, Repository, RepositoryId
from codemods.git import Clone, GitError, Remote


@dataclass(frozen=True)
class Preview:
    """What a dry run shows of a pull request."""

    row: Row
    title: str = ""
    body: str = ""
    patch: str = ""


class Visit:
    """Looks at one repository and brings its pull requests up to date."""

    def __init__(
        self,
        forge: Forge,
        id: RepositoryId,
        policy: Policy,
        look: Look,
        *,
        permit: Callable[[], bool] = lambda: True,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """``permit`` is asked before each pull request that is opened: the limit by the hour."""
        self._forge = forge
        self._id = id
        self._policy = policy
        self._look = look
        self._permit = permit
        self._sleep = sleep

    def run(self) -> list[Row]:
        """Do what is to be done. What goes wrong is a row."""
        try:
            with tempfile.TemporaryDirectory(prefix="loopmend-") as folder:
                return self._deliver(Path(folder))
        except (ForgeError, GitError, LookError, ValueError) as error:
            return [Row(str(self._id), "failed", "", str(error) or type(error).__name__)]

    def preview(self) -> list[Preview]:
        """What ``run`` would do, with the texts. Nothing is touched.

        Raises ForgeError, GitError and LookError.
        """
        with tempfile.TemporaryDirectory(prefix="loopmend-") as folder:
            return list(self._preview(Path(folder)))

    # -- the two endings ----------------------------------------------------------------------

    def _deliver(self, folder: Path) -> list[Row]:
        scene = self._scene(folder)
        if isinstance(scene, Row):
            return [scene]
        home = self._home(scene)
        site = self._site(scene, home, folder)
        observed = observe(self._forge, scene.repository.id, home.id, site.clone, site.remote)
        delivery = Delivery(self._forge, site, self._policy, permit=self._permit, sleep=self._sleep)
        actions = self._plan(scene, observed)
        return [delivery.carry_out(action, observed.branches) for action in actions] or [_nothing(scene)]

    def _preview(self, folder: Path) -> Iterator[Preview]:
        scene = self._scene(folder)
        if isinstance(scene, Row):
            yield Preview(scene)
            return
        repository = scene.repository
        home = self._present_home(scene)
        observed = observe(self._forge, scene.repository.id, home.id, scene.clone, self._remote(home))
        actions = self._plan(scene, observed)
        if not actions:
            yield Preview(_nothing(scene))
        for action in actions:
            yield _preview(action, repository, self._policy)

    # -- looking ------------------------------------------------------------------------------

    def _scene(self, folder: Path) -> _Scene | Row:
        """Clone the repository and look at it; a row where there is no point in that."""
        policy = self._policy
        repository = self._forge.repository(self._id)
        if repository.archived:
            return Row(str(self._id), "skipped", "", "it is archived")
        base = policy.base or repository.default_branch
        remote = self._remote(repository)
        clone = Clone.make(folder / "clone.git", remote, base, timeout=policy.seconds)
        commit = clone.tip()
        tree = lay_out(clone, commit, folder / "tree")
        wishes = Wishes(str(tree.directory), policy.select, policy.ignore, policy.unsafe_fixes)
        looked = self._look(wishes)
        owners = CodeOwners.among(tree.owners)
        found = groups(looked.report, policy, base, unsafe=looked.unsafe_fixes, owners=owners)
        return _Scene(repository, remote, clone, base, commit, tree, looked, found)

    def _remote(self, repository: Repository) -> Remote:
        login = self._forge.git_login()
        return Remote(repository.clone_url, login.username, login.password)

    def _home(self, scene: _Scene) -> Repository:
        """Where our branches go: a fork, made when there is something for it, where we may not push."""
        if scene.repository.can_push and not self._policy.fork:
            return scene.repository
        if not scene.groups and not any(trusted(self._forge, scene.repository.id, scene.repository.id)):
            return scene.repository
        return self._forge.fork(scene.repository.id)

    def _present_home(self, scene: _Scene) -> Repository:
        """Where our branches are now; a fork that is still to be made has none."""
        repository = scene.repository
        if repository.can_push and not self._policy.fork:
            return repository
        heads = (pull.head for pull in trusted(self._forge, repository.id, repository.id))
        fork = next((head for head in heads if head.path and head != repository.id), None)
        return self._forge.repository(fork) if fork else repository

    def _site(self, scene: _Scene, home: Repository, folder: Path) -> Site:
        clone, remote = scene.clone, scene.remote
        if home.id != scene.repository.id:  # a fork that is behind needs commits that the little clone lacks
            remote = self._remote(home)
            clone = Clone.make(
                folder / "complete.git", scene.remote, scene.base, complete=True, timeout=self._policy.seconds
            )
            if not clone.has(scene.commit):
                raise GitError(f"{scene.base} was rewritten just now; the next run looks again")
        return Site(scene.repository, home.id, clone, remote, scene.base, scene.commit, scene.tree.executable)

    # -- planning -----------------------------------------------------------------------------

    def _plan(self, scene: _Scene, observed: Observed) -> list[Action]:
        policy, looked = self._policy, scene.looked
        choices = plan.choose(scene.groups, observed, policy)
        proposals = [made for choice in choices if choice.ids if (made := self._propose(choice, scene))]
        report = looked.report

        def covered(scope: Scope) -> bool:
            return covers(policy, scene.base, looked.selected, unsafe=looked.unsafe_fixes, scope=scope)

        view = plan.Look(
            covers=covered,
            present=frozenset(entry.id for entry in report.entries),
            unread=frozenset(scene.tree.skipped)
            | {entry.finding.path for entry in report.entries if entry.finding.code == "LM000"}
            | {problem.path for problem in report.problems},
            complete=all(problem.path in scene.tree.executable for problem in report.problems),
        )
        may_open = policy.max_open - sum(not seen.orphaned for seen in observed.open())
        return plan.actions(proposals, choices, observed, view, may_open=may_open)

    def _propose(self, choice: Choice, scene: _Scene) -> Proposal | None:
        """Carry a choice out on the files of the base; None where that changes nothing."""
        policy = self._policy
        wishes = Wishes(
            str(scene.tree.directory), policy.select, policy.ignore, policy.unsafe_fixes, fix=frozenset(choice.ids)
        )
        report = self._look(wishes).report
        mended = tuple(entry for entry in report.with_status(Status.FIXED) if entry.id in choice.ids)
        if not mended or not report.changes:
            return None
        others = unmended(report.entries, mended, unsafe=scene.looked.unsafe_fixes)
        return Proposal(choice, mended, others, report.changes, _patch(report))


@dataclass(frozen=True)
class _Scene:
    """A repository that was looked at."""

    repository: Repository
    remote: Remote
    clone: Clone
    base: str
    commit: str
    tree: Tree
    looked: Looked
    groups: list[Group]


def _patch(report: Report) -> str:
    from codemods.reports.patch import file_patch

    patches = (file_patch(path, change) for path, change in sorted(report.changes.items()))
    return b"".join(patches).decode("utf-8", "replace")


def _nothing(scene: _Scene) -> Row:
    report = scene.looked.report
    found, unsafe = len(report.entries), len(report.held_back)
    why = f"nothing to mend in {bodies.count(report.files, 'file')}"
    if found:
        why += f": {bodies.count(found, 'finding')} without a fix that may be made"
        why += f", {unsafe} with an unsafe one" if unsafe else ""
    return Row(str(scene.repository.id), "clean", "", why)


_WOULD: Mapping[type[Action], str] = {
    plan.Open: "would open",
    plan.Update: "would update",
    plan.Comment: "would comment",
    plan.Leave: "would leave",
    plan.Close: "would close",
    plan.Skip: "would skip",
    plan.Tidy: "would tidy",
}


def _preview(action: Action, repository: Repository, policy: Policy) -> Preview:
    proposal, seen = action.proposal, action.seen
    where = action.scope.branch if action.scope else action.branch if isinstance(action, plan.Tidy) else ""
    row = Row(str(repository.id), _WOULD[type(action)], where, action.why, seen.pull.url if seen else "")
    if proposal is None or not isinstance(action, plan.Open | plan.Update | plan.Comment):
        return Preview(row)
    if isinstance(action, plan.Comment):
        return Preview(row, body=bodies.comment(proposal))
    return Preview(row, bodies.title(proposal), bodies.body(proposal, "0" * 40, policy), proposal.patch)
