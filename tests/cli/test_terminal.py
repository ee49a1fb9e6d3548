"""Errors and stops: one sentence, an exit code, nothing half written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from commands import assert_failed, call, spred_process, study

from spred.cli.terminal import Ending, sentence
from spred.errors import InputError, ResourceError, WorkerError


def test_a_mistake_of_ours_is_one_sentence_too(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise ZeroDivisionError("by\nnought")

    monkeypatch.setattr("spred.genes.run_study", broken)
    assert_failed(
        study(data, tmp_path / "out"), "a mistake in spred (ZeroDivisionError: by); run again with SPRED_DEBUG=1"
    )
    monkeypatch.setenv("SPRED_DEBUG", "1")
    assert isinstance(study(data, tmp_path / "out").exception, ZeroDivisionError)


def test_a_full_disk_is_one_sentence(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("spred.genes.report.report.write_json", full)
    full_disk = f"{tmp_path / 'out'}: No space left on device; make room, or write to another disk"
    assert_failed(study(data, tmp_path / "out"), f"{full_disk}; what is finished is kept: go on with --resume\n")
    assert [p.name for p in tmp_path.iterdir()] == [".out.work"]


def test_a_stop_by_the_user_is_130_and_leaves_nothing(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("spred.genes.report.report.page", stopped)
    result = study(data, tmp_path / "out")
    assert result.exit_code == 130
    assert result.stderr.strip().endswith("Stopped. No results were written; what is finished is kept for --resume.")
    assert [p.name for p in tmp_path.iterdir()] == [".out.work"]


def test_exit_codes_leave_the_process(tmp_path: Path) -> None:
    assert spred_process("--version").returncode == 0
    assert spred_process("nothing").returncode == 2
    missing = spred_process("genes", "missing.csv", "--out", str(tmp_path / "out"))
    assert missing.returncode == 1
    assert missing.stderr == "Error: missing.csv: no such file\n"


KEPT = "; what is finished is kept: go on with --resume"


@pytest.mark.parametrize(
    ("error", "text", "hint", "fewer"),
    [
        (WorkerError("a worker process was killed"), "a worker process was killed", KEPT, " --jobs 1"),
        (MemoryError("Unable to allocate"), "there is not enough memory (Unable to allocate)", KEPT, " --jobs 1"),
        (ResourceError("the cluster is gone"), "the cluster is gone", KEPT, ""),
        (InputError("a column is missing"), "a column is missing", "", ""),
    ],
)
def test_what_ran_out_is_told_with_the_way_to_go_on(error: Exception, text: str, hint: str, fewer: str) -> None:
    assert Ending("--resume", "--jobs 1").failure(error) == text + hint + fewer
    assert Ending("--resume").failure(error) == text + hint
    assert Ending().failure(error) == text
    assert Ending("--resume", written=Path("out")).failure(error) == f"{text}; the results are in out"


def test_a_stop_says_what_it_has_left() -> None:
    assert Ending().stop() == "Stopped. No results were written."
    assert Ending("--resume", written=Path("out")).stop() == "Stopped. The results are in out."


def test_a_stop_after_the_results_says_where_they_are(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("spred.cli.genes.print_study", stopped)
    result = study(data, tmp_path / "out")
    assert result.exit_code == 130
    assert result.stderr.endswith(f"Stopped. The results are in {tmp_path / 'out'}.\n")


def test_a_folder_that_is_gone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(FileNotFoundError) as error:
        os.getcwd()
    assert sentence(error.value).startswith("the folder that this command was started in is no longer there")
    monkeypatch.chdir(tmp_path)
    assert sentence(error.value) == "No such file or directory"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (InputError("a column is missing"), "a column is missing"),
        (OSError(13, "Permission denied", "study/x"), "study/x: Permission denied"),
        (OSError("odd"), "odd"),
        (MemoryError(), "there is not enough memory"),
        (KeyError("x"), "a mistake in spred (KeyError: 'x')"),
    ],
)
def test_what_went_wrong_in_a_sentence(error: Exception, text: str) -> None:
    assert sentence(error).startswith(text)
    assert "\n" not in sentence(error)


def test_names_are_no_commands_to_the_terminal(tmp_path: Path) -> None:
    evil = "G\x1b]0;owned\x07\x1b[2J"
    rows = [f"s{i},{'xy'[i % 2]}\x1b[31m,{8 + 3 * (i % 2) + 0.1 * (i % 7)},{7 + 0.3 * (i % 5)}" for i in range(30)]
    (tmp_path / "a.csv").write_text("\n".join([f"sample,disease state,{evil},G1", *rows, ""]))
    told = call("describe", tmp_path / "a.csv")
    ran = study(tmp_path / "a.csv", tmp_path / "out")
    failed = call("describe", tmp_path / "\x1b[2J.csv")
    assert (told.exit_code, ran.exit_code, failed.exit_code) == (0, 0, 1)
    for result in (told, ran, failed):
        assert not {"\x1b", "\x07"} & set(result.output + result.stderr)
    assert r"G\x1b]0;owned\x07\x1b[2J" in ran.stdout
    assert r"\x1b[31m" in told.stdout
