"""GEO DataSets: one sample once, one column a subset type, whatever order the subsets come in."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from spred.errors import InputError
from spred.genes import read

HEAD = """^DATABASE = Geo
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


def write(folder: Path, text: str, name: str = "GDS1.soft") -> Path:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


@pytest.mark.parametrize("name", ["GDS1.soft", "GDS1.soft.gz"])
def test_a_dataset(name: str, tmp_path: Path) -> None:
    found = read(write(tmp_path, HEAD + TABLE, name), target="disease state", group="individual")
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
    found = read(write(tmp_path, HEAD + TABLE), target="disease state")
    assert any("1 gene without any value dropped: '117_at'" in note for note in found.notes)
    assert any("1 missing cell" in note for note in found.notes)


def test_columns_after_the_samples_are_left_out(tmp_path: Path) -> None:
    rows = TABLE.splitlines()
    full = [
        row if row.startswith("!") else f"{row}\t{'Gene title' if i == 0 else 'kinase'}" for i, row in enumerate(rows)
    ]
    found = read(write(tmp_path, HEAD + "\n".join(full) + "\n"), target="disease state")
    assert found.values.shape == (4, 3)


def test_tabs_at_the_ends_of_rows_do_no_harm(tmp_path: Path) -> None:
    head, *rows = TABLE.splitlines()
    tabbed = [head, *(row if row.startswith("!") else row + "\t" for row in rows)]
    found = read(write(tmp_path, HEAD + "\n".join(tabbed) + "\n"), target="disease state")
    assert list(found.genes) == ["1007_s_at", "1053_at", "121_at"]
    np.testing.assert_array_equal(found.values[:, 0], [100.5, 2000, 30, 40])


def test_a_sample_in_two_levels_of_a_type_has_both(tmp_path: Path) -> None:
    twice = HEAD.replace("!subset_sample_id = GSM2, GSM4", "!subset_sample_id = GSM2,GSM4,GSM1")
    found = read(write(tmp_path, twice + TABLE), target="disease state")
    assert list(found.target) == ["RCC / normal", "normal", "RCC", "normal"]


def test_a_sample_without_a_level_is_dropped(tmp_path: Path) -> None:
    found = read(write(tmp_path, HEAD.replace("GSM1,GSM3", "GSM1") + TABLE), target="disease state")
    assert list(found.samples) == ["GSM1", "GSM2", "GSM4"]
    assert any("'GSM3'" in note for note in found.notes)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (HEAD + TABLE.replace("!dataset_table_end\n", ""), "ends before '!dataset_table_end'"),
        (HEAD + TABLE.splitlines()[0] + "\n", "ends before"),
        (HEAD[:300], "no DataSet table"),
        ("^SERIES = GSE1\n!Series_title = x\n", "GEO series or platform"),
        (HEAD + TABLE.replace("GSM", "SAMPLE"), "no column whose name starts with GSM"),
        (HEAD + TABLE.replace("\t70\t", "\tseventy\t"), "row '1053_at', column 'GSM3': 'seventy' is not a number"),
    ],
)
def test_broken_files(text: str, sentence: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    with pytest.raises(InputError, match=sentence) as caught:
        read(path, target="disease state")
    assert str(caught.value).startswith(str(path))


def test_a_truncated_download(tmp_path: Path) -> None:
    whole = gzip.compress((HEAD + TABLE).encode())
    path = tmp_path / "GDS1.soft.gz"
    path.write_bytes(whole[:-20])
    with pytest.raises(InputError, match="cut short"):
        read(path, target="disease state")


def test_a_subset_type_that_is_misspelled(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'disease state'"):
        read(write(tmp_path, HEAD + TABLE), target="disease_state")
