"""The command line in tests: called in this process, or started in one of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from typer.testing import CliRunner, Result

from spred import cli


def call(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, [str(a) for a in arguments])


def study(data: Path, out: Path, *more: object) -> Result:
    return call("genes", data, "--target", "disease state", "--out", out, "--n-alphas", 8, "--folds", 3, *more)


def assert_failed(result: Result, sentence: str) -> None:
    """The command failed with one sentence on stderr after its progress, and showed no traceback."""
    assert result.exit_code == 1
    assert sentence in result.stderr
    *before, last = result.stderr.splitlines()
    assert last.startswith("Error: ")
    assert all(line.startswith("outer folds") for line in before)
    assert "Traceback" not in result.output


def arguments(data: Path, out: Path, *more: str) -> list[str]:
    known = ["--target", "disease state", "--out", str(out), "--n-alphas", "8", "--folds", "3", "--jobs", "1"]
    return ["genes", str(data), *known, "--stability", "--permutations", "4", "--baselines", *more]


def started(*arguments: str) -> subprocess.Popen[str]:
    """Start the command in a session of its own, as a terminal does."""
    code = "from spred.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def wait_for_pieces(folder: Path, pattern: str, n: int, process: subprocess.Popen[str]) -> None:
    """Wait until so many pieces of work are finished."""
    until = time.monotonic() + 60
    while len(list(folder.glob(pattern))) < n:
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < until
        time.sleep(0.002)


def spred_process(
    *arguments: str, code: str = "from spred.cli import main; main()"
) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if key != "SPRED_DEBUG"}
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=env)
