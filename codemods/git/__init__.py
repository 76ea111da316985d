"""The git command line."""

from codemods.git.clone import Blob, Clone, Person
from codemods.git.process import GitError, MovedError, RefusedError, Remote, origin

__all__ = ["Blob", "Clone", "GitError", "MovedError", "Person", "RefusedError", "Remote", "origin"]
