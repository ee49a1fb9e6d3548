"""The outer loop against a solver that follows a script, and the extrapolation along a path."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from spred.core.certificate import Certificate
from spred.errors import InputError
from spred.linear.kernels.newton import extrapolate
from spred.linear.results import Status
from spred.linear.solvers.outer import (
    EXHAUSTED,
    LARGEST,
    SMALLEST,
    TIGHTENING,
    Limits,
    Model,
    Stage,
    converge,
    first_tolerance,
    keep_signs,
    path_ratio,
)


class Scripted:
    """Takes ``steps`` each time, has violators as often as ``violators`` says, and the gaps that ``gaps`` says."""

    def __init__(self, gaps: Sequence[float], violators: int = 0, steps: int = 2) -> None:
        self.gaps, self.violators, self.steps = list(gaps), violators, steps
        self.calls: list[str] = []
        self.stages: list[Stage] = []
        self.capacities: list[int] = []

    def refine(self, stage: Stage, max_steps: int, deadline: float) -> int:
        self.calls.append("refine")
        self.stages.append(stage)
        self.capacities.append(max_steps)
        return min(self.steps, max_steps)

    def extend(self, stage: Stage) -> bool:
        self.calls.append("extend")
        self.violators -= 1
        return self.violators >= 0

    def certify(self) -> Certificate:
        self.calls.append("certify")
        gap = self.gaps.pop(0) if len(self.gaps) > 1 else self.gaps[0]
        return Certificate(gap, 0.0, 1.0, 1.0 - gap)


def test_one_round_where_nothing_violates_and_the_gap_is_small() -> None:
    inner = Scripted([1e-12])
    certificate, status, n_iter = converge(inner, Limits(1e-9), [1e-8])
    assert inner.calls == ["refine", "extend", "certify"]
    assert (certificate.gap, status, n_iter) == (1e-12, Status.CONVERGED, 2)


def test_violators_are_added_before_any_certificate() -> None:
    inner = Scripted([1e-12], violators=2)
    assert converge(inner, Limits(1e-9), [1e-8])[2] == 6
    assert inner.calls == ["refine", "extend"] * 3 + ["certify"]
    assert inner.stages == [Stage(1e-8)] * 3


def test_a_rough_stage_comes_first_and_has_no_certificate() -> None:
    inner = Scripted([1e-12], violators=1)
    converge(inner, Limits(1e-9), [1e-2, 1e-8])
    assert inner.calls == ["refine", "extend", "refine", "extend", "refine", "extend", "certify"]
    assert inner.stages == [Stage(1e-2, rough=True)] * 2 + [Stage(1e-8)]


def test_the_tolerance_is_tightened_until_the_gap_is_small() -> None:
    inner = Scripted([1e-3, 1e-6, 1e-10])
    assert converge(inner, Limits(1e-9), [1e-8])[1] is Status.CONVERGED
    assert [stage.tol for stage in inner.stages] == [1e-8, 1e-8 * TIGHTENING, 1e-8 * TIGHTENING**2]


def test_it_gives_up_where_only_rounding_is_left() -> None:
    inner = Scripted([1e-3])
    certificate, status, _ = converge(inner, Limits(1e-9), [1e-8])
    assert (certificate.gap, status) == (1e-3, Status.PRECISION)
    assert inner.stages[-1].tol < EXHAUSTED <= inner.stages[-2].tol


def test_steps_are_counted_down_and_when_they_are_spent_the_certificate_is_made() -> None:
    inner = Scripted([1e-3], violators=9, steps=4)
    certificate, status, n_iter = converge(inner, Limits(1e-9, max_iter=10), [1e-2, 1e-8])
    assert inner.capacities == [10, 6, 2]
    assert inner.calls[-2:] == ["refine", "certify"]
    assert (certificate.gap, status, n_iter) == (1e-3, Status.ITERATIONS, 10)


def test_a_deadline_ends_it_with_a_certificate_and_a_small_gap_is_still_converged() -> None:
    past = Limits(1e-9, deadline=time.perf_counter() - 1.0)
    inner = Scripted([1e-3], violators=9)
    assert converge(inner, past, [1e-8])[1] is Status.TIME
    assert inner.calls == ["refine", "certify"]
    assert converge(Scripted([1e-12], violators=9), past, [1e-8])[1] is Status.CONVERGED


def test_the_first_tolerance_is_some_gaps_and_stays_in_range() -> None:
    assert first_tolerance(1e-9) == pytest.approx(1e-8)
    assert first_tolerance(1e-9, 3.0) == pytest.approx(3e-9)
    assert first_tolerance(1e-15) == SMALLEST
    assert first_tolerance(1.0) == LARGEST


@pytest.mark.parametrize("tol", [0.0, -1.0, float("nan")])
def test_a_tolerance_must_be_positive(tol: float) -> None:
    with pytest.raises(InputError, match="tol is"):
        Limits(tol)


def test_a_model_made_dense_has_zeros_elsewhere() -> None:
    model = Model(np.array([1, 3]), np.array([[1.0], [2.0]]), np.zeros(1))
    assert model.dense(5)[:, 0].tolist() == [0.0, 1.0, 0.0, 2.0, 0.0]


def test_the_ratio_is_that_of_the_stretches_and_at_most_one() -> None:
    assert path_ratio(3.0, 2.0, 1.5) == 0.5
    assert path_ratio(3.0, 2.0, 0.5) == 1.0
    assert path_ratio(float("inf"), 2.0, 1.0) == 0.0
    for alphas in ((2.0, 2.0, 1.0), (1.0, 2.0, 0.5), (3.0, 2.0, 2.0), (3.0, 2.0, 2.5)):
        assert path_ratio(*alphas) == 0.0


numbers = arrays(np.float64, 12, elements=st.floats(-2.0, 2.0).map(lambda x: 0.0 if abs(x) < 0.5 else x))


@given(x=numbers, last=numbers, ratio=st.floats(0.01, 1.0))
def test_the_compiled_extrapolation_is_the_same(x: np.ndarray, last: np.ndarray, ratio: float) -> None:
    """Both go on along the line from where they were, but for new coordinates, and change no sign."""
    line = np.where(last != 0, x + ratio * (x - last), x)
    expected = keep_signs(line, x)
    np.testing.assert_array_equal(extrapolate(x, last, ratio), expected)
    assert (expected * x >= 0).all()
    assert ((expected != 0) == (x != 0)).all()
