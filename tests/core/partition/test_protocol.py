"""gather and spread: adjoint to each other, the same in NumPy and torch, whatever the partition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import WORLDS, Case, arrays, cases, send

from spred.core.partition import SINGLES, Axes, Labels, norms, sizes


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


@pytest.mark.parametrize("world", WORLDS)
def test_dtype_is_kept(world: str) -> None:
    v = send(world, np.ones((2, 3), dtype=np.float32))
    for partition in (SINGLES, Axes((1,)), Labels(send(world, np.zeros((2, 3), dtype=np.int64)), 1)):
        assert partition.gather(v).dtype == v.dtype
        assert norms(v, partition).dtype == v.dtype
        assert sizes(v, partition).dtype == v.dtype
