"""The errors a user can cause, all caught by the command line and shown as one line."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class NSRError(Exception):
    """Something the user can mend; the message is one line that says what to do."""


class InputError(NSRError):
    """An input the model cannot read: an unknown word, an empty line."""


class DataError(NSRError):
    """A data file that is missing, malformed or not what its split promises."""


class MissingDataError(DataError):
    """A data file that does not exist."""


class RunError(NSRError):
    """A run folder that is missing, damaged, unfinished or written by another version."""


class ConfigError(NSRError):
    """An option that does not exist or has a value it cannot take."""


class ProgramError(NSRError):
    """A program text that does not parse or is not well typed."""


class ExportError(NSRError):
    """A model that cannot be written as a grammar that does the same."""


def reason(error: Exception) -> str:
    """Why something failed, in one line; of an error of the system without number and path."""
    told = error.strerror if isinstance(error, OSError) else None
    return told or next(iter(str(error).splitlines()), "") or type(error).__name__


def did_you_mean(word: str, known: Iterable[str], kind: str) -> str:
    """What to write instead of a word: the nearest one that is known, or all."""
    known = list(known)
    near = get_close_matches(word, known, n=1, cutoff=0.75)
    return f"did you mean {near[0]}?" if near else f"known {kind}: {', '.join(known) or 'none'}"
