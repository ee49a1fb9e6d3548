"""Standard streams that do what a command needs: they may be closed, full, in ASCII, or a pipe that nobody reads.

What is printed is for people, and the results lie in files: so a stream that takes no more never ends the work.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
from typing import Any, TextIO, cast

GONE = (errno.EPIPE, errno.EIO)
"""The reader of a pipe has ended (``| head``), or the terminal has."""

PLAIN = {
    "×": "x", "–": "-", "—": "-", "−": "-", "…": "...", "±": "+/-", "≤": "<=", "≥": ">=", "→": "->", "·": "*", "’": "'",
    "“": '"', "”": '"', "α": "alpha",
}  # fmt: skip
"""Signs of our own sentences, for streams that do not have them."""


class Patient(io.FileIO):
    """Takes what is written, and drops it once nobody is there to read it."""

    def write(self, data: Any, /) -> int:
        """Write, as far as there is somewhere to write to.

        Raises:
            OSError: what was asked for cannot be written, as on a full disk; the rest is dropped.
        """
        if not len(data):  # a question of libraries, which are not to get the one answer that counts
            return 0
        try:
            return super().write(data)
        except OSError as err:
            drop(self.fileno())
            if err.errno in GONE:
                return len(data)
            raise OSError(
                err.errno, err.strerror, "standard output" if self.fileno() == 1 else "standard error"
            ) from err


def drop(number: int) -> None:
    """Let nothing come of what is written to a stream from now on."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere != number:
        os.dup2(nowhere, number)
        os.close(nowhere)


def plain(error: UnicodeError) -> tuple[str, int]:
    """Write what an encoding lacks in the letters of ASCII: × as x, other signs by their number."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    found = (PLAIN.get(sign) or sign.encode("ascii", "backslashreplace").decode("ascii") for sign in text)
    return "".join(found), error.end


def prepare_streams() -> None:
    """Open what is closed, and let both streams for output take every text; for the process of a command alone."""
    codecs.register_error("spred.plain", plain)
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:  # the next file would get this number, and what is printed would land there
            drop(number)
    sys.stdin = sys.stdin or io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8")
    sys.stdout, sys.stderr = patient(sys.stdout, 1), patient(sys.stderr, 2)


def patient(stream: TextIO | None, number: int) -> TextIO:
    """Return a stream like this one that never ends the work; one that somebody has put in its place stays."""
    raw = cast(io.RawIOBase, Patient(number, "wb", closefd=False))
    if stream is None:
        return io.TextIOWrapper(io.BufferedWriter(raw), encoding="utf-8", line_buffering=True)
    if not isinstance(stream, io.TextIOWrapper) or stream.fileno() != number:
        return stream
    unbuffered = isinstance(stream.buffer, io.FileIO)  # python -u
    stream.flush()
    return io.TextIOWrapper(
        cast(Any, raw) if unbuffered else io.BufferedWriter(raw),
        encoding=stream.encoding,
        errors="spred.plain",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
