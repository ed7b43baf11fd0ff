"""Everything that can go wrong and that a user can put right.

A message says what was wrong, with which file, and what to do. The command line prints it as one line and
exits with 1; anything that is not an ``OpenPlaNetError`` is a defect of ours and keeps its traceback.
"""

import difflib
from collections.abc import Iterable


class OpenPlaNetError(Exception):
    """Base of all errors that are the input's, not the program's."""


class InputError(OpenPlaNetError):
    """A file or value given by the user is missing, unreadable or out of range."""


class PhotoError(InputError):
    """A photo cannot be read; ``reason`` is the short form that goes into ``rejected.csv``."""

    def __init__(self, message: str, reason: str = "unreadable") -> None:
        super().__init__(message)
        self.reason = reason


class DatasetError(InputError):
    """A dataset folder is missing, unfinished, damaged or unfit for what was asked of it."""


class PartitionError(InputError):
    """A partition file is damaged, or its thresholds leave no cell."""


class CheckpointError(InputError):
    """A checkpoint folder is missing, incomplete, damaged or of another format."""


class RecipeError(InputError):
    """No recipe of that name, or an override that the recipe has no field for."""


class TrainingError(OpenPlaNetError):
    """Training cannot start or go on (no photos, a loss that is not a number)."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """What to say of a name that is not there: the one of ``known`` that is most like it, or else all of them."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    return f"did you mean {near[0]}?" if near else f"there are: {', '.join(names)}"
