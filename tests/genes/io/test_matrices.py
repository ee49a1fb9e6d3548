"""h5ad files and 10x folders: written here by the rules of their formats, read back, and written into."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from scipy.io import mmwrite

from spred.errors import FileError
from spred.genes import describe, read, run_study, write_study
from spred.genes.io.matrices import write_h5ad
from spred.genes.study.settings import Settings

N, P = 24, 10
VALUES = np.random.default_rng(0).poisson(2, size=(N, P)).astype(float)
LABELS = np.where(np.arange(N) % 2, "tumour", "normal")


def h5ad(path: Path, kind: str = "dense") -> Path:
    """Write an h5ad file as anndata lays it out: a categorical class, a nullable age, symbols in var."""
    h5py = pytest.importorskip("h5py")
    text = h5py.string_dtype()
    with h5py.File(path, "w") as file:
        if kind == "dense":
            file["X"] = VALUES
        else:
            matrix = sparse.csr_array(VALUES) if kind == "csr" else sparse.csc_array(VALUES)
            group = file.create_group("X")
            group.attrs["encoding-type"], group.attrs["shape"] = f"{kind}_matrix", matrix.shape
            for part in ("data", "indices", "indptr"):
                group[part] = getattr(matrix, part)
        obs, var = file.create_group("obs"), file.create_group("var")
        obs.attrs["_index"], obs.attrs["column-order"] = "cell", np.array(["class", "age"], dtype=object)
        obs.create_dataset("cell", data=[f"c{i}" for i in range(N)], dtype=text)
        level = obs.create_group("class")
        level["codes"] = np.where(LABELS == "tumour", 1, 0).astype(np.int8)
        level.create_dataset("categories", data=["normal", "tumour"], dtype=text)
        age = obs.create_group("age")
        age["values"], age["mask"] = np.arange(N), np.arange(N) == 3
        var.attrs["_index"], var.attrs["column-order"] = "_index", np.array(["gene_symbols"], dtype=object)
        var.create_dataset("_index", data=[f"ENSG{j}" for j in range(P)], dtype=text)
        var.create_dataset("gene_symbols", data=[f"SYM{j}" for j in range(P)], dtype=text)
    return path


@pytest.mark.parametrize("kind", ["dense", "csr", "csc"])
def test_an_h5ad_file_is_read_whole(kind: str, tmp_path: Path) -> None:
    found = read(h5ad(tmp_path / "small.h5ad", kind), target="class")
    np.testing.assert_array_equal(found.values, VALUES)
    assert list(found.samples) == [f"c{i}" for i in range(N)]
    assert list(found.symbols) == [f"SYM{j}" for j in range(P)]
    assert list(found.target) == list(LABELS)
    assert found.table["age"].isna().sum() == 1
    assert found.name == "small"


def test_columns_are_added_to_var_and_the_rest_is_kept(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    source = h5ad(tmp_path / "small.h5ad")
    known = [f"ENSG{j}" for j in range(P - 1)]  # the last one was left out
    write_h5ad(source, tmp_path / "new.h5ad", known, {"spred_selected": np.arange(P - 1) % 4 == 0})
    with h5py.File(tmp_path / "new.h5ad") as file:
        assert file["var"]["spred_selected"][()].tolist() == [
            True,
            False,
            False,
            False,
            True,
            False,
            False,
            False,
            True,
            False,
        ]
        assert list(file["var"].attrs["column-order"]) == ["gene_symbols", "spred_selected"]
        np.testing.assert_array_equal(file["X"][()], VALUES)
    assert read(tmp_path / "new.h5ad", target="class").values.shape == (N, P)


def test_a_study_of_an_h5ad_file_leaves_one_too(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    study = run_study(read(h5ad(tmp_path / "small.h5ad"), target="class"), Settings(rule="min", n_alphas=6, folds=3))
    out = write_study(study, tmp_path / "out")
    with h5py.File(out / "genes.h5ad") as file:
        var = file["var"]
        chosen = set(study.genes["gene"])
        assert [f"ENSG{j}" in chosen for j in range(P)] == var["spred_selected"][()].tolist()
        assert {"spred_frequency", "spred_strength"} <= set(var)


def test_what_is_no_h5ad_file_is_said(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    (tmp_path / "a.h5ad").write_text("hello")
    with pytest.raises(FileError, match="no HDF5 file"):
        read(tmp_path / "a.h5ad", target="class")
    with h5py.File(tmp_path / "b.h5ad", "w") as file:
        file["X"] = VALUES
    with pytest.raises(FileError, match="no 'obs' in this HDF5 file"):
        read(tmp_path / "b.h5ad", target="class")


def tenx(folder: Path, *, old: bool = False) -> Path:
    folder.mkdir()
    kinds = ["Gene Expression"] * (P - 1) + ["Antibody Capture"]
    features = [f"ENSG{j}\tSYM{j}" + ("" if old else f"\t{kind}") for j, kind in enumerate(kinds)]
    names = {"genes.tsv" if old else "features.tsv": features, "barcodes.tsv": [f"AC{i}-1" for i in range(N)]}
    for name, lines in names.items():
        (folder / f"{name}.gz").write_bytes(gzip.compress("\n".join([*lines, ""]).encode()))
    mmwrite(folder / "matrix.mtx", sparse.coo_array(VALUES.T.astype(int)))
    (folder / "matrix.mtx.gz").write_bytes(gzip.compress((folder / "matrix.mtx").read_bytes()))
    (folder / "matrix.mtx").unlink()
    return folder


@pytest.mark.parametrize("old", [True, False])
def test_a_10x_folder_is_read_with_its_labels(old: bool, tmp_path: Path) -> None:
    rows = [f"AC{i}-1,{label}" for i, label in enumerate(LABELS)]
    (tmp_path / "labels.csv").write_text("\n".join(["barcode,class", *rows]))
    found = read(tenx(tmp_path / "run", old=old), labels=tmp_path / "labels.csv")
    n_genes = P if old else P - 1
    np.testing.assert_array_equal(found.values, VALUES[:, :n_genes])
    assert list(found.symbols) == [f"SYM{j}" for j in range(n_genes)]
    assert list(found.target) == list(LABELS)
    assert any("1 feature of another kind" in note for note in found.notes) is not old


def test_a_10x_folder_can_be_described_and_says_what_is_missing(tmp_path: Path) -> None:
    folder = tenx(tmp_path / "run")
    assert describe(folder).n_genes == P - 1
    (folder / "barcodes.tsv.gz").unlink()
    with pytest.raises(FileError, match=r"no barcodes\.tsv\(\.gz\)"):
        describe(folder)
    with pytest.raises(FileError, match="no 10x matrix is in it"):
        describe(tmp_path)
