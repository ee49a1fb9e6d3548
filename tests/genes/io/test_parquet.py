"""Parquet gives the same table as text."""

from __future__ import annotations

import random
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from genes_files import assert_fails, assert_same

from spred.errors import InputError
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


def test_what_is_neither_number_nor_text_is_an_annotation(
    tmp_path: Path, frame: pd.DataFrame, expression: Expression
) -> None:
    about = {
        "day": pd.date_range("2020-01-05", periods=40),
        "moment": pd.date_range("2020-01-05 10:30", periods=40, tz="UTC"),
        "date": [date(2020, 1, 1 + i % 28) for i in range(40)],
        "month": pd.period_range("2020-01", periods=40, freq="M"),
        "lasted": pd.to_timedelta(range(40), "h"),
        "treated": [True, None] * 20,
        "batch": pd.Categorical(["1", "2"] * 20),
        "tags": [["a", "b"]] * 40,
        "raw": [b"x"] * 40,
    }
    frame.assign(**about, price=[Decimal("1.5"), None] * 20).to_parquet(tmp_path / "a.parquet")
    found = read(tmp_path / "a.parquet", target="class", group="patient")
    assert list(found.table.columns) == ["class", "patient", *about]
    assert list(found.genes) == [*expression.genes, "price"]
    np.testing.assert_array_equal(found.values[:, :-1], expression.values)
    assert found.values[0, -1] == 1.5
    assert not found.log2
    assert found.table.iloc[0, 2:].tolist() == [
        *["2020-01-05", "2020-01-05 10:30:00+00:00", "2020-01-01", "2020-01", "0 days 00:00:00", "True"],
        *["1", "['a' 'b']", "x"],
    ]


def test_several_levels_of_names(tmp_path: Path, frame: pd.DataFrame, expression: Expression) -> None:
    frame.set_index(["sample", "class", "patient"]).to_parquet(tmp_path / "a.parquet")
    assert_same(read(tmp_path / "a.parquet", target="class", group="patient"), expression)


def test_damaged_files_are_refused_or_read(tmp_path: Path, frame: pd.DataFrame) -> None:
    frame.iloc[:6, :6].to_parquet(tmp_path / "whole.parquet")
    whole, rng, refused = (tmp_path / "whole.parquet").read_bytes(), random.Random(0), 0
    for _ in range(150):
        broken = bytearray(whole)
        for _ in range(rng.choice([1, 4])):
            broken[rng.randrange(len(whole))] = rng.randrange(256)
        (tmp_path / "a.parquet").write_bytes(broken)
        try:
            read(tmp_path / "a.parquet", target="class")
        except InputError:
            refused += 1
    assert 10 < refused < 150
