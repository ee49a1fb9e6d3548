"""Readers that do what a reader must not do, for the tests of the campaign: each takes a folder with a file ``a``."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from spred.errors import FileError


def reads(folder: Path) -> object:
    return (folder / "a").read_bytes()


def refuses(folder: Path) -> object:
    raise FileError(f"{folder / 'a'}: no such thing; write it again")


def forgets_the_name(folder: Path) -> object:
    raise FileError("no such thing")


def goes_on_and_on(folder: Path) -> object:
    raise FileError(f"{folder / 'a'}: no such thing\nnor that")


def raises(folder: Path) -> object:
    return {}["key"]


def takes_all_memory(folder: Path) -> object:
    return len(bytearray(1 << 45))


def hangs(folder: Path) -> object:
    time.sleep(60)
    return None


def crashes(folder: Path) -> object:
    os.kill(os.getpid(), signal.SIGSEGV)
    return None
