"""Progress of long work: a bar with the time left in a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

MOST_LINES = 10
"""Plain lines, about, where there are more steps."""

Advance = Callable[[int, int], None]


@contextmanager
def progress(console: Console, what: str) -> Iterator[Advance]:
    """Give a function ``advance(done, total)`` that shows how far the work is.

    >>> with progress(Console(stderr=True), "folds") as advance:
    ...     advance(1, 5)
    """
    if not console.is_terminal:
        yield lines(console, what)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def lines(console: Console, what: str) -> Advance:
    """Return the plain form of progress: one line a step (a tenth of many), with the seconds since the start."""
    start = perf_counter()

    def advance(done: int, total: int) -> None:
        if done < total and done % max(1, total // MOST_LINES):
            return
        console.print(f"{what}: {done} of {total} ({perf_counter() - start:.1f} s)", markup=False, highlight=False)

    return advance
