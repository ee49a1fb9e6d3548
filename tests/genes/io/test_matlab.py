"""MATLAB files give the same table as text."""

from __future__ import annotations

import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from genes_files import assert_fails
from scipy import sparse
from scipy.io import loadmat, savemat

from spred.errors import FileError
from spred.genes import Expression, read
from spred.genes.io.matlab import variables


def test_mat(tmp_path: Path, frame: pd.DataFrame, expression: Expression) -> None:
    y = (frame["class"] == "tumour").to_numpy(dtype=np.uint8)[:, None] + 1
    savemat(tmp_path / "a.mat", {"X": expression.values, "Y": y})
    found = read(tmp_path / "a.mat")
    np.testing.assert_array_equal(found.values, expression.values)
    assert found.classes == ["1", "2"]
    assert found.target_name == "Y"
    assert list(found.genes[:2]) == ["gene_1", "gene_2"]


def test_mat_with_a_sparse_matrix_and_names_as_labels(tmp_path: Path, expression: Expression) -> None:
    content = {"X": sparse.csc_matrix(expression.values), "label": np.array(list(expression.target), dtype=object)}
    savemat(tmp_path / "a.mat", content)
    found = read(tmp_path / "a.mat")
    np.testing.assert_allclose(found.values, expression.values)
    assert list(found.target) == list(expression.target)


def test_a_broken_mat_file(tmp_path: Path) -> None:
    (tmp_path / "a.mat").write_bytes(b"nothing of the kind" * 20)
    assert_fails(tmp_path / "a.mat", "no MATLAB file")
    (tmp_path / "b.mat").write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\x00" * 100)
    assert_fails(tmp_path / "b.mat", "-v7")
    savemat(tmp_path / "c.mat", {"Y": np.arange(5)})
    assert_fails(tmp_path / "c.mat", "no matrix")


def strings(*words: str) -> np.ndarray:
    return np.array(words, dtype=object)


CONTENTS: dict[str, Any] = {
    **{kind: (np.arange(12).reshape(4, 3) * 7 % 100).astype(kind) for kind in "bBhHiIqQfd?"},
    "scalar": np.array([[2.5]]),
    "empty": np.zeros((0, 3)),
    "three dimensions": np.arange(24.0).reshape(2, 3, 4),
    "letters": np.array(["normal", "Tumör "]),
    "one text": "hello",
    "cells": strings("a", "bcd", ""),
    "sparse": sparse.csc_array(np.diag([1.0, 0.0, -2.5])),
    "sparse and tall": sparse.csc_array(np.eye(6, 2)),
    "sparse and empty": sparse.csc_array((3, 2)),
}


@pytest.mark.parametrize("how", [{}, {"do_compression": True}, {"format": "4"}])
def test_variables_are_as_scipy_reads_them(how: dict[str, Any], tmp_path: Path) -> None:
    for i, (name, value) in enumerate(CONTENTS.items()):
        if how.get("format") == "4" and name in {*"bqQ?", "three dimensions", "cells", "letters", "sparse and empty"}:
            continue  # it has no such arrays
        savemat(tmp_path / f"{i}.mat", {"x": value}, **how)
        found, skipped = variables((tmp_path / f"{i}.mat").read_bytes())
        assert not skipped
        expected = loadmat(tmp_path / f"{i}.mat")["x"]
        expected = expected.toarray() if sparse.issparse(expected) else expected
        if expected.dtype.kind == "U":
            assert [str(x) for x in found["x"].ravel()] == [str(x).rstrip() for x in expected.ravel()], name
        elif expected.dtype == object:
            texts = [[str(x) for x in cell.ravel()] or [""] for cell in expected.ravel()]
            assert [[str(x) for x in cell.ravel()] or [""] for cell in found["x"].ravel()] == texts, name
        else:
            np.testing.assert_array_equal(found["x"], expected, err_msg=name, strict=not sparse.issparse(value))


def test_what_is_no_array_is_left_out_and_told(tmp_path: Path, expression: Expression) -> None:
    content = {"X": expression.values, "y": np.arange(len(expression.values)) % 2, "info": {"made": "by hand"}}
    savemat(tmp_path / "a.mat", content | {"z": np.array([[1j]])})
    found = read(tmp_path / "a.mat", target="y")
    np.testing.assert_array_equal(found.values, expression.values)
    assert any("Left out, for they are no arrays of numbers or text: 'info', 'z'." in note for note in found.notes)


def test_version_4_with_the_bytes_in_the_other_order() -> None:
    head = struct.pack(">5i", 1000, 2, 3, 0, 2)
    content = head + b"x\x00" + np.arange(6.0).astype(">f8").tobytes()
    np.testing.assert_array_equal(variables(content)[0]["x"], np.arange(6.0).reshape(3, 2).T)


def damaged(content: bytes, place: int, number: int) -> bytes:
    """Write a number of four bytes over a place."""
    return content[:place] + struct.pack("<I", number) + content[place + 4 :]


@pytest.mark.parametrize("how", [{}, {"do_compression": True}, {"format": "4"}])
def test_no_number_in_a_file_is_believed(how: dict[str, Any], tmp_path: Path) -> None:
    content = {"x": np.arange(6.0).reshape(2, 3), "s": sparse.csc_array(np.eye(3)), "c": strings("a", "b")}
    savemat(tmp_path / "a.mat", {"x": content["x"], "s": content["s"]} if how.get("format") == "4" else content, **how)
    whole = (tmp_path / "a.mat").read_bytes()
    refused = 0
    for place in range(0, len(whole) - 4, 8):
        for number in (0, 1, 7, 2**16, 2**31 - 1, 2**31, 2**32 - 1):
            try:
                variables(damaged(whole, place, number))
            except FileError:
                refused += 1
    assert refused > len(whole) // 16
    for length in range(0, len(whole), 8):
        with suppress(FileError):  # one that ends between two variables is a whole file
            assert set(variables(whole[:length])[0]) < {"x", "s", "c"}


def test_a_variable_of_terabytes_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPRED_MEMORY_LIMIT", "1M")
    savemat(tmp_path / "a.mat", {"x": np.zeros((1000, 1000))}, do_compression=True)
    assert_fails(tmp_path / "a.mat", r"a variable unpacks to more than 1\.0 MB")
    savemat(tmp_path / "b.mat", {"x": sparse.csc_array((10**9, 1000))})
    assert_fails(tmp_path / "b.mat", r"matrix 'x' would take .* TB of memory")


def test_an_empty_array_of_impossible_axes_is_refused(tmp_path: Path) -> None:
    savemat(tmp_path / "a.mat", {"x": np.zeros((0, 3, 5))})
    content = (tmp_path / "a.mat").read_bytes()
    place = content.index(struct.pack("<3i", 0, 3, 5))
    huge = content[:place] + struct.pack("<3i", 0, 2**31 - 1, 2**31 - 1) + content[place + 12 :]
    with pytest.raises(FileError, match="damaged"):
        variables(huge)
