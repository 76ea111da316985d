"""Many files at once: in this process, or in several that may die without losing the run."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from codemods.engine.examine import Examined, Examiner, Task
from codemods.engine.results import Problem
from codemods.source import Source

_CHUNK = 4

_examiner: Examiner | None = None
"""Of a worker process: made once, when it starts."""


def examine_in_pool(sources: list[Source], task: Task, jobs: int) -> Iterator[Examined]:
    """Examine the files in ``jobs`` processes; the results come in the order of the files.

    Files that were lost with a worker are examined again, one by one, in a process of their own.
    """
    chunks = [sources[start : start + _CHUNK] for start in range(0, len(sources), _CHUNK)]
    pool = _pool(task, min(jobs, len(chunks)))
    lost: list[Source] = []
    try:
        futures = [(pool.submit(_examine, chunk), chunk) for chunk in chunks]
        for future, chunk in futures:
            try:
                yield from future.result()
            except BrokenProcessPool:
                lost += chunk
    except BaseException:  # Ctrl-C: nobody waits for what the workers are at
        for worker in multiprocessing.active_children():
            worker.terminate()
        raise
    finally:
        # It waits: a manager thread left behind closes its pipes while the interpreter, at its end, writes to them.
        pool.shutdown(cancel_futures=True)
    yield from _one_by_one(lost, task)


def _one_by_one(sources: list[Source], task: Task) -> Iterator[Examined]:
    pool: ProcessPoolExecutor | None = None
    try:
        for source in sources:
            pool = pool or _pool(task, 1)
            try:
                yield from pool.submit(_examine, [source]).result()
            except BrokenProcessPool:
                pool = None
                message = "the process that looked at it died (out of memory?); the file is left as it is"
                yield Examined(source.path, problems=(Problem(source.path, message),))
    finally:
        if pool:
            pool.shutdown(cancel_futures=True)


def _pool(task: Task, size: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(size, initializer=_start, initargs=(task,))


def _start(task: Task) -> None:
    global _examiner
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's affair
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_die_with_parent, daemon=True).start()
    gc.disable()
    _examiner = Examiner(task)


def _die_with_parent() -> None:
    """End this worker when its parent was killed: nobody else would ever tell it to."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _examine(sources: list[Source]) -> list[Examined]:
    assert _examiner is not None
    results = [_examiner(source) for source in sources]
    gc.collect(1)
    return results


def default_jobs() -> int:
    """How many processes to use when the user does not say."""
    return min(os.cpu_count() or 1, 4)
