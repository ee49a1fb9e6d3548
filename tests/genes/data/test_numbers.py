"""Numbers out of cells of any kind."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spred.genes.data.numbers import as_numbers


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", " 2.5", "x", None], [1.0, 2.5, np.nan, np.nan]),
        (["9" * 400, "1e999", "-" + "9" * 400], [np.inf, np.inf, -np.inf]),
        ([10**400, -(10**400), "x", None, 3], [np.inf, -np.inf, np.nan, np.nan, 3.0]),
        ([10**25, 1], [1e25, 1.0]),
    ],
)
def test_cells_of_any_kind(cells: list[object], expected: list[float]) -> None:
    np.testing.assert_array_equal(as_numbers(pd.Series(cells, dtype=object)).astype(float), expected)
