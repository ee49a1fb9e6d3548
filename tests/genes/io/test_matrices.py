"""h5ad files: written here by the rules of their format, read back, and written into; damaged ones are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from spred.errors import FileError
from spred.genes import read, run_study, write_study
from spred.genes.io.matrices import check_parts, column, columns_of, index_of, matrix, write_h5ad
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


# --- other layouts ----------------------------------------------------------------------------------------


def add_names(file: Any, n: int = N, p: int = P) -> None:
    """Give an open HDF5 file an obs with a class and a var, plain."""
    h5py = pytest.importorskip("h5py")
    for name, count, letter in (("obs", n, "c"), ("var", p, "E")):
        table = file.create_group(name)
        table.attrs["_index"] = "index"
        table.create_dataset("index", data=[f"{letter}{i}" for i in range(count)], dtype=h5py.string_dtype())
    file["obs"].attrs["column-order"] = np.array(["class"], dtype=object)
    file["obs"]["class"] = (np.arange(n) % 2).astype(np.int8)


def test_levels_that_lie_elsewhere_are_found_by_their_reference(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5ad", "w") as file:  # anndata 0.7
        file["X"] = VALUES
        add_names(file)
        levels = file["obs"].create_group("__categories")
        levels.create_dataset("class", data=["normal", "tumour"], dtype=h5py.string_dtype())
        file["obs"]["class"].attrs["categories"] = levels["class"].ref
    assert list(read(tmp_path / "a.h5ad", target="class").target) == list(LABELS)


def test_tables_of_records_are_read_and_written_into(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    text = h5py.string_dtype()
    with h5py.File(tmp_path / "a.h5ad", "w") as file:  # anndata 0.6
        matrix = sparse.csr_array(VALUES)
        group = file.create_group("X")
        group.attrs["h5sparse_format"], group.attrs["h5sparse_shape"] = "csr", matrix.shape
        for part in ("data", "indices", "indptr"):
            group[part] = getattr(matrix, part)
        obs = np.empty(N, dtype=[("index", text), ("class", "i1"), ("age", "i8")])
        obs["index"], obs["class"], obs["age"] = [f"c{i}" for i in range(N)], np.arange(N) % 2, np.arange(N)
        var = np.empty(P, dtype=[("index", "S5"), ("gene_symbols", text)])
        var["index"], var["gene_symbols"] = [b"E%d" % j for j in range(P)], [f"SYM{j}" for j in range(P)]
        file["obs"], file["var"] = obs, var
        file["uns/class_categories"] = np.array([b"normal", b"tumour"])
    found = read(tmp_path / "a.h5ad", target="class")
    np.testing.assert_array_equal(found.values, VALUES)
    assert list(found.samples) == [f"c{i}" for i in range(N)]
    assert list(found.target) == list(LABELS)
    assert list(found.symbols) == [f"SYM{j}" for j in range(P)]
    assert found.table["age"].tolist() == list(range(N))
    write_h5ad(tmp_path / "a.h5ad", tmp_path / "b.h5ad", found.genes, {"spred_selected": np.arange(P) == 3})
    with h5py.File(tmp_path / "b.h5ad") as file:
        assert file["var"]["spred_selected"].tolist() == [j == 3 for j in range(P)]
        assert file["var"]["gene_symbols"].tolist() == [b"SYM%d" % j for j in range(P)]
    assert read(tmp_path / "b.h5ad", target="class").values.shape == (N, P)


def test_gaps_in_text_and_bytes_of_another_order(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5ad", "w") as file:
        file["X"] = VALUES.astype(">f4")
        add_names(file)
        file["obs"]["class"][...] = file["obs"]["class"][()] + 1
        kind = file["obs"].create_group("kind")
        kind.create_dataset("values", data=["u", "v"] * (N // 2), dtype=h5py.string_dtype())
        kind["mask"] = np.arange(N) < 2
        file["obs"]["size"] = np.arange(N).astype(">i4")
        file["obs"].attrs["column-order"] = np.array(["class", "kind", "size"], dtype=object)
    found = read(tmp_path / "a.h5ad", target="class")
    np.testing.assert_array_equal(found.values, VALUES)
    assert found.table["kind"].isna().tolist()[1:4] == [True, False, False]
    assert found.table["kind"].tolist()[2:4] == ["u", "v"]
    assert found.table["size"].tolist() == list(range(N))


# --- damage -----------------------------------------------------------------------------------------------

SPARSE_DAMAGE: dict[str, Any] = {
    "index above": ("indices", lambda x: np.where(np.arange(len(x)) == 3, 10**6, x)),
    "index below": ("indices", lambda x: np.where(np.arange(len(x)) == 3, -1, x)),
    "pointer falls": ("indptr", lambda x: np.where(np.arange(len(x)) == 2, 0, x)),
    "pointer above": ("indptr", lambda x: np.where(np.arange(len(x)) == 2, 10**6, x)),
    "pointers do not end": ("indptr", lambda x: np.where(np.arange(len(x)) == len(x) - 1, 3, x)),
    "too few pointers": ("indptr", lambda x: x[:-1]),
    "too few values": ("data", lambda x: x[:-1]),
    "no whole numbers": ("indices", lambda x: x + 0.5),
    "two dimensions": ("indices", lambda x: x[:, None]),
    "complex values": ("data", lambda x: x * 1j),
}


@pytest.mark.parametrize("kind", ["csr", "csc"])
@pytest.mark.parametrize("damage", SPARSE_DAMAGE)
def test_a_sparse_matrix_is_checked_before_use(kind: str, damage: str, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    part, change = SPARSE_DAMAGE[damage]
    with h5py.File(h5ad(tmp_path / "a.h5ad", kind), "r+") as file:
        values = change(file["X"][part][()])
        del file["X"][part]
        file["X"][part] = values
        with pytest.raises(FileError, match=r"matrix X|no real numbers"):
            matrix(file["X"])


@pytest.mark.parametrize("shape", [(2**40, P), (-1, P), (N,), (1.5, 2.0), "x"])
def test_a_shape_that_cannot_be_is_refused(shape: Any, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(h5ad(tmp_path / "a.h5ad", "csr"), "r+") as file:
        file["X"].attrs["shape"] = shape
        with pytest.raises(FileError, match=r"says no shape|of memory, and the limit is"):
            matrix(file["X"])


COLUMN_DAMAGE: dict[str, Any] = {
    "codes above": ("class/codes", np.full(N, 2), "codes that are none of its 2 levels"),
    "codes below": ("class/codes", np.full(N, -2), "codes that are none of its 2 levels"),
    "codes of fractions": ("class/codes", np.full(N, 0.5), "codes that are none of its 2 levels"),
    "too few rows": ("class/codes", np.zeros(N - 1, int), f"has {N - 1} rows, and there are {N} names"),
    "no levels": ("class/categories", None, "'categories' is missing or damaged"),
    "too short a mask": ("age/mask", np.zeros(3, bool), "a mask of 3"),
    "complex": ("age/values", np.full(N, 1j), "neither numbers nor text"),
    "two dimensions": ("age/values", np.zeros((N, 2)), "has 2 dimensions"),
    "text that is none": ("cell", np.array([b"\xff\xfe"] * N), "text that is not UTF-8"),
    "no names": ("cell", None, "no names of its rows"),
}


@pytest.mark.parametrize("damage", COLUMN_DAMAGE)
def test_a_column_is_checked_before_use(damage: str, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    place, values, sentence = COLUMN_DAMAGE[damage]
    with h5py.File(h5ad(tmp_path / "a.h5ad"), "r+") as file:
        obs = file["obs"]
        del obs[place]
        if values is not None:
            obs[place] = values
        with pytest.raises(FileError, match=sentence):
            pd.DataFrame({name: column(obs, name, len(index_of(obs))) for name in columns_of(obs)})


def test_nothing_of_another_file_is_read(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    source = h5ad(tmp_path / "a.h5ad")
    for name in ("link", "external", "virtual"):
        with h5py.File(tmp_path / f"{name}.h5ad", "w") as file:
            add_names(file)
            if name == "link":
                file["X"] = h5py.ExternalLink(source.name, "/X")
            elif name == "external":
                file.create_dataset("X", shape=(N, P), dtype="f8", external=[(str(source), 0, 8 * N * P)])
            else:
                layout = h5py.VirtualLayout(shape=(N, P), dtype="f8")
                layout[:] = h5py.VirtualSource(source.name, "X", shape=(N, P))
                file.create_virtual_dataset("X", layout)
        with pytest.raises(FileError, match=rf"{name}\.h5ad: .*another file"):
            read(tmp_path / f"{name}.h5ad", target="class")


def matrix_of(file: Any) -> np.ndarray:
    check_parts(file)
    return matrix(file["X"])


def test_what_another_program_wrote_is_called_by_its_name(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    contents: dict[str, tuple[dict[str, Any], str]] = {
        "tenx": ({"matrix/barcodes": [b"a"]}, "Cell Ranger's HDF5 file; .*read_10x_h5"),
        "loom": ({"matrix": VALUES, "row_attrs/Gene": [b"a"]}, "a loom file; .*read_loom"),
        "layers": ({"layers/counts": VALUES}, "no 'X' in this HDF5 file; copy one of the layers \\('counts'\\)"),
        "huge": ({}, "would take 32.0 TB of memory"),
    }
    for name, (items, sentence) in contents.items():
        with h5py.File(tmp_path / f"{name}.h5ad", "w") as file:
            add_names(file)
            for place, value in items.items():
                file[place] = value
            if name == "huge":
                file.create_dataset("X", shape=(2**30, 2**12), dtype="f8", chunks=(64, 64))
        with h5py.File(tmp_path / f"{name}.h5ad") as file, pytest.raises(FileError, match=sentence):
            matrix_of(file)
