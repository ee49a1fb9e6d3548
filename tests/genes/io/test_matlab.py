"""MATLAB files give the same table as text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from genes_files import assert_fails
from scipy import sparse
from scipy.io import savemat

from spred.genes import Expression, read


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
