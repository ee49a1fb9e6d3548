"""No file unpacks to more than the limit, whatever it says of itself, and the limit can be raised."""

from __future__ import annotations

import gzip
import os
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spred.errors import FileError, InputError
from spred.runtime.files import limits
from spred.runtime.files.limits import OPTION, check_size, check_unpacked, inflated, memory_limit, written

MEGABYTE = 1 << 20


@pytest.fixture(autouse=True)
def a_limit_of_a_megabyte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OPTION, "1M")


@pytest.mark.parametrize(
    ("text", "n"),
    [("4096", 4096), ("1K", 1024), ("1.5 g", 3 << 29), ("2TiB", 2 << 40), ("7MB", 7 * MEGABYTE), ("0", 0)],
)
def test_the_option_is_a_number_of_bytes(text: str, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OPTION, text)
    assert memory_limit() == n


@pytest.mark.parametrize("text", ["much", "-1", "1e9", "5X", "1" * 30])
def test_an_option_that_is_no_number_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OPTION, text)
    with pytest.raises(InputError, match=rf"{OPTION} is '.*'; give a number of bytes such as 64G"):
        memory_limit()


def test_without_the_option_it_is_half_of_the_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OPTION, "")
    monkeypatch.setattr(limits, "available_memory", lambda: 1000)
    assert memory_limit() == 500


@pytest.mark.parametrize("n", [MEGABYTE + 1, 3 * 10**9 + 7, 2**50 + 1, 2**60])
def test_the_sentence_says_a_limit_that_is_enough(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileError, match=r"X would take .* of memory, and the limit is 1\.0 MB") as caught:
        check_size(n, "X")
    monkeypatch.setenv(OPTION, str(caught.value).rpartition("=")[2])
    check_size(n, "X")


def test_bytes_are_rounded_up() -> None:
    assert [written(n) for n in (0, 1023, 1024, MEGABYTE + 1)] == ["0 bytes", "1023 bytes", "1.0 KB", "1.1 MB"]


def test_a_gzip_file_is_counted_to_the_limit(tmp_path: Path) -> None:
    bomb, small = tmp_path / "a.csv.gz", tmp_path / "b.csv.gz"
    bomb.write_bytes(gzip.compress(bytes(8 * MEGABYTE)) + gzip.compress(b"more"))
    small.write_bytes(gzip.compress(np.random.default_rng(0).bytes(MEGABYTE // 2)) * 2)
    check_unpacked(small)
    with pytest.raises(FileError, match=r"unpacks to more than 1\.0 MB, which is the limit; .*=2\.0MB"):
        check_unpacked(bomb)


def test_a_gzip_file_that_is_too_short_for_the_limit_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(bytes(1000)))
    monkeypatch.delattr(gzip, "open")
    check_unpacked(tmp_path / "a.gz")


@pytest.mark.parametrize(("name", "n"), [("x.npy", 2 * MEGABYTE), ("xl/sheet1.xml", MEGABYTE // 2)])
def test_members_of_an_archive_are_added_up(name: str, n: int, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, bytes(n // 2))
        archive.writestr("y", bytes(n // 2))
    with pytest.raises(FileError, match=r"would take 2\.0 MB of memory"):
        check_unpacked(tmp_path / "a.zip")


def test_a_parquet_table_of_one_value_is_as_large_as_its_rows(tmp_path: Path) -> None:
    pd.DataFrame({"a": np.ones(200_000)}).to_parquet(tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").stat().st_size < 5000
    with pytest.raises(FileError, match=r"would take 1\.6 MB"):
        check_unpacked(tmp_path / "a.parquet")


@pytest.mark.parametrize("start", [b"PK\x03\x04", b"PAR1", b"sample,class", b""])
def test_what_is_damaged_is_left_to_its_reader(start: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(start)
    check_unpacked(tmp_path / "a")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_and_a_device_are_refused_and_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    for place in (tmp_path / "a.csv", Path("/dev/zero")):
        with pytest.raises(FileError, match="a pipe or a device"):
            check_unpacked(place)


def test_deflated_bytes_are_unpacked_to_the_limit_and_whole() -> None:
    assert inflated(zlib.compress(bytes(MEGABYTE)), "it") == bytes(MEGABYTE)
    with pytest.raises(FileError, match=r"it unpacks to more than 1\.0 MB"):
        inflated(zlib.compress(bytes(MEGABYTE + 1)), "it")
    with pytest.raises(zlib.error, match="cut short"):
        inflated(zlib.compress(b"TP53" * 9)[:-5], "it")
