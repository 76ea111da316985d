"""What a run over many repositories remembers on disk: where it was, and what it opened when.

The truth about pull requests is on the forge. The journal only saves work after an interruption, keeps the
limit by the hour, and knows the first few repositories that the others wait for.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from codemods.bot.deliver import Row

_HOUR = 3600.0


@dataclass(frozen=True)
class Visited:
    """A repository that this round has been to."""

    repository: str
    rows: tuple[Row, ...]

    @property
    def done(self) -> bool:
        """Whether nothing is left to do there in this round."""
        return not any(row.what in ("failed", "waiting") for row in self.rows)

    @property
    def opened(self) -> list[Row]:
        """The pull requests that were opened there."""
        return [row for row in self.rows if row.what == "opened"]


@dataclass
class Journal:
    """Lines of JSON, each written through to the disk, so that a run may end at any moment.

    Without a path it forgets everything when the process ends. It may be used by several threads.
    """

    path: Path | None = None
    clock: Callable[[], float] = time.time
    visited: dict[str, Visited] = field(default_factory=dict)
    """In this round, by repository."""
    green: bool = False
    """Whether the first few repositories of this round were found to be well."""
    _opened: list[float] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Read what is there. Raises OSError."""
        if self.path is not None and self.path.exists():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                try:
                    self._take(json.loads(line))
                except (ValueError, KeyError, TypeError):
                    continue  # torn by an interruption

    def permit(self, per_hour: int) -> bool:
        """Whether one more pull request may be opened now; the permission counts as used, whatever happens next."""
        with self._lock:
            since = self.clock() - _HOUR
            self._opened = [at for at in self._opened if at > since]
            if len(self._opened) >= per_hour:
                return False
            self._opened.append(self.clock())
            self._write(permitted=True)
            return True

    def visit(self, repository: str, rows: Sequence[Row]) -> None:
        """Remember what came of a repository."""
        with self._lock:
            self.visited[repository] = Visited(repository, tuple(rows))
            self._write(visited=repository, rows=[asdict(row) for row in rows])

    def well(self) -> None:
        """Remember that the first few repositories are well."""
        with self._lock:
            self.green = True
            self._write(green=True)

    def new_round(self) -> None:
        """Start from the first repository again."""
        with self._lock:
            self.visited, self.green = {}, False
            self._write(round=True)

    def _take(self, line: dict[str, Any]) -> None:
        if "round" in line:
            self.visited, self.green = {}, False
        elif "green" in line:
            self.green = True
        elif "permitted" in line:
            self._opened.append(float(line["at"]))
        else:
            visited = Visited(line["visited"], tuple(Row(**row) for row in line["rows"]))
            self.visited[visited.repository] = visited

    def _write(self, **line: Any) -> None:
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        data = json.dumps({"at": self.clock(), **line}) + "\n"
        with self.path.open("a+b") as file:
            file.seek(0, os.SEEK_END)
            if file.tell():
                file.seek(-1, os.SEEK_END)
                data = data if file.read(1) == b"\n" else "\n" + data
            file.write(data.encode())
            file.flush()
            os.fsync(file.fileno())
