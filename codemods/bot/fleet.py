"""Many repositories: a few at a time, each one's failure is its own, and an interrupted run goes on where it was."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from itertools import islice

from codemods.bot.deliver import Row
from codemods.bot.journal import Journal
from codemods.bot.look import Looker
from codemods.bot.policy import PREFIX, Policy
from codemods.bot.visit import Visit
from codemods.forge.protocol import Checks, Forge, ForgeError, RepositoryId, State


@dataclass(frozen=True)
class Target:
    """A repository of a fleet, and what is wanted there."""

    id: RepositoryId
    policy: Policy
    forge: str = ""
    """What runs on its host, where that is not known."""


Connect = Callable[[Target], Forge]
"""The forge of a target, for one thread. Raises ForgeError."""


class HeldError(Exception):
    """The first few repositories are not well, or not yet; the message says which."""


@dataclass
class Fleet:
    """Visits targets and keeps the journal."""

    targets: Sequence[Target]
    connect: Connect
    journal: Journal
    jobs: int = 4
    first: int = 0
    """So many repositories get pull requests before all others have to wait until theirs are green."""
    seconds: float = 300
    sleep: Callable[[float], None] = time.sleep
    _local: threading.local = field(default_factory=threading.local)
    _lookers: list[Looker] = field(default_factory=list)

    def run(self) -> Iterator[list[Row]]:
        """The rows of each repository as it is done. Raises HeldError before the first one."""
        journal = self.journal
        left = [target for target in self.targets if not self._is_done(target)]
        if not left and self.targets:
            journal.new_round()
            left = list(self.targets)
        opened = sum(1 for visited in journal.visited.values() if visited.opened)
        if self.first and opened >= self.first and not journal.green:
            self._judge()
            journal.well()
        try:
            yield from self._visit_all(left, 0 if journal.green else self.first, opened)
        finally:
            for looker in self._lookers:
                looker.close()

    def _is_done(self, target: Target) -> bool:
        visited = self.journal.visited.get(str(target.id))
        return visited is not None and visited.done

    # -- visiting -----------------------------------------------------------------------------

    def _visit_all(self, targets: Sequence[Target], first: int, opened: int) -> Iterator[list[Row]]:
        waiting = iter(targets)
        running: set[Future[list[Row]]] = set()
        pool = ThreadPoolExecutor(max(1, self.jobs), thread_name_prefix="visit")
        try:
            while True:
                # Of the first few never more at a time than may still get pull requests.
                room = self.jobs if not first else min(self.jobs, first - opened)
                for target in islice(waiting, max(0, room - len(running))):
                    running.add(pool.submit(self._visit, target))
                if not running:
                    return
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    rows = future.result()
                    opened += any(row.what == "opened" for row in rows)
                    yield rows
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _visit(self, target: Target) -> list[Row]:
        name = str(target.id)
        try:
            forge = self.connect(target)
            permit = lambda: self.journal.permit(target.policy.per_hour)  # noqa: E731
            rows = Visit(forge, target.id, target.policy, self._looker(), permit=permit, sleep=self.sleep).run()
        except ForgeError as error:
            rows = [Row(name, "failed", "", str(error) or type(error).__name__)]
        except Exception as error:  # a bug of ours in one repository is no reason to leave out the others
            rows = [Row(name, "failed", "", f"the bot crashed: {type(error).__name__}: {error}")]
        self.journal.visit(name, rows)
        return rows

    def _looker(self) -> Looker:
        if not hasattr(self._local, "looker"):
            self._local.looker = Looker(self.seconds)
            self._lookers.append(self._local.looker)
        looker: Looker = self._local.looker
        return looker

    # -- the first few ------------------------------------------------------------------------

    def _judge(self) -> None:
        """See whether the pull requests that were opened first are well. Raises HeldError."""
        by_name = {str(target.id): target for target in self.targets}
        bad: list[str] = []
        pending: list[str] = []
        for visited in self.journal.visited.values():
            target = by_name.get(visited.repository)
            numbers = {row.number: row.url for row in visited.opened}
            if target is None or not numbers:
                continue
            forge = self.connect(target)
            for pull in forge.pull_requests(target.id, branch_prefix=PREFIX):
                if pull.number not in numbers or pull.state is State.MERGED:
                    continue
                checks = forge.checks(target.id, pull.head_sha) if pull.state is State.OPEN else Checks.FAILED
                if checks is Checks.FAILED:
                    bad.append(pull.url)
                elif checks is Checks.PENDING:
                    pending.append(pull.url)
        if bad:
            raise HeldError(f"the others wait, because these failed or were closed: {', '.join(bad)}")
        if pending:
            raise HeldError(f"the others wait for the checks of {', '.join(pending)}")
