"""Rows and columns are groups along axes."""

from __future__ import annotations

import numpy as np

from spred.core.partition import SINGLES, Axes, Labels, norms


def test_rows_as_axes_and_as_labels_are_the_same_groups() -> None:
    v = np.arange(6.0).reshape(2, 3)
    rows, labels = Axes((0,)), Labels(np.array([[0, 0, 0], [1, 1, 1]]), 2)
    assert rows.gather(v).tolist() == [[3.0], [12.0]]
    assert labels.gather(v).tolist() == [3.0, 12.0]
    assert Labels(np.array([1, 0]), 2).gather(v).tolist() == [12.0, 3.0]
    assert Axes((-2,)).gather(v).tolist() == rows.gather(v).tolist()
    assert norms(v, SINGLES).tolist() == v.tolist()
