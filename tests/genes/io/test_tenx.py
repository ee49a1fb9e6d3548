"""10x folders: written here by the rules of their format and read back; damaged ones are refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from scipy.io import mmread, mmwrite

from spred.errors import FileError
from spred.genes import describe, read
from spred.genes.io.tenx import read_matrix

N, P = 24, 10
VALUES = np.random.default_rng(0).poisson(2, size=(N, P)).astype(float)
LABELS = np.where(np.arange(N) % 2, "tumour", "normal")


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


def test_damage_names_the_part_of_the_folder(tmp_path: Path) -> None:
    folder = tenx(tmp_path / "run")
    whole = (folder / "features.tsv.gz").read_bytes()
    (folder / "features.tsv.gz").write_bytes(whole[:-9])
    with pytest.raises(FileError, match=r"run: features\.tsv\.gz: the compressed file is cut short"):
        describe(folder)
    (folder / "features.tsv.gz").write_bytes(gzip.compress(gzip.decompress(whole) + b"ENSG99\tSYM99\n"))
    with pytest.raises(FileError, match=r"run: the matrix is \(10, 24\), and there are 11 features"):
        describe(folder)


HEAD = "%%MatrixMarket matrix coordinate real general\n"

MATRICES = {
    "comments and blank lines": f"{HEAD}% made by hand\n\n%\n2 3 2\n1 1 1.5\n\n2 3 -2e-1\n",
    "tabs and blanks": f"{HEAD}2  3\t2\n 1\t1  1.5\n2 3 7 \n",
    "windows": f"{HEAD}2 3 1\r\n2 2 4\r\n",
    "integer": "%%MatrixMarket matrix coordinate integer general\n2 3 2\n1 1 3\n2 1 -4\n",
    "pattern": "%%MatrixMarket matrix coordinate pattern general\n2 3 2\n1 1\n2 3\n",
    "symmetric": "%%MatrixMarket matrix coordinate real symmetric\n3 3 3\n1 1 2\n2 1 5\n3 2 6\n",
    "skew": "%%MatrixMarket matrix coordinate real skew-symmetric\n3 3 2\n2 1 5\n3 2 6\n",
    "repeated": f"{HEAD}2 3 3\n1 1 1\n1 1 2\n2 3 4\n",
    "empty": f"{HEAD}2 3 0\n",
    "array": "%%MatrixMarket matrix array real general\n2 3\n1\n2\n3\n4\n5\n6.25\n",
    "capitals": "%%MatrixMarket MATRIX Coordinate Real General\n2 3 1\n1 1 1\n",
}


@pytest.mark.parametrize("name", MATRICES)
def test_matrices_of_all_kinds_are_as_scipy_reads_them(name: str, tmp_path: Path) -> None:
    (tmp_path / "matrix.mtx").write_bytes(MATRICES[name].encode())
    expected = mmread(tmp_path / "matrix.mtx")
    dense = expected.toarray() if sparse.issparse(expected) else expected
    np.testing.assert_array_equal(read_matrix(tmp_path / "matrix.mtx"), dense)


def test_comments_may_stand_between_entries(tmp_path: Path) -> None:
    (tmp_path / "matrix.mtx").write_text(f"{HEAD}2 3 2\n1 1 1.5\n% between\n2 3 -2e-1 % behind\n")
    assert read_matrix(tmp_path / "matrix.mtx").tolist() == [[1.5, 0, 0], [0, 0, -0.2]]


def test_random_matrices_survive_the_way_through_a_file(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for field in ("real", "integer", "pattern"):
        for _ in range(3):
            values = np.where(rng.random((7, 5)) < 0.3, rng.normal(size=(7, 5)), 0)
            values = {"real": values, "integer": np.rint(10 * values), "pattern": values != 0}[field]
            matrix = sparse.coo_array(values.astype(int if field == "integer" else float))
            mmwrite(tmp_path / "matrix.mtx", matrix, field=field)
            np.testing.assert_array_equal(read_matrix(tmp_path / "matrix.mtx"), values)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "no Matrix Market file"),
        ("<html>", "no Matrix Market file"),
        ("%%MatrixMarket matrix coordinate complex general\n1 1 1\n1 1 1 2\n", "complex and general is not read"),
        ("%%MatrixMarket matrix array real symmetric\n1 1\n1\n", "array that is symmetric"),
        (HEAD, "the line of the sizes is ''"),
        (f"{HEAD}2 -3 1\n1 1 1\n", "the line of the sizes is '2 -3 1'"),
        (f"{HEAD}2 3 2\n1 1 1\n", "1 entries, and 2 are announced"),
        (f"{HEAD}2 3 1\n1 1 1\n2 2 2\n", "2 entries, and 1 are announced"),
        (f"{HEAD}2 3 1\n3 1 1\n", "entry 1 is in row 3, and there are 2"),
        (f"{HEAD}2 3 1\n1 0 1\n", "entry 1 is in column 0, and there are 3"),
        (f"{HEAD}2 3 2\n1 1 1\n2 2\n", "no row, column and value"),
        (f"{HEAD}2 3 2\n1 1\n2 2\n", "the entries have 2 numbers and not 3"),
        (f"{HEAD}2 3 2\n1 1 1\n2 2 2 2\n", "no row, column and value"),
        (f"{HEAD}2 3 1\n1.5 1 1\n", "no row, column and value"),
        (f"{HEAD}2 3 1\n1 1 x\n", "no row, column and value"),
        (f"{HEAD}2 3 1\n1 99999999999999999999 1\n", "no row, column and value"),
        (f"{HEAD}2 3 1\n\n", "no row, column and value"),
        (f"{HEAD}1000000000 1000000000 1\n1 1 1\n", "the matrix would take .* of memory"),
        ("%%MatrixMarket matrix coordinate real symmetric\n2 3 1\n1 1 1\n", "of 2 rows and 3 columns"),
        (f"{HEAD}2 3 0\n1 1 1\n", "no entry is announced"),
    ],
)
def test_a_damaged_matrix_is_refused(content: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "matrix.mtx").write_text(content)
    with pytest.raises(FileError, match=sentence):
        read_matrix(tmp_path / "matrix.mtx")
