"""Many repositories: a few at a time, each one's failure is its own, and an interrupted run goes on where it was."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from queue import Empty, SimpleQueue

from codemods.bot.deliver import Row
from codemods.bot.journal import Journal
from codemods.bot.look import Look, Looker
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


_LAST_WORDS = 5.0
"""Seconds that an interrupted run waits for visits to end; what still hangs then ends with the process."""

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
        yield from self._visit_all(left, 0 if journal.green else self.first, opened)

    def _is_done(self, target: Target) -> bool:
        visited = self.journal.visited.get(str(target.id))
        return visited is not None and visited.done

    # -- visiting -----------------------------------------------------------------------------

    def _visit_all(self, targets: Sequence[Target], first: int, opened: int) -> Iterator[list[Row]]:
        waiting = iter(targets)
        todo: SimpleQueue[Target | None] = SimpleQueue()
        done: SimpleQueue[list[Row]] = SimpleQueue()
        # Not a pool: its threads would have to end before the process can, whatever they wait for.
        workers = [threading.Thread(target=self._work, args=(todo, done), daemon=True) for _ in range(self.jobs)]
        for worker in workers:
            worker.start()
        running = 0
        try:
            while True:
                # Of the first few never more at a time than may still get pull requests.
                room = self.jobs if not first else min(self.jobs, first - opened)
                for target in islice(waiting, max(0, room - running)):
                    todo.put(target)
                    running += 1
                if not running:
                    return
                rows = done.get()
                running -= 1
                opened += any(row.what == "opened" for row in rows)
                yield rows
        finally:
            with suppress(Empty):
                while True:
                    todo.get_nowait()
            for _ in workers:
                todo.put(None)
            until = time.monotonic() + _LAST_WORDS
            for worker in workers:
                worker.join(max(0.0, until - time.monotonic()))

    def _work(self, todo: SimpleQueue[Target | None], done: SimpleQueue[list[Row]]) -> None:
        with Looker(self.seconds) as look:
            while (target := todo.get()) is not None:
                done.put(self._visit(target, look))

    def _visit(self, target: Target, look: Look) -> list[Row]:
        name = str(target.id)
        try:
            forge = self.connect(target)
            permit = lambda: self.journal.permit(target.policy.per_hour)  # noqa: E731
            rows = Visit(forge, target.id, target.policy, look, permit=permit, sleep=self.sleep).run()
        except ForgeError as error:
            rows = [Row(name, "failed", "", str(error) or type(error).__name__)]
        except Exception as error:  # a bug of ours in one repository is no reason to leave out the others
            rows = [Row(name, "failed", "", f"the bot crashed: {type(error).__name__}: {error}")]
        self.journal.visit(name, rows)
        return rows

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
            raise HeldError(f"the others wait, because these failed or were closed: {', '.join(sorted(bad))}")
        if pending:
            raise HeldError(f"the others wait for the checks of {', '.join(sorted(pending))}")
