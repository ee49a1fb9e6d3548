"""What a user's own function raises comes to the user as it was raised, with a note that says whose function it was."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spred.errors import SpredError

MARK = "raised in "
"""How a note of :func:`users_code` begins; the command line knows by it whose mistake an error is."""

OURS = str(Path(__file__).parents[1])
STANDARD = str(Path(traceback.__file__).parent)


@contextmanager
def users_code(what: str) -> Iterator[None]:
    """Add a note to any exception inside: ``what`` raised it, and in which line of the user's files.

    Errors of spred pass without: they are sentences already.

    >>> def load():
    ...     raise KeyError("labels")
    >>> try:
    ...     with users_code("your function 'load'"):
    ...         load()
    ... except KeyError as err:
    ...     users_note(err)
    "your function 'load'"
    """
    try:
        yield
    except SpredError:
        raise
    except Exception as err:
        if users_note(err) is None:  # the innermost says it best
            err.add_note(f"{MARK}{what}{_line(err)}")
        raise


def users_note(err: BaseException) -> str | None:
    """Return what :func:`users_code` has noted; None if the error is not of the user's own code."""
    notes = [note for note in getattr(err, "__notes__", ()) if note.startswith(MARK)]
    return notes[0].removeprefix(MARK) if notes else None


def _line(err: Exception) -> str:
    """Return the last line of the traceback that lies in a file of the user's, `` (nets.py, line 12)``."""
    lines = [
        (frame.filename, frame.lineno)
        for frame in traceback.extract_tb(err.__traceback__)
        if not (frame.filename.startswith((OURS, STANDARD, "<")) or "-packages" in frame.filename)
    ]
    return f" ({Path(lines[-1][0]).name}, line {lines[-1][1]})" if lines else ""
