"""Rows whose cells disagree with the header are refused with their line; no value ever comes out at another place."""

from __future__ import annotations

import csv
import io
import random
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from spred.errors import FileError, InputError
from spred.genes.data.expression import Table
from spred.genes.io.readers import read_table
from spred.genes.io.rows import CountedRows, masks
from spred.genes.io.tables import Request

WHOLE = "sample,class,A,B\ns1,x,1,2\ns2,y,3,4\ns3,x,5,6\n"


def read_text(folder: Path, text: str | bytes, name: str = "a.csv") -> Table:
    (folder / name).write_bytes(text.encode() if isinstance(text, str) else text)
    return read_table(folder / name, Request(target="class"))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (WHOLE.replace("1,2", "1,2,"), "line 2 has 5 cells.*has 4"),
        (WHOLE.replace("3,4", "3"), "line 3 has 3 cells, and the header has 4"),
        (WHOLE.replace("3,4", "3,4,"), "line 3 has 5 cells, and the header has 4"),
        (WHOLE[:-4], r"line 4 has 3 cells.*cut short"),
        (WHOLE.replace("sample", "\n\n# no\n\nsample").replace("3,4", "3"), "line 7 has 3 cells"),
        (WHOLE.replace("\n", "\r\n").replace("3,4", "3"), "line 3 has 3 cells"),
        (WHOLE.replace("\n", "\r").replace("3,4", "3"), "line 3 has 3 cells"),
        (WHOLE.replace("s2,", '"s\n2",').replace("5,6", "5"), "line 5 has 3 cells"),
        (WHOLE.replace("s2,", '"s,2",').replace("5,6", "5"), "line 4 has 3 cells"),
        (WHOLE.replace("s2,", '"s2,'), "line 3 opens a quote that is not closed"),
        (WHOLE.replace("s2,y,3", 's2,y,"3').replace("s3,x,5", 's3,x,5"'), "line 3 opens a quote that holds the rows"),
        (WHOLE.replace("s2,y,3", 's2,y,"3').replace("s3,x,5", 's3,x,"5'), "line 3 opens a quote that holds the rows"),
        (WHOLE.replace("s1", '5" x').replace("3,4", "3"), "line 3 has 3 cells"),
        (WHOLE.replace(",B", ""), "line 2 has 4 cells, and the header, which begins with 'sample', has 3"),
        ("class,A,B\ns1,x,1,2\ns2,y,3\n", "line 2 has 4 cells but line 3 has 3, and the header has 3"),
        ("class,A,B\ns1,x,1,\ns2,y,3,\n", "'class' may be the heading of the first column or of the second"),
        ("sample,class,,A,B\ns1,x,1,2,\ns2,y,3,4,\n", "the header has an empty cell, and the last column, 'B'"),
        ("A title, with a comma\n" + WHOLE, "line 2 has 4 cells, and the header has 2"),
    ],
)
def test_rows_that_disagree_are_refused(text: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=sentence):
        read_text(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (WHOLE.replace("1,2", "1,2,").replace("3,4", "3,4,").replace("5,6", "5,6,"), "'sample' names the first"),
        (WHOLE.replace("sample,", ""), "a name less"),
        ("My table\nof genes\n\n" + WHOLE, "Left out above the header: 'My table', 'of genes'"),
        ("\n , \n" + WHOLE, ""),
        (WHOLE.replace("s2", "\n\n  \n,,,\n,\ns2"), ""),
        (WHOLE.replace("\n", "\r\n"), ""),
        (WHOLE.replace("\n", "\r"), ""),
        (WHOLE.encode("utf-16"), ""),
        (b"\xef\xbb\xbf" + WHOLE.encode(), ""),
        (WHOLE.replace("A,B", '"A\n",B'), ""),
        (WHOLE.replace("x,", '"x"" ,\ny",').replace("y,", '"a long\nstory",', 1), ""),
        (WHOLE.removesuffix("\n"), "does not end with a line break"),
    ],
)
def test_tables_that_are_whole_are_read(text: str | bytes, note: str, tmp_path: Path) -> None:
    found = read_text(tmp_path, text)
    np.testing.assert_array_equal(found.values, [[1, 2], [3, 4], [5, 6]])
    assert found.genes == ["A", "B"]
    assert found.samples == ["s1", "s2", "s3"]
    assert list(found.annotations.columns) == ["class"]
    assert note in "|".join(found.notes)


def test_an_empty_last_column_of_a_table_from_r_is_kept(tmp_path: Path) -> None:
    rows = [f"r{i} x {i} " for i in range(25)]
    found = read_text(tmp_path, "\n".join(["class A B", *rows, "last x 25 7", ""]))
    assert found.values[-1].tolist() == [25.0, 7.0]
    assert np.isnan(found.values[:-1, 1]).all()
    assert found.samples[0] == "r0"


# --- what is counted is what csv parses -------------------------------------------------------------------


def cells_of_csv(text: str) -> set[int]:
    rows = csv.reader(io.StringIO(text, newline=""))
    return {len(row) for row in rows if len(row) > 2 or any(cell.strip(' "') for cell in row)}


def counted(text: str, header: int, size: int) -> bool:
    """Whether the rows, read so many bytes at a time, have the header's number of cells."""
    file = io.BytesIO(text.encode())
    rows = CountedRows(lambda _: file.read(size), ",", header, before=0)
    try:
        while rows.read():
            pass
    except FileError:
        return False
    return True


def test_cells_are_counted_as_csv_parses_them_whatever_the_blocks() -> None:
    rng = random.Random(0)
    pieces = ["a", "1.5", ",", ",", "\n", '"', '""', '"b,c"', '"d\n"', " "]
    agreed = [0, 0]
    for _ in range(400):
        text = "x,y\n" + "".join(rng.choices(pieces, k=rng.randint(1, 12))) + "\n"
        if text.count('"') % 2:
            continue
        expected = cells_of_csv(text) == {2}
        answers = {counted(text, 2, size) for size in (1, 3, 1000)}
        assert len(answers) == 1, text
        if '"' not in text or masks(text.encode(), ord(",")) is not None:  # without quotes that swallow rows
            assert answers == {expected}, text
        elif not expected:
            assert answers == {False}, text
        agreed[expected] += 1
    assert min(agreed) > 20


@pytest.mark.parametrize("quoted", [True, False])
def test_a_block_of_quoted_cells_is_masked(quoted: bool) -> None:
    row = '"a,b","c""d",' + ",".join(f'"{i},{i}"' for i in range(20)) if quoted else '"a,b",' + "1.23456," * 20 + "5"
    separators, ends = masks((row + "\n").encode(), ord(","))
    assert separators.sum() + 1 == len(next(csv.reader([row])))
    assert ends.tolist() == [len(row)]


def test_counts_that_agree_modulo_256_do_not_pass(tmp_path: Path) -> None:
    header = ",".join(["sample", "class", *map(str, range(255))])
    numbers = [",".join(["1"] * n) for n in (255, 255 + 256)]
    with pytest.raises(FileError, match="513"):  # the last row has 256 separators less, the one before 256 more
        read_text(tmp_path, "\n".join([header, "a,x," + numbers[0], "b,y," + numbers[1], "c", ""]))


# --- a generator: values come out where they were written, or not at all ------------------------------------


def made(rng: random.Random) -> tuple[list[list[str]], dict[tuple[str, str], float], str, str]:
    """Make a small table as rows of cells, with its values, its separator and its line breaks."""
    genes = [f"G{j}" for j in range(rng.randint(3, 6))]
    samples = [f"s{i}" for i in range(rng.randint(4, 8))]
    value = {key: round(rng.uniform(1, 1000), 3) for key in product(samples, genes)}
    header = (["sample"] if rng.random() < 0.7 else []) + ["class", *genes]
    rows = [header, *([s, "xy"[i % 2], *(str(value[s, g]) for g in genes)] for i, s in enumerate(samples))]
    if rng.random() < 0.3:
        rows = [[f'"{c}"' if not c[0].isdigit() else c for c in row] for row in rows]
    if header[0] == "sample" and rng.random() < 0.3:
        rows[1:] = [[*row, ""] for row in rows[1:]]
    return rows, value, rng.choice(",;\t "), rng.choice(["\n", "\r\n"])


def damaged(rng: random.Random, rows: list[list[str]], separator: str, end: str) -> str:
    """Lose, add or double a cell or separator of one row, cut the text, put quotes into it, or nothing at all."""
    rows = [list(row) for row in rows]
    kind = rng.randrange(10)
    row = rng.choice(rows)
    at = rng.randrange(len(row))
    if kind == 0:
        del row[at]
    elif kind == 1:
        row.insert(at, rng.choice(["7", "", "x"]))
    elif kind == 2:
        row.append("")
    elif kind == 3:
        row[at] = f'"{row[at]}'
        other = rng.choice(rows)
        other[-1] = rng.choice(['"' + other[-1], other[-1] + '"'])
    text = end.join(separator.join(row) for row in rows) + end
    place = rng.randrange(len(text))
    if kind == 4:
        return text[:place]
    if kind == 5:
        return text[:place] + '"' + text[place:]
    if kind == 6:
        return text[:place] + rng.choice([separator, "\n"]) + text[place:]
    if kind == 7:
        return text.replace(separator, rng.choice([separator * 2, "|"]), 1)
    return text


def test_damaged_tables_are_refused_or_right(tmp_path: Path) -> None:
    rng = random.Random(1)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(200):
        rows, value, separator, end = made(rng)
        text = damaged(rng, rows, separator, end)
        try:
            found = read_text(tmp_path, text)
        except InputError:
            outcomes["refused"] += 1
            continue
        outcomes["read"] += 1
        told = "|".join(found.notes)
        moved = [
            (sample, gene)
            for (i, sample), (j, gene) in product(enumerate(found.samples), enumerate(found.genes))
            if (sample, gene) in value and not np.isnan(found.values[i, j])
            if found.values[i, j] != value[sample, gene]
        ]
        cut = "does not end with a line break" in told  # the last cell may have lost its end
        assert len(moved) <= cut or "is empty in every row" in told, text
    assert min(outcomes.values()) > 30
