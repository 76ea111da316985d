"""Comments that speak to a checker about the line that they stand on, and to nobody else."""

from __future__ import annotations

import re

_PRAGMA = re.compile(
    r"#\s*(?:(?:type|pyright):\s*ignore(?:\[[^\]]*\])?|noqa(?::[\sA-Z0-9,]+)?|pylint:\s*disable=[\w,\s-]+|nosec\b[\w\s,]*"
    r"|pragma:\s*no\s*cover|fmt:\s*skip)\s*"
)


def is_pragma(comment: str) -> bool:
    """Whether a comment, ``#`` included, means nothing once its line is gone: ``# type: ignore[misc]``."""
    return _PRAGMA.fullmatch(comment) is not None
