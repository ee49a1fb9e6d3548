"""The formats of GEO: series matrices and DataSets, whatever the order of their lines; what they lack is explained."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from spred.errors import FileError, InputError
from spred.genes import describe, read

SERIES = """!Series_title	"A study"
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

DATASET = """^DATABASE = Geo
!Database_name = Gene Expression Omnibus (GEO)
^DATASET = GDS1
!dataset_title = A = B, or so
^SUBSET = GDS1_1
!subset_description = RCC
!subset_sample_id = GSM1,GSM3
!subset_type = disease state
^SUBSET = GDS1_2
!subset_description = normal
!subset_sample_id = GSM2, GSM4
!subset_type = disease state
^SUBSET = GDS1_3
!subset_description = 035
!subset_sample_id = GSM1,GSM2
!subset_type = individual
^SUBSET = GDS1_4
!subset_description = 1
!subset_sample_id = GSM3
!subset_type = individual
^SUBSET = GDS1_5
!subset_description = 2
!subset_sample_id = GSM4
!subset_type = individual
^DATASET = GDS1
#ID_REF = Platform reference identifier
#GSM1 = Value for GSM1: a tumour
!dataset_table_begin
"""

TABLE = """ID_REF	IDENTIFIER	GSM1	GSM2	GSM3	GSM4
1007_s_at	DDR1	100.5	2000	30	40
1053_at	"RFC2	null	60	70	80
117_at	--Control	null	null	null	null
121_at	PAX8	900	1000	1100	1200
!dataset_table_end
"""


def write(folder: Path, text: str, name: str = "GSE1-GPL96_series_matrix.txt.gz") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize("name", ["GSE1_series_matrix.txt.gz", "GSE1_series_matrix.txt", "renamed.tsv"])
def test_characteristics_by_key_in_any_order(name: str, tmp_path: Path) -> None:
    found = read(write(tmp_path, SERIES + ROWS, name), target="tissue")
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
    notes = describe(write(tmp_path, SERIES + ROWS)).notes
    assert "These are the samples on platform GPL96; those on 'GPL97' have a file of their own." in notes
    mixed = SERIES.replace('"GPL96"\n!series', '"GPL97"\n!series')
    assert any("several platforms ('GPL96', 'GPL97')" in n for n in describe(write(tmp_path, mixed + ROWS)).notes)


@pytest.mark.parametrize("header", [True, False])
def test_an_empty_table_says_where_the_counts_are(header: bool, tmp_path: Path) -> None:
    head = SERIES if header else SERIES[: SERIES.index('"ID_REF"')]
    with pytest.raises(FileError, match=r"sequencing series.*'GSE1_counts\.txt\.gz'"):
        read(write(tmp_path, head + "!series_matrix_table_end\n"), target="tissue")


def test_the_second_channel_has_its_own_columns(tmp_path: Path) -> None:
    line = '!Sample_characteristics_ch2\t"tissue: pool"\t"tissue: pool"\t"tissue: pool"\t"tissue: x"\n'
    text = SERIES.replace("!Sample_platform_id", line + "!Sample_platform_id")
    found = read(write(tmp_path, text + ROWS), target="tissue (channel 2)")
    assert found.classes == ["pool", "x"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (SERIES[:200], "no line '!series_matrix_table_begin'"),
        (SERIES + ROWS.replace("!series_matrix_table_end\n", ""), "ends before '!series_matrix_table_end'"),
        (SERIES + ROWS.replace("8.4", "high"), "row '1007_s_at', column 'GSM3': 'high' is not a number"),
    ],
)
def test_broken_series(text: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(FileError if "number" not in sentence else ValueError, match=sentence):
        read(write(tmp_path, text), target="tissue")


def write_soft(folder: Path, text: str, name: str = "GDS1.soft") -> Path:
    return write(folder, text, name)


@pytest.mark.parametrize("name", ["GDS1.soft", "GDS1.soft.gz"])
def test_a_dataset(name: str, tmp_path: Path) -> None:
    found = read(write_soft(tmp_path, DATASET + TABLE, name), target="disease state", group="individual")
    assert found.name == "GDS1"
    assert list(found.samples) == ["GSM1", "GSM2", "GSM3", "GSM4"]
    assert list(found.target) == ["RCC", "normal", "RCC", "normal"]
    assert list(found.group) == ["035", "035", "1", "2"]
    assert list(found.table.columns) == ["disease state", "individual"]
    assert list(found.genes) == ["1007_s_at", "1053_at", "121_at"]
    assert list(found.symbols) == ["DDR1", '"RFC2', "PAX8"]
    np.testing.assert_array_equal(found.values[:, 0], [100.5, 2000, 30, 40])
    assert np.isnan(found.values[0, 1])
    assert found.log2


def test_probes_without_a_value_are_dropped_and_told(tmp_path: Path) -> None:
    found = read(write_soft(tmp_path, DATASET + TABLE), target="disease state")
    assert any("1 gene without any value dropped: '117_at'" in note for note in found.notes)
    assert any("1 missing cell" in note for note in found.notes)


def test_columns_after_the_samples_are_left_out(tmp_path: Path) -> None:
    rows = TABLE.splitlines()
    full = [
        row if row.startswith("!") else f"{row}\t{'Gene title' if i == 0 else 'kinase'}" for i, row in enumerate(rows)
    ]
    found = read(write_soft(tmp_path, DATASET + "\n".join(full) + "\n"), target="disease state")
    assert found.values.shape == (4, 3)


def test_tabs_at_the_ends_of_rows_do_no_harm(tmp_path: Path) -> None:
    head, *rows = TABLE.splitlines()
    tabbed = [head, *(row if row.startswith("!") else row + "\t" for row in rows)]
    found = read(write_soft(tmp_path, DATASET + "\n".join(tabbed) + "\n"), target="disease state")
    assert list(found.genes) == ["1007_s_at", "1053_at", "121_at"]
    np.testing.assert_array_equal(found.values[:, 0], [100.5, 2000, 30, 40])


def test_a_sample_in_two_levels_of_a_type_has_both(tmp_path: Path) -> None:
    twice = DATASET.replace("!subset_sample_id = GSM2, GSM4", "!subset_sample_id = GSM2,GSM4,GSM1")
    found = read(write_soft(tmp_path, twice + TABLE), target="disease state")
    assert list(found.target) == ["RCC / normal", "normal", "RCC", "normal"]


def test_a_sample_without_a_level_is_dropped(tmp_path: Path) -> None:
    found = read(write_soft(tmp_path, DATASET.replace("GSM1,GSM3", "GSM1") + TABLE), target="disease state")
    assert list(found.samples) == ["GSM1", "GSM2", "GSM4"]
    assert any("'GSM3'" in note for note in found.notes)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (DATASET + TABLE.replace("!dataset_table_end\n", ""), "ends before '!dataset_table_end'"),
        (DATASET + TABLE.splitlines()[0] + "\n", "ends before"),
        (DATASET[:300], "no DataSet table"),
        ("^SERIES = GSE1\n!Series_title = x\n", "GEO series or platform"),
        (DATASET + TABLE.replace("GSM", "SAMPLE"), "no column whose name starts with GSM"),
        (
            DATASET + TABLE.replace("\t70\t", "\tseventy\t"),
            "row '1053_at', column 'GSM3': 'seventy' is not a number",
        ),
    ],
)
def test_broken_datasets(text: str, sentence: str, tmp_path: Path) -> None:
    path = write_soft(tmp_path, text)
    with pytest.raises(InputError, match=sentence) as caught:
        read(path, target="disease state")
    assert str(caught.value).startswith(str(path))


def test_a_truncated_download(tmp_path: Path) -> None:
    whole = gzip.compress((DATASET + TABLE).encode())
    path = tmp_path / "GDS1.soft.gz"
    path.write_bytes(whole[:-20])
    with pytest.raises(InputError, match="cut short"):
        read(path, target="disease state")


def test_a_subset_type_that_is_misspelled(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'disease state'"):
        read(write_soft(tmp_path, DATASET + TABLE), target="disease_state")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("\t7.2\t8.4", "\t8.4", "line 15 has 4 cells, and the header has 5"),
        ("\t6.2\t", "\t6.2\t\t", "line 17 has 6 cells, and the header has 5"),
        ('"age: 61"\t"tissue: n', '"tissue: n', "line 10, !Sample_characteristics_ch1, has 3 values for 4 samples"),
        ('"GSM2"\t"GSM3"\t"GSM4"\n"', '"GSM2"\t"GSM3"\t"GSM3"\n"', "sample 'GSM3' occurs 2 times"),
        ('"A study"', f'"{"x" * 140_000}"', "line 1 cannot be parsed"),
    ],
)
def test_a_series_that_lost_a_cell(old: str, new: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=sentence):
        read(write(tmp_path, (SERIES + ROWS).replace(old, new, 1)), target="tissue")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("\t2000", "", "line 30 has 5 cells, and the header has 6"),
        ("\t60", "\t60\t", "line 31 has 7 cells, and the header has 6"),
        ("\t1100\t1200\n!dataset_table_end\n", "\t11", "line 33 has 5 cells.*cut short"),
    ],
)
def test_a_dataset_that_lost_a_cell(old: str, new: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=sentence):
        read(write_soft(tmp_path, (DATASET + TABLE).replace(old, new, 1)), target="disease state")
