"""The git command line."""

from codemods.git.clone import Blob, Clone, Person
from codemods.git.process import GitError, MovedError, Remote, kill_group, origin

__all__ = ["Blob", "Clone", "GitError", "MovedError", "Person", "Remote", "kill_group", "origin"]
