"""Norms and sizes of groups."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from strategies import Case, cases

from spred.core.partition import Labels, norms, sizes


@given(case=cases())
def test_groups_cover_every_coordinate_once(case: Case) -> None:
    assert sizes(case.v, case.partition).sum() == case.v.size
    total = np.sum(norms(case.v, case.partition) ** 2)
    assert total == pytest.approx(np.sum(case.v**2), rel=1e-12)


def test_no_coordinates_have_no_groups() -> None:
    assert norms(np.zeros((0, 3)), Labels(np.zeros(0, dtype=int), 0)).shape == (0,)
