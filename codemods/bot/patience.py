"""Asking a forge again that is not well."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from codemods.forge.protocol import Unavailable, Uncertain

T = TypeVar("T")

TRIES = 3
_LONGEST_WAIT = 120.0
"""Seconds: a forge that asks for more is asked again in another run."""


def patiently(ask: Callable[[], T], sleep: Callable[[float], None], *, repeat: bool = False) -> T:
    """Ask again while the forge is unavailable; ``repeat``: also when an answer was lost, for it does no harm."""
    for attempt in range(TRIES):
        try:
            return ask()
        except (Unavailable, Uncertain) as error:
            wait = getattr(error, "retry_after", None) or 2.0**attempt
            if attempt == TRIES - 1 or wait > _LONGEST_WAIT or (isinstance(error, Uncertain) and not repeat):
                raise
            sleep(wait)
    raise AssertionError("the last try raises or returns")
