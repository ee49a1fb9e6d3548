"""Platform tables give probes their symbols."""

from __future__ import annotations

from pathlib import Path

import pytest
from platforms import platform

from spred.errors import FileError
from spred.genes.io.annotation import read_annotation


def test_a_geo_annotation(tmp_path: Path) -> None:
    expected = {"p1": "TP53", "p2": "TP53", "p3": "MYC///TP53", "p4": "", "p5": "EGFR"}
    assert read_annotation(platform(tmp_path)) == expected
    assert read_annotation(platform(tmp_path, name="GPL1.txt")) == expected


def test_a_full_platform_table_with_gene_assignments(tmp_path: Path) -> None:
    text = "#ID = x\nID\tgene_assignment\n1\tNM_1 // OR4F5 // receptor /// ENS // OR4F5 // same\n2\t---\n"
    assert read_annotation(platform(tmp_path, text)) == {"1": "OR4F5", "2": ""}


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no platform table"):
        read_annotation(platform(tmp_path, "!x\nno tabs\n"))
    with pytest.raises(FileError, match="no column of gene symbols; the platform's table has 'ID', 'SPOT_ID'"):
        read_annotation(platform(tmp_path, "ID\tSPOT_ID\n1\t2\n"))


def test_a_row_that_lost_a_cell(tmp_path: Path) -> None:
    text = "ID\tGene title\tGene symbol\n1\tx\tTP53\n2\tMYC\n!platform_table_end\n"
    with pytest.raises(FileError, match="line 3 has 2 cells, and the header has 3"):
        read_annotation(platform(tmp_path, text))
