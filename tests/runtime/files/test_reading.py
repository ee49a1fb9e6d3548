"""What opening and decoding a file raises becomes one sentence; mistakes in spred stay what they are."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import pytest

from spred.errors import FileError, InputError
from spred.runtime.files.reading import OTHERS, check_no_page, check_text, decoded, from_library


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (gzip.BadGzipFile("x"), "no gzip file"),
        (EOFError("x"), "cut short or damaged"),
        (zlib.error("x"), "cut short or damaged"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"), "byte 0 is no utf-8 text"),
        (UnicodeError("UTF-16 stream does not start with BOM"), "save it as UTF-8"),
        (PermissionError(13, "x"), "may not be read by you"),
        (OSError(5, "Input/output error"), "cannot be read: Input/output error"),
        (MemoryError(), "not enough memory"),
    ],
)
def test_each_kind_has_its_sentence(error: BaseException, sentence: str) -> None:
    with pytest.raises(FileError, match=sentence) as caught, decoded():
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("error", [KeyError("x"), IndexError("x"), TypeError("x"), ValueError("x")])
def test_a_mistake_in_spred_is_not_hidden(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, decoded():
        raise error
    assert caught.value is error


def test_a_library_may_raise_anything() -> None:
    with pytest.raises(FileError, match="no such thing") as caught, from_library("no such thing"):
        raise IndexError("list index out of range")
    assert isinstance(caught.value.__cause__, IndexError)


@pytest.mark.parametrize("error", [InputError("x"), MemoryError(), KeyboardInterrupt()])
def test_what_is_not_the_librarys_passes(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, from_library("no such thing"):
        raise error
    assert caught.value is error


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("\ufeff\n<!DOCTYPE HTML>\n<html>", "a page of a web site"),
        ("<html lang='en'>", "a page of a web site"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0", "a pointer of Git LFS"),
    ],
)
def test_what_a_download_gave_in_the_place_of_the_file(content: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(FileError, match=sentence):
        check_no_page(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text("version,html\n1,2\n")
    check_no_page(tmp_path / "a.csv")


def test_what_is_no_text_is_called_by_its_name(tmp_path: Path) -> None:
    for first, what in OTHERS.items():
        (tmp_path / "a.csv").write_bytes(first + b"\x00" * 9)
        (tmp_path / "a.csv.gz").write_bytes(gzip.compress(first + b"\x00" * 9))
        for name in ("a.csv", "a.csv.gz"):
            with pytest.raises(FileError) as caught:
                check_text(tmp_path / name)
            assert str(caught.value) == f"this is no text but {what}; give it the name of what it is"
    (tmp_path / "a.csv").write_text("PK,PAR1\n")
    check_text(tmp_path / "a.csv")
