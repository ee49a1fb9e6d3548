"""What the commands print, and how they end: one sentence for an error, an exit code, a stop by the user."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

import typer
from rich.console import Console

from spred.errors import SpredError, first_line
from spred.runtime.users_code import users_note

STOPPED = 130
"""The exit code of a process that Ctrl-C ended."""


def leave_at_once() -> None:
    """End the process after its exit handlers (joblib removes its files there), without waiting for threads."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(STOPPED)


def print_notes(screen: Console, notes: Iterable[str]) -> None:
    """Print what was decided, a line each."""
    for note in notes:
        say(screen, note)


def say(screen: Console, text: str) -> None:
    """Print a line as it is: names of genes are not markup."""
    screen.print(text, markup=False, highlight=False, emoji=False)


@contextmanager
def reported_errors() -> Iterator[None]:
    """Turn what goes wrong into a sentence on stderr and an exit code; SPRED_DEBUG=1 shows the traceback.

    Ctrl-C reaches worker processes too, and their end may be noticed as an error first: it is a stop all the same.
    """
    asked: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        signal.default_int_handler(number, frame)

    ours = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, interrupt) if ours else None
    try:
        yield
    except (KeyboardInterrupt, Exception) as err:
        if asked or isinstance(err, KeyboardInterrupt):
            typer.echo("Stopped. No results were written; what is finished is kept for --resume.", err=True)
            sys.exit(STOPPED)
        if os.environ.get("SPRED_DEBUG"):
            raise
        typer.echo(f"Error: {sentence(err)}", err=True)
        sys.exit(1)
    finally:
        if ours:
            signal.signal(signal.SIGINT, before)


def sentence(err: Exception) -> str:
    """Say what went wrong: in spred's own words, in the system's, in whose code, or that it is a mistake of ours."""
    if isinstance(err, SpredError):
        return str(err)
    if isinstance(err, OSError) and users_note(err) is None:
        place = f"{err.filename}: " if err.filename else ""
        return f"{place}{err.strerror or err}"
    kind = f"{type(err).__name__}: {first_line(err)}"
    own = users_note(err)
    if own is not None:
        return f"{own}: {kind}; SPRED_DEBUG=1 shows the whole traceback"
    return f"a mistake in spred ({kind}); run again with SPRED_DEBUG=1 to see where, and please report it"
