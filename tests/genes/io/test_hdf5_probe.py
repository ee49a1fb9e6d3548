"""The probe reads what the reader will read, never another file, and ends whatever the file is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import pytest

from spred.errors import FileError
from spred.genes.io import hdf5_probe
from spred.genes.io.matrices import opened


def test_everything_is_read_and_large_arrays_at_their_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    h5py = pytest.importorskip("h5py")
    monkeypatch.setattr(hdf5_probe, "LARGE", 100)
    with h5py.File(tmp_path / "a.h5ad", "w") as file:
        file["X"], file["obs/a"], file["uns/b"], file["obsm/c"] = np.zeros((50, 2)), [1, 2], 3.0, [4]
        file["obs"].attrs["_index"] = "a"
    asked: list[tuple[str, Any]] = []
    real = h5py.Dataset.__getitem__
    monkeypatch.setattr(h5py.Dataset, "__getitem__", lambda d, key: (asked.append((d.name, key)), real(d, key))[1])
    hdf5_probe.look(str(tmp_path / "a.h5ad"))
    assert asked == [("/X", 0), ("/X", -1), ("/obs/a", ()), ("/uns/b", ())]


def test_an_array_of_terabytes_that_holds_nothing_is_left_to_the_reader(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5ad", "w") as file:
        file.create_dataset("X", shape=(2**40, 2**20), dtype="f8", chunks=(1, 1))
    began = process_time()
    hdf5_probe.look(str(tmp_path / "a.h5ad"))
    assert process_time() - began < 0.5


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89HDF\r\n\x1a\n" + b"\x00" * 90])
def test_it_ends_without_a_word_on_what_is_no_hdf5_file(
    content: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("h5py")
    (tmp_path / "a.h5ad").write_bytes(content)
    hdf5_probe.look(str(tmp_path / "a.h5ad"))
    assert capfd.readouterr() == ("", "")


def test_it_is_a_script_without_spred() -> None:
    code = f"import runpy, sys; runpy.run_path({hdf5_probe.__file__!r}); print('spred' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_texts_that_send_the_library_in_circles_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    h5py = pytest.importorskip("h5py")
    monkeypatch.setattr("spred.runtime.files.isolated.PATIENCE", 1.5)
    with h5py.File(tmp_path / "a.h5ad", "w") as file:
        file.create_dataset("obs/names", data=["TP53"] * 40, dtype=h5py.string_dtype())
    content = bytearray((tmp_path / "a.h5ad").read_bytes())
    heap = content.index(b"GCOL")
    content[heap + 200 : heap + 2000] = bytes(1800)  # zeros where a piece was lost: an object of no length
    (tmp_path / "a.h5ad").write_bytes(content)
    with pytest.raises(FileError, match="the library that reads it"), opened(tmp_path / "a.h5ad", "r"):
        pass
