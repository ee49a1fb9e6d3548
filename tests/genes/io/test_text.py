"""How text is written: separators, decimal signs, comments, rows that are blank."""

from __future__ import annotations

from pathlib import Path

import pytest

from spred.errors import FileError, InputError
from spred.genes.io.text import Layout, layout_of, read_labels, read_text


@pytest.mark.parametrize(
    ("text", "layout"),
    [
        ('"sample","HLA-A,B"\n"s1",3\n', Layout(["sample", "HLA-A,B"], ",", ".", 1)),
        ("a;b;c\nx;1,5;2\ny;2,5;3\n", Layout(["a", "b", "c"], ";", ",", 1)),
        ("a;b\nx;1.5\n", Layout(["a", "b"], ";", ".", 1)),
        ("a\tb\nx\t-1,5e3\n", Layout(["a", "b"], "\t", ",", 1)),
        ('a;b\n"x, y";1\n', Layout(["a", "b"], ";", ".", 1)),
        ("# made by a program\n#\nb\tc\nx\t1\t2\n", Layout(["", "b", "c"], "\t", ".", 3, extra="corner")),
        ('"b" "c"\n"x" 1 2\n', Layout(["", "b", "c"], " ", ".", 1, extra="corner")),
        ("sample,b\nx,1,\ny,2,\n", Layout(["sample", "b", ""], ",", ".", 1, extra="end")),
        (
            "\n ;;\nTable 1, by gene\na;b;c\nx;1,5;2\n",
            Layout(["a", "b", "c"], ";", ",", 4, title=("Table 1, by gene",)),
        ),
        (
            "A,,,,,,,\nDate:,today,,,,,,\na,b,c,d,e,f,g,h\nx,1,2,3,4,5,6,7\n",
            Layout(list("abcdefgh"), ",", ".", 3, title=("A,,,,,,,", "Date:,today,,,,,,")),
        ),
        ("sep=;\na;b;c\nx;1;2\n", Layout(["a", "b", "c"], ";", ".", 2, title=("sep=;",))),
        ('"b\n(mg)";"\'=c"\nx;1\n', Layout(["b (mg)", "=c"], ";", ".", 2)),
        ("class\ns1,x\ns2,y\n", Layout(["", "class"], ",", ".", 1, extra="corner")),
    ],
)
def test_layouts(text: str, layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(text)
    assert layout_of(tmp_path / "a.txt", "utf-8") == layout


def test_values_with_a_decimal_comma(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a;b;c\n001;1,5;2\n002;;3,25\n;;\n")
    _, frame = read_text(tmp_path / "a.csv", {"a"}, "utf-8")
    assert frame[0].tolist() == ["001", "002"]
    assert frame[2].tolist() == [2.0, 3.25]
    assert frame[1].isna().tolist() == [False, True]


def test_a_file_of_comments_is_empty(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("# nothing\n")
    with pytest.raises(InputError, match="empty"):
        read_text(tmp_path / "a.csv", None, "utf-8")


def test_a_header_of_another_width(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\nx,1,2,3\n")
    with pytest.raises(FileError, match="line 2 has 4 cells, and the header has 2"):
        read_text(tmp_path / "a.csv", None, "utf-8")


@pytest.mark.parametrize("line", [1, 3])
def test_a_cell_too_long_to_be_one(line: int, tmp_path: Path) -> None:
    rows = ["sample,class,A", "s1,x,1", "s2,y,2", "s3,x,3"]
    rows[line - 1] = rows[line - 1].replace("A", "A" * 140_000).replace("y", "y" * 140_000)
    (tmp_path / "a.csv").write_text("\n".join(rows))
    with pytest.raises(FileError, match=f"line {line} cannot be parsed, field larger than field limit"):
        read_text(tmp_path / "a.csv", None, "utf-8")


def test_names_that_were_guarded_for_spreadsheets(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("sample,'=class\n'=s1,'-x\ns2,y\n")
    found = read_labels(tmp_path / "l.csv")
    assert found.to_dict() == {"=class": {"=s1": "-x", "s2": "y"}}
