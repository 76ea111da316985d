"""Putting a changed file in the place of the old one: at any moment it is either old or new."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path


class WriteError(Exception):
    """A file that was not written; the message says why."""


def write(path: Path, before: bytes, after: bytes, root: Path) -> None:
    """Replace the contents of ``path``, mode kept.

    Raises WriteError when the file is no longer what was read, when it may not be written, or when it
    is a symbolic link to something outside of ``root``. A link to a file inside stays a link.
    """
    target = path
    if path.is_symlink():
        target = Path(os.path.realpath(path))
        if not target.is_relative_to(os.path.realpath(root)):
            raise WriteError(f"a symbolic link out of {root}")
    try:
        if target.read_bytes() != before:
            raise WriteError("changed since it was read; run again")
        if not os.access(target, os.W_OK):
            raise WriteError("read-only")
        replace_contents(target, after)
    except OSError as error:
        raise WriteError(os.strerror(error.errno) if error.errno else str(error)) from error


def replace_contents(path: Path, data: bytes) -> None:
    """Write a new file beside ``path``, force it to the disk, and rename it over the old one.

    Raises OSError.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".loopmend")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):  # a new file has no mode to keep
            old = path.stat()
            os.chmod(temporary, stat.S_IMODE(old.st_mode))
            if hasattr(os, "chown") and (old.st_uid, old.st_gid) != (os.geteuid(), os.getegid()):
                with contextlib.suppress(PermissionError):
                    os.chown(temporary, old.st_uid, old.st_gid)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
