"""Files and folders appear whole or not at all, whatever ends the writing."""

from __future__ import annotations

from pathlib import Path

import pytest

from spred.runtime.atomic import unfinished, whole_file, whole_folder, write_text


def names(path: Path) -> set[str]:
    return {p.name for p in path.iterdir()}


def write_half(target: Path, error: type[BaseException]) -> None:
    with whole_file(target) as work:
        work.write_text("half")
        raise error


def fill_half(target: Path, error: type[BaseException]) -> None:
    with whole_folder(target) as work:
        (work / "a.txt").write_text("half")
        raise error


def test_a_file_shows_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    with whole_file(target) as work:
        work.write_text("whole")
        assert not target.exists()
        assert work.parent == tmp_path
        assert work.name.startswith(".")
    assert target.read_text() == "whole"
    assert names(tmp_path) == {"a.txt"}


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, SystemExit])
def test_a_failure_keeps_the_earlier_file(error: type[BaseException], tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "first")
    with pytest.raises(error):
        write_half(tmp_path / "a.txt", error)
    assert (tmp_path / "a.txt").read_text() == "first"
    assert names(tmp_path) == {"a.txt"}


def test_a_file_replaces_an_earlier_one(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "first")
    write_text(tmp_path / "a.txt", "β-actin")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "β-actin"
    assert names(tmp_path) == {"a.txt"}


def test_a_folder_shows_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out"
    with whole_folder(target) as work:
        (work / "a.txt").write_text("whole")
        assert not target.exists()
    assert names(target) == {"a.txt"}
    assert names(tmp_path / "deep") == {"out"}


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, SystemExit])
def test_a_failure_keeps_the_earlier_folder(error: type[BaseException], tmp_path: Path) -> None:
    with whole_folder(tmp_path / "out") as work:
        (work / "first.txt").write_text("first")
    with pytest.raises(error):
        fill_half(tmp_path / "out", error)
    assert names(tmp_path / "out") == {"first.txt"}
    assert names(tmp_path) == {"out"}


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_the_earlier_folder_comes_back_if_the_rename_fails(
    error: type[BaseException], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with whole_folder(tmp_path / "out") as work:
        (work / "first.txt").write_text("first")
    rename = Path.rename

    def fail_for_new(self: Path, target: Path) -> Path:
        if self.suffix == ".part":
            raise error("the disk went away")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_for_new)
    with pytest.raises(error, match="disk"), whole_folder(tmp_path / "out") as work:
        (work / "second.txt").write_text("second")
    assert names(tmp_path / "out") == {"first.txt"}
    assert names(tmp_path) == {"out"}


def test_two_writers_have_two_names(tmp_path: Path) -> None:
    assert unfinished(tmp_path / "a") != unfinished(tmp_path / "a")
