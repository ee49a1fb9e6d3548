"""gather and spread: adjoint to each other, the same in NumPy and torch, whatever the partition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import WORLDS, Case, arrays, cases, send

from spred.core.partition import SINGLES, Axes, Labels, norms, sizes
from spred.errors import InputError


@pytest.mark.parametrize("world", WORLDS)
@given(case=cases(), data=st.data())
def test_spread_is_the_adjoint_of_gather(world: str, case: Case, data: st.DataObject) -> None:
    v, partition = case.sent(world)
    gate = send(world, data.draw(arrays(case.gate_shape)))
    left = float((partition.gather(v) * gate).sum())
    right = float((v * partition.spread(gate, v)).sum())
    assert left == pytest.approx(right, rel=1e-12, abs=1e-10)


@given(case=cases())
def test_numpy_and_torch_agree(case: Case) -> None:
    there, partition = case.sent("torch")
    np.testing.assert_allclose(partition.gather(there).numpy(), case.partition.gather(case.v), rtol=1e-14)
    np.testing.assert_allclose(norms(there, partition).numpy(), norms(case.v, case.partition), rtol=1e-14)


@given(case=cases())
def test_groups_cover_every_coordinate_once(case: Case) -> None:
    assert sizes(case.v, case.partition).sum() == case.v.size
    total = np.sum(norms(case.v, case.partition) ** 2)
    assert total == pytest.approx(np.sum(case.v**2), rel=1e-12)


def test_rows_as_axes_and_as_labels_are_the_same_groups() -> None:
    v = np.arange(6.0).reshape(2, 3)
    rows, labels = Axes((0,)), Labels(np.array([[0, 0, 0], [1, 1, 1]]), 2)
    assert rows.gather(v).tolist() == [[3.0], [12.0]]
    assert labels.gather(v).tolist() == [3.0, 12.0]
    assert Labels(np.array([1, 0]), 2).gather(v).tolist() == [12.0, 3.0]
    assert Axes((-2,)).gather(v).tolist() == rows.gather(v).tolist()
    assert norms(v, SINGLES).tolist() == v.tolist()


@pytest.mark.parametrize("world", WORLDS)
def test_dtype_is_kept(world: str) -> None:
    v = send(world, np.ones((2, 3), dtype=np.float32))
    for partition in (SINGLES, Axes((1,)), Labels(send(world, np.zeros((2, 3), dtype=np.int64)), 1)):
        assert partition.gather(v).dtype == v.dtype
        assert norms(v, partition).dtype == v.dtype
        assert sizes(v, partition).dtype == v.dtype


@pytest.mark.parametrize("labels", [[0, 2], [-1, 0]])
def test_labels_outside_the_groups_are_refused(labels: list[int]) -> None:
    with pytest.raises(InputError, match=r"outside 0 … 1; number the groups from 0"):
        Labels(np.array(labels), 2)


@pytest.mark.parametrize("world", WORLDS)
def test_empty_labels_of_some_groups_are_refused(world: str) -> None:
    with pytest.raises(InputError, match="empty"):
        Labels(send(world, np.zeros(0, dtype=np.int64)), 1)


def test_no_coordinates_have_no_groups() -> None:
    assert norms(np.zeros((0, 3)), Labels(np.zeros(0, dtype=int), 0)).shape == (0,)
