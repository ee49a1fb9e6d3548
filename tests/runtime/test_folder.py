"""Results appear whole or not at all, and never on top of somebody's own files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spred.errors import FileError
from spred.runtime import folder as module
from spred.runtime.folder import check_folder, read_json, results_folder, run_record, write_json


def leave(path: Path, **files: str) -> None:
    """Make a results folder with these files (``genes="…"`` becomes genes.txt)."""
    with results_folder(path, {"seed": 1}) as folder:
        for name, text in files.items():
            (folder / f"{name}.txt").write_text(text)


def names(path: Path) -> set[str]:
    return {p.name for p in path.iterdir()}


def test_files_appear_with_their_record(tmp_path: Path) -> None:
    leave(tmp_path / "deep" / "out", genes="TP53")
    run = json.loads((tmp_path / "deep" / "out" / "run.json").read_text())
    assert run == {"made_by": "spred", "seed": 1, "files": ["genes.txt", "run.json"]}
    assert names(tmp_path / "deep") == {"out"}


def test_nothing_shows_before_the_end(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with results_folder(out, {}) as folder:
        (folder / "genes.txt").write_text("TP53")
        assert not out.exists()
    assert (out / "genes.txt").read_text() == "TP53"


def leave_half(path: Path, error: type[BaseException]) -> None:
    """Fail after the first file."""
    with results_folder(path, {}) as folder:
        (folder / "genes.txt").write_text("half")
        raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error):
        leave_half(tmp_path / "out", error)
    assert names(tmp_path) == set()


def test_a_failure_keeps_the_earlier_result(tmp_path: Path) -> None:
    out = tmp_path / "out"
    leave(out, genes="first")
    with pytest.raises(ZeroDivisionError):
        leave_half(out, ZeroDivisionError)
    assert (out / "genes.txt").read_text() == "first"
    assert names(tmp_path) == {"out"}


def test_a_rerun_replaces_the_earlier_result_whole(tmp_path: Path) -> None:
    out = tmp_path / "out"
    leave(out, genes="first", extra="only in the first")
    leave(out, genes="second")
    assert names(out) == {"genes.txt", "run.json"}
    assert (out / "genes.txt").read_text() == "second"
    assert names(tmp_path) == {"out"}


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("thesis.doc", "years of work"),
        ("run.json", '{"made_by": "another program", "files": ["run.json"]}'),
        ("run.json", "not json"),
        ("run.json", "[1]"),
        ("run.json", '{"made_by": "spred", "files": 3}'),
        ("run.json", '{"made_by": "spred", "files": [["run.json"]]}'),
        ("run.json", '{"made_by": "spred", "made_by": "spred", "files": ["run.json"]}'),
        ("run.json", "[" * 100_000),
    ],
)
def test_a_folder_of_another_origin_is_refused(tmp_path: Path, file: str, content: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / file).write_text(content)
    with pytest.raises(FileError, match="spred has not written"):
        check_folder(out)
    with pytest.raises(FileError, match=file), results_folder(out, {}):
        pytest.fail("the block must not run")
    assert (out / file).read_text() == content


def test_a_file_added_to_a_result_is_protected(tmp_path: Path) -> None:
    out = tmp_path / "out"
    leave(out, genes="first")
    (out / "my notes.txt").write_text("important")
    with pytest.raises(FileError, match=r"my notes\.txt"):
        check_folder(out)
    assert (out / "my notes.txt").read_text() == "important"


def test_what_a_desktop_leaves_is_nobodys_work(tmp_path: Path) -> None:
    out = tmp_path / "out"
    leave(out, genes="first")
    for name in (".DS_Store", "Thumbs.db", "._genes.txt"):
        (out / name).touch()
    leave(out, genes="second")
    assert names(out) == {"genes.txt", "run.json"}


def test_a_folder_that_may_not_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(FileError, match="the folder cannot be read"):
        check_folder(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1, "b": 2, "a": 3}', "names the key 'a' twice"),
        (b'{"a": NaN}', "holds NaN"),
        (b'{"a": -Infinity}', "holds -Infinity"),
        (b'{\n"a"}', "line 2 is not JSON"),
        (b'"\xff"', "is not UTF-8"),
        (b"9" * 5000, "cannot be read as JSON"),
        (b"[" * 100_000, "cannot be read as JSON"),
        (b"", "line 1 is not JSON"),
    ],
)
def test_what_is_no_json_is_one_sentence(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(FileError, match=message):
        read_json(tmp_path / "a.json")


def test_json_that_is_too_long_or_not_there_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_json(tmp_path / "a.json", {"a": [1, 0.5, "é", None]})
    assert read_json(tmp_path / "a.json") == {"a": [1, 0.5, "é", None]}
    monkeypatch.setattr(module, "LARGEST_JSON", 10)
    with pytest.raises(FileError, match="is longer than 10 bytes"):
        read_json(tmp_path / "a.json")
    for name in ("b.json", "a\0.json", "."):
        with pytest.raises(FileError, match="cannot be read"):
            read_json(tmp_path / name)


def test_a_file_added_while_a_run_works_is_protected(tmp_path: Path) -> None:
    out = tmp_path / "out"
    leave(out, genes="first")
    writing = results_folder(out, {})
    writing.__enter__()
    (out / "my notes.txt").write_text("important")
    with pytest.raises(FileError, match=r"my notes\.txt"):
        writing.__exit__(None, None, None)
    assert names(out) == {"genes.txt", "my notes.txt", "run.json"}
    assert names(tmp_path) == {"out"}


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    leave(tmp_path / "out", genes="TP53")
    assert (tmp_path / "out" / "genes.txt").exists()


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(FileError, match="a file of this name"):
        check_folder(tmp_path / "out")
    with pytest.raises(FileError, match="no folder can be made"):
        check_folder(tmp_path / "out" / "below")


def test_the_place_of_a_disk_is_refused_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "is_mount", lambda self: self == tmp_path)
    with pytest.raises(FileError, match="a disk is mounted here"):
        check_folder(tmp_path)
    assert check_folder(tmp_path / "out") == tmp_path / "out"


def test_a_place_that_may_not_be_written_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.os, "access", lambda path, mode: False)
    with pytest.raises(FileError, match="no folder can be made"):
        check_folder(tmp_path / "out")


def test_a_run_record_says_what_made_it() -> None:
    run = run_record("genes", {"target": "class"}, seed=3)
    assert (run["command"], run["arguments"], run["seed"]) == ("genes", {"target": "class"}, 3)
    assert {"spred", "python", "numpy", "scikit-learn"} <= set(run["versions"])
    json.dumps(run)


def test_json_is_for_people_and_for_every_parser(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"gene": "β-actin"})
    assert "β-actin" in (tmp_path / "a.json").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "b.json", {"gap": float("nan")})
