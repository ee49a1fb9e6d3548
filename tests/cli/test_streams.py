"""Standard streams may be closed, full, in ASCII, or read by nobody: a finished run is a finished run."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from spred.cli.streams import PLAIN, patient, plain, prepare_streams

CODE = """
from spred.cli.streams import prepare_streams
from spred.cli.terminal import Console, reported_errors, say
prepare_streams()
with reported_errors():
    for _ in range(3):
        say(Console(), "30 × 12")
"""


def printed(shell: str, *python: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Print three lines within a line of the shell, which has the command as ``$0 "$@"``."""
    env = {**os.environ, "PYTHONUNBUFFERED": "", **env}
    return subprocess.run(
        ["sh", "-c", shell, sys.executable, *python, "-c", CODE], capture_output=True, text=True, env=env
    )


@pytest.mark.parametrize("python", [[], ["-u"]])
def test_a_stream_in_ascii_takes_every_line(python: list[str]) -> None:
    done = printed('"$0" "$@"', *python, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "30 x 12\n" * 3)


@pytest.mark.parametrize(
    ("shell", "code", "error"),
    [
        ('"$0" "$@" <&- >&-', 0, ""),
        ('{ "$0" "$@"; echo $? >&2; } | true', 0, "0\n"),
        ('"$0" "$@" >/dev/full', 1, "Error: standard output: No space left on device\n"),
        ('"$0" "$@" >/dev/full 2>&-', 1, ""),
    ],
)
def test_a_stream_that_takes_nothing(shell: str, code: int, error: str) -> None:
    done = printed(shell)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", error)


@pytest.mark.parametrize("python", [[], ["-u"]])
def test_a_table_that_cannot_be_printed_is_an_error(python: list[str]) -> None:
    code = "import typer\n" + CODE.replace('say(Console(), "30 × 12")', 'typer.echo("s0,normal")')
    command = [sys.executable, *python, "-c", code]
    env = {**os.environ, "PYTHONUNBUFFERED": ""}
    done = subprocess.run(["sh", "-c", '"$0" "$@" >/dev/full', *command], capture_output=True, text=True, env=env)
    assert (done.returncode, done.stderr) == (1, "Error: standard output: No space left on device\n")


def test_the_command_prepares_its_streams() -> None:
    command = [sys.executable, "-c", "from spred.cli import main; main()", "--version"]
    done = subprocess.run(["sh", "-c", '"$0" "$@" >&- 2>&-', *command], capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_signs_of_ours_have_plain_ones_and_names_keep_theirs() -> None:
    def written(text: str, encoding: str) -> str:
        try:
            return text.encode(encoding).decode(encoding)
        except UnicodeEncodeError as err:
            new, end = plain(err)
            return text[: err.start] + new + written(text[end:], encoding)

    assert written("30 × 12, 0.5 ± 0.1: β-catenin", "ascii") == "30 x 12, 0.5 +/- 0.1: \\u03b2-catenin"
    assert written("30 × 12 → \udce9", "latin-1") == "30 × 12 -> \\udce9"
    assert all(sign.isascii() for sign in PLAIN.values())
    with pytest.raises(UnicodeDecodeError):
        plain(UnicodeDecodeError("ascii", b"\xff", 0, 1, "not its business"))


def test_streams_that_somebody_put_in_their_place_stay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    captured = io.StringIO()
    assert patient(captured, 1) is captured
    with (tmp_path / "log").open("w") as log:
        assert patient(log, 1) is log
    monkeypatch.setattr(sys, "stdout", captured)
    monkeypatch.setattr(sys, "stderr", captured)
    prepare_streams()
    assert sys.stdout is captured
