"""Parquet gives the same table as text."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from genes_files import assert_fails, assert_same

from spred.genes import Expression, read


@pytest.mark.parametrize("index", [None, "sample"])
def test_parquet(index: str | None, tmp_path: Path, frame: pd.DataFrame, expression: Expression) -> None:
    (frame.set_index(index) if index else frame).to_parquet(tmp_path / "a.parquet")
    assert_same(read(tmp_path / "a.parquet", target="class", group="patient"), expression)


def test_parquet_without_names_counts_the_samples(tmp_path: Path, frame: pd.DataFrame) -> None:
    frame.drop(columns=["sample", "patient"]).astype({"G0": "float32"}).to_parquet(tmp_path / "a.parquet")
    found = read(tmp_path / "a.parquet", target="class")
    assert list(found.samples[:2]) == ["1", "2"]
    assert found.values.shape == (40, 30)


def test_a_broken_parquet_file(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and nothing else")
    assert_fails(tmp_path / "a.parquet", "no parquet file")
