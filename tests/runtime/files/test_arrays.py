"""Arrays come back as they were, and what a file says of them is checked before anything is allocated."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from mutations import outcomes

from spred.errors import FileError
from spred.runtime.files.arrays import array_names, read_arrays


def write(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return path


def header(shape: tuple[int, ...], dtype: str = "|u1") -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_come_back(save, tmp_path: Path):
    given = {
        "x": np.arange(6.0).reshape(2, 3),
        "names": np.array(["a", "é"]),
        "none": np.zeros((0, 3)),
        "one": np.array(3),
    }
    save(tmp_path / "a.npz", **given)
    found = read_arrays(tmp_path / "a.npz")
    assert list(found) == list(given)
    for name, values in given.items():
        np.testing.assert_array_equal(found[name], values)
        assert found[name].dtype == values.dtype
    assert list(read_arrays(tmp_path / "a.npz", ["x"])) == ["x"]
    assert array_names(tmp_path / "a.npz") == list(given)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header((10**6, 10**6)) + bytes(100), "says that its shape is"),
        (header((-1,)), "damaged|arrays"),
        (header((3,)) + bytes(4), "says that its shape is"),
        (header((3,), "|O") + bytes(24), "holds object"),
        (header((2,), [("a", "<i4")]) + bytes(8), "not plain numbers"),  # type: ignore[arg-type]
        (b"", "cannot be read as arrays"),
        (b"\x93NUMPY\x07\x00" + bytes(100), "of version"),
        (b"\x93NUMPY\x01\x00\x10\x00__import__('os')", "cannot be read as arrays"),
    ],
)
def test_a_header_that_lies_is_refused(content: bytes, message: str, tmp_path: Path):
    with pytest.raises(FileError, match=message):
        read_arrays(write(tmp_path / "a.npz", x=content))


def test_more_than_the_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = write(tmp_path / "a.npz", x=header((10**6,)) + bytes(10**6))
    monkeypatch.setenv("SPRED_MEMORY_LIMIT", "100K")
    with pytest.raises(FileError, match=r"the arrays would take 976\.7 KB of memory, and the limit is 100\.0 KB"):
        read_arrays(path)


def test_what_is_no_archive_is_said(tmp_path: Path):
    for content in (b"", b"PK\x03\x04", header((3,)) + bytes(3)):
        (tmp_path / "a.npz").write_bytes(content)
        with pytest.raises(FileError, match="cannot be read as arrays"):
            read_arrays(tmp_path / "a.npz")
    with pytest.raises(FileError, match="there is no such file"):
        array_names(tmp_path)
    with pytest.raises(FileError, match="has no array 'y'"):
        read_arrays(write(tmp_path / "b.npz", x=header((1,)) + bytes(1)), ["y"])


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_damaged_files_give_arrays_or_one_sentence(save, tmp_path: Path):
    path = tmp_path / "a.npz"
    save(path, x=np.arange(20), names=np.array(["a", "b"]))

    def load(damaged: bytes) -> None:
        path.write_bytes(damaged)
        for name, values in read_arrays(path).items():
            assert values.shape == {"x": (20,), "names": (2,)}.get(name, values.shape)

    assert outcomes(path.read_bytes(), 150, load)[1] > 100
