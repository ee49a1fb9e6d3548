"""Signals that ask a command to stop: Ctrl-C, the ``kill`` of a batch system, the end of a terminal.

They are handled inside of a command alone. A signal that the command was started to ignore, as by ``nohup``, stays so.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))

STOPPED = {number: 128 + number for number in SIGNALS}
"""The exit code of a command that a signal stopped, as shells count: 130 for Ctrl-C, 143 for ``kill``."""


@contextmanager
def stoppable() -> Iterator[list[int]]:
    """Raise KeyboardInterrupt where one of the signals arrives; give the list of those that came."""
    came: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        came.append(number)
        raise KeyboardInterrupt

    ours = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in SIGNALS} if ours else {}
    handled = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    for number in handled:
        signal.signal(number, interrupt)
    try:
        yield came
    finally:
        for number, handler in handled.items():
            signal.signal(number, handler)


def leave_at_once(code: int) -> NoReturn:
    """End the process after its exit handlers (joblib removes its files there), without waiting for threads."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
