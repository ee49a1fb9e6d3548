"""GEO series matrices: characteristics by key, whatever their order; what a series does not hold is explained."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from spred.errors import FileError
from spred.genes import describe, read

HEAD = """!Series_title	"A study"
!Series_platform_id	"GPL96"
!Series_platform_id	"GPL97"
!Series_supplementary_file	"https://example.org/GSE1_counts.txt.gz"

!Sample_title	"tumour, first"	"normal, first"	"tumour, second"	"normal, second"
!Sample_geo_accession	"GSM1"	"GSM2"	"GSM3"	"GSM4"
!Sample_source_name_ch1	"kidney"	"kidney"	"kidney"	""
!Sample_characteristics_ch1	"tissue: tumour"	"age: 61"	"tissue: tumour"	"tissue: normal"
!Sample_characteristics_ch1	"age: 61"	"tissue: normal"	"age: 47"	"age: NA"
!Sample_characteristics_ch1	"smoker"	""	"tissue: metastasis"	"sex: f"
!Sample_platform_id	"GPL96"	"GPL96"	"GPL96"	"GPL96"
!series_matrix_table_begin
"ID_REF"	"GSM1"	"GSM2"	"GSM3"	"GSM4"
"""
ROWS = """"1007_s_at"	8.1	7.2	8.4	7.1
"1053_at"	5	null	5.2\t
"121_at"	6.1	6.2	6.3	6.4
!series_matrix_table_end
"""


def write(folder: Path, text: str, name: str = "GSE1-GPL96_series_matrix.txt.gz") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize("name", ["GSE1_series_matrix.txt.gz", "GSE1_series_matrix.txt", "renamed.tsv"])
def test_characteristics_by_key_in_any_order(name: str, tmp_path: Path) -> None:
    found = read(write(tmp_path, HEAD + ROWS, name), target="tissue")
    assert list(found.samples) == ["GSM1", "GSM2", "GSM3", "GSM4"]
    assert list(found.target) == ["tumour", "normal", "tumour / metastasis", "normal"]
    assert list(found.table.columns) == ["title", "source", "tissue", "age", "characteristics", "sex"]
    assert list(found.table["age"][:3]) == ["61", "61", "47"]
    assert found.table.isna().sum().to_dict() == {
        "title": 0,
        "source": 1,
        "tissue": 0,
        "age": 1,
        "characteristics": 3,
        "sex": 3,
    }
    assert list(found.genes) == ["1007_s_at", "1053_at", "121_at"]
    np.testing.assert_array_equal(found.values[:, 0], [8.1, 7.2, 8.4, 7.1])
    np.testing.assert_array_equal(np.isnan(found.values[:, 1]), [False, True, False, True])
    assert found.name in {"GSE1", "renamed"}


def test_other_platforms_are_told(tmp_path: Path) -> None:
    notes = describe(write(tmp_path, HEAD + ROWS)).notes
    assert "These are the samples on platform GPL96; those on 'GPL97' have a file of their own." in notes
    mixed = HEAD.replace('"GPL96"\n!series', '"GPL97"\n!series')
    assert any("several platforms ('GPL96', 'GPL97')" in n for n in describe(write(tmp_path, mixed + ROWS)).notes)


@pytest.mark.parametrize("header", [True, False])
def test_an_empty_table_says_where_the_counts_are(header: bool, tmp_path: Path) -> None:
    head = HEAD if header else HEAD[: HEAD.index('"ID_REF"')]
    with pytest.raises(FileError, match=r"sequencing series.*'GSE1_counts\.txt\.gz'"):
        read(write(tmp_path, head + "!series_matrix_table_end\n"), target="tissue")


def test_the_second_channel_has_its_own_columns(tmp_path: Path) -> None:
    line = '!Sample_characteristics_ch2\t"tissue: pool"\t"tissue: pool"\t"tissue: pool"\t"tissue: x"\n'
    text = HEAD.replace("!Sample_platform_id", line + "!Sample_platform_id")
    found = read(write(tmp_path, text + ROWS), target="tissue (channel 2)")
    assert found.classes == ["pool", "x"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (HEAD[:200], "no line '!series_matrix_table_begin'"),
        (HEAD + ROWS.replace("!series_matrix_table_end\n", ""), "ends before '!series_matrix_table_end'"),
        (HEAD + ROWS.replace("8.4", "high"), "row '1007_s_at', column 'GSM3': 'high' is not a number"),
    ],
)
def test_broken_files(text: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(FileError if "number" not in sentence else ValueError, match=sentence):
        read(write(tmp_path, text), target="tissue")
