"""Stops: the terminal's and a batch system's are alike, and nothing of the command is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from commands import arguments, started, wait_for_pieces

from spred.cli.stops import SIGNALS, STOPPED, stoppable


def of_session(number: int) -> list[str]:
    """The processes of a session, as far as they run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, fields = stat.read_text().partition(")")
        except (FileNotFoundError, ProcessLookupError):  # it has just ended
            continue
        state, _, _, session = fields.split()[:4]
        if int(session) == number and state != "Z":
            found.append(name)
    return found


@pytest.mark.parametrize("way", ["Ctrl-C", "kill"])
def test_a_stop_ends_a_run_with_one_sentence_and_leaves_nothing(way: str, data: Path, tmp_path: Path) -> None:
    process = started(*arguments(data, tmp_path / "out", "--jobs", "2"))
    wait_for_pieces(tmp_path / ".out.work", "halves-*/*.npz", 2, process)
    number = signal.SIGINT if way == "Ctrl-C" else signal.SIGTERM
    (os.kill if way == "kill" else os.killpg)(process.pid, number)  # a terminal tells the workers too
    printed = process.communicate(timeout=60)[0]
    assert process.returncode == 128 + number
    assert printed.endswith("Stopped. No results were written; what is finished is kept for --resume.\n")
    assert "Traceback" not in printed
    assert [path.name for path in tmp_path.iterdir()] == [".out.work"]
    until = time.monotonic() + 60
    while of_session(process.pid):
        assert time.monotonic() < until, of_session(process.pid)
        time.sleep(0.01)
    places = [Path("/dev/shm"), Path(tempfile.gettempdir())]
    assert [file for place in places for file in place.glob(f"joblib_memmapping_folder_{process.pid}_*")] == []


def test_signals_are_as_before_and_ignored_ones_stay_ignored() -> None:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
    try:
        with stoppable() as came:
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGTERM)
            assert came == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before[signal.SIGHUP])
    assert {number: signal.getsignal(number) for number in SIGNALS} == before
    assert STOPPED == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


def test_other_threads_leave_signals_alone() -> None:
    before, seen = signal.getsignal(signal.SIGTERM), []

    def command() -> None:
        with stoppable() as came:
            seen.append((signal.getsignal(signal.SIGTERM), came))

    thread = threading.Thread(target=command)
    thread.start()
    thread.join()
    assert seen == [(before, [])]


def test_the_library_leaves_signals_alone() -> None:
    code = """
import signal
before = [signal.getsignal(number) for number in range(1, 32)]
import numpy as np, spred.cli
from spred.runtime.tasks import run_tasks
run_tasks(lambda x: {"x": np.array(x)}, [(1,), (2,)])
assert [signal.getsignal(number) for number in range(1, 32)] == before
"""
    subprocess.run([sys.executable, "-c", code], check=True)
