"""What the commands print, and how they end: one sentence for an error, an exit code, a stop by the user."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from spred.cli.stops import STOPPED, stoppable
from spred.errors import ResourceError, SpredError, SpredWarning, WorkerError, first_line
from spred.report.wording import printable
from spred.runtime.users_code import users_note


@dataclass
class Ending:
    """What is said at the end of a command that does not reach it.

    Attributes:
        resume: the option that goes on with what is finished; none where nothing is kept.
        jobs: the option for one piece of the work at a time, where there is one.
        written: the results, as soon as they are there.
    """

    resume: str = ""
    jobs: str = ""
    written: Path | None = None

    def stop(self) -> str:
        """Say what a stop has left."""
        if self.written is not None:
            return f"Stopped. The results are in {self.written}."
        kept = f"; what is finished is kept for {self.resume}" if self.resume else ""
        return f"Stopped. No results were written{kept}."

    def failure(self, error: Exception) -> str:
        """Say what went wrong, and how to go on."""
        if self.written is not None:
            return f"{sentence(error)}; the results are in {self.written}"
        if not (self.resume and isinstance(error, ResourceError | MemoryError)):
            return sentence(error)
        fewer = f" {self.jobs}" if self.jobs and isinstance(error, WorkerError | MemoryError) else ""
        return f"{sentence(error)}; what is finished is kept: go on with {self.resume}{fewer}"


def print_notes(screen: Console, notes: Iterable[str]) -> None:
    """Print what was decided, a line each."""
    for note in notes:
        say(screen, note)


def say(screen: Console, text: str) -> None:
    """Print a line as it is: names of genes are not markup, and no commands to the terminal."""
    screen.print(printable(text), markup=False, highlight=False, emoji=False)


@contextmanager
def reported_errors(resume: str = "", jobs: str = "") -> Iterator[Ending]:
    """Turn what goes wrong into a sentence on stderr and an exit code; SPRED_DEBUG=1 shows the traceback.

    Stops reach worker processes too, and their end may be noticed as an error first: it is a stop all the same.
    """
    ending = Ending(resume, jobs)
    with stoppable() as came:
        try:
            yield ending
        except (KeyboardInterrupt, Exception) as err:
            if came or isinstance(err, KeyboardInterrupt):
                typer.echo(ending.stop(), err=True)
                sys.exit(STOPPED[came[0] if came else signal.SIGINT])
            if os.environ.get("SPRED_DEBUG"):
                raise
            typer.echo(f"Error: {printable(ending.failure(err))}", err=True)
            sys.exit(1)


def warnings_as_notes() -> None:
    """Show spred's own warnings as a line each, without the place in the code; for the process of a command alone."""
    theirs = warnings.formatwarning

    def shown(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> str:
        if issubclass(category, SpredWarning):
            return f"Note: {printable(str(message))}.\n"
        return theirs(message, category, *where, **more)

    warnings.formatwarning = shown


def sentence(err: Exception) -> str:
    """Say what went wrong: in spred's own words, in the system's, in whose code, or that it is a mistake of ours."""
    if isinstance(err, SpredError):
        return str(err)
    if isinstance(err, MemoryError):
        return f"there is not enough memory{f' ({err})' if str(err) else ''}".splitlines()[0]
    if isinstance(err, OSError) and users_note(err) is None:
        if isinstance(err, FileNotFoundError) and not err.filename and not folder_is_there():
            return "the folder that this command was started in is no longer there; go to another one"
        place = f"{err.filename}: " if err.filename else ""
        return f"{place}{err.strerror or err}"
    kind = f"{type(err).__name__}: {first_line(err)}"
    own = users_note(err)
    if own is not None:
        return f"{own}: {kind}; SPRED_DEBUG=1 shows the whole traceback"
    return f"a mistake in spred ({kind}); run again with SPRED_DEBUG=1 to see where, and please report it"


def folder_is_there() -> bool:
    """Whether the current folder still exists."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True
