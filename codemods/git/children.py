"""Child processes in sessions of their own: each ends with all that it has started, and all end together.

A session of its own keeps what a child starts from outliving it; it also keeps the terminal's Ctrl-C from
the child. So whoever is interrupted has to end them: ``halt``.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from typing import Any

_running: set[subprocess.Popen[bytes]] = set()
_halted = False
_lock = threading.RLock()
"""Reentrant: a signal may arrive while this very thread holds it."""


class HaltedError(Exception):
    """This process is about to end and starts nothing any more."""


def start(command: list[str] | str, **options: Any) -> subprocess.Popen[bytes]:
    """A new process, as ``subprocess.Popen`` has it; ``end`` it, however it went. Raises HaltedError."""
    with _lock:
        if _halted:
            raise HaltedError("interrupted")
        process = subprocess.Popen(command, start_new_session=True, **options)
        _running.add(process)
        return process


def end(process: subprocess.Popen[bytes], *, leavings: bool = False) -> None:
    """End a process that still runs, with all that it has started; ``leavings``: that also where it has ended."""
    if leavings or process.poll() is None:
        _kill_group(process)
        process.wait()
    with _lock:
        _running.discard(process)


def halt() -> None:
    """End all of them, and let none be started from now on."""
    global _halted
    with _lock:
        _halted = True
        for process in _running:
            _kill_group(process)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
