"""Version and help, at once."""

from __future__ import annotations

import resource

from commands import call, spred_process

import spred


def test_version_and_help() -> None:
    assert call("--version").stdout.strip() == f"spred {spred.__version__}"
    for command in ("genes", "describe", "predict"):
        assert command in call("--help").stdout
    text = call("genes", "--help").stdout
    for option in (
        "--target",
        "--out",
        "--labels",
        "--group",
        "--log2",
        "--rule",
        "--n-alphas",
        "--folds",
        "--seed",
        "--jobs",
        "--time",
        "--repeats",
        "--normalize",
        "--min-variance",
        "--resume",
        "--backend",
    ):
        assert option in text


def test_help_answers_at_once() -> None:
    def seconds() -> float:  # of the processor: the wall clock counts what else the machine does
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert spred_process("genes", "--help").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(3)) < 1.0


def test_the_help_lists_the_commands_as_a_user_meets_them() -> None:
    lines = call("--help").stdout.splitlines()
    names = [line.split()[0] for line in lines[lines.index("Commands:") + 1 :] if line.strip()]
    assert names == ["genes", "describe", "predict", "compress"]
