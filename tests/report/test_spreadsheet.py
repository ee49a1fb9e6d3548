"""Text in CSV files is no formula for a spreadsheet, numbers are numbers, and taking the guard away is exact."""

from __future__ import annotations

import csv
import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spred.report.spreadsheet import guarded, to_csv, unguarded

WORDS = st.text(alphabet="'=+-@\t\n\r1.eTP", max_size=6)


@given(WORDS)
def test_the_guard_comes_off_exactly(text: str) -> None:
    assert unguarded(guarded(text)) == text or (text.startswith("'") and unguarded(text) != text)


@given(WORDS)
def test_no_text_begins_as_a_formula_but_a_number(text: str) -> None:
    safe = guarded(text)
    if safe[:1] in {"=", "+", "-", "@", "\t", "\r", "\n"}:
        assert np.isfinite(float(safe))


@pytest.mark.parametrize("number", ["-1.5", "+2", "-1e-05", "-.5", "3."])
def test_numbers_as_text_stay_as_they_are(number: str) -> None:
    assert guarded(number) == unguarded(number) == number


def test_cells_and_headings_are_guarded_and_numbers_are_not() -> None:
    frame = pd.DataFrame(
        {"=gene": ['=HYPERLINK("x")', "-TP53"], "w": [-1.5, np.nan], "n": [-1, 2], "c": pd.Categorical(["@a", "b"])}
    )
    rows = list(csv.reader(io.StringIO(to_csv(frame))))
    assert rows == [
        ["'=gene", "w", "n", "c"],
        ['\'=HYPERLINK("x")', "-1.5", "-1", "'@a"],
        ["'-TP53", "", "2", "b"],
    ]
    assert to_csv(frame.iloc[:0]) == "'=gene,w,n,c\n"
