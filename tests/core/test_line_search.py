"""Backtracking: the first step that lowers the objective enough, or none."""

from __future__ import annotations

import pytest

from spred.core.line_search import SUFFICIENT, backtrack


def test_the_full_step_is_tried_first_and_taken_if_it_is_good() -> None:
    tried = []

    def trial(step: float) -> tuple[float, float]:
        tried.append(step)
        return (step - 1.0) ** 2, 10.0 * step

    assert backtrack(trial, 1.0, -2.0) == (1.0, 10.0)
    assert tried == [1.0]


@pytest.mark.parametrize("shrink", [0.5, 0.3])
def test_steps_shrink_until_the_decrease_suffices(shrink: float) -> None:
    def f(step: float) -> float:
        return (step - 0.1) ** 2

    found = backtrack(lambda step: (f(step), None), f(0.0), -0.2, shrink=shrink)
    assert found is not None
    step = found[0]
    assert f(step) < f(0.0) - SUFFICIENT * 0.2 * step
    assert f(step / shrink) >= f(0.0) - SUFFICIENT * 0.2 * step / shrink


def test_none_where_no_step_helps_and_no_step_at_or_below_the_least() -> None:
    tried = []

    def uphill(step: float) -> tuple[float, None]:
        tried.append(step)
        return step, None

    assert backtrack(uphill, 0.0, -1.0, least=0.25) is None
    assert tried == [1.0, 0.5]


def test_a_promise_that_is_not_kept_is_refused() -> None:
    """A decrease of a hundred-thousandth of what the slope predicts is none."""
    assert backtrack(lambda step: (-1e-5 * step, None), 0.0, -1.0) is None
    assert backtrack(lambda step: (-1e-3 * step, None), 0.0, -1.0) is not None


def test_rounding_is_no_increase_and_no_slope_asks_for_any_decrease() -> None:
    assert backtrack(lambda step: (1.0 + 1e-15, None), 1.0, 0.0) is None
    assert backtrack(lambda step: (1.0 + 1e-15, None), 1.0, 0.0, rounding=1e-14) is not None
    assert backtrack(lambda step: (0.0, None), 0.0, 0.0) is None
    assert backtrack(lambda step: (-1e-300, None), 0.0, 0.0) is not None


def test_a_shorter_first_step_may_be_asked_for() -> None:
    tried = []

    def trial(step: float) -> tuple[float, None]:
        tried.append(step)
        return 1.0 if step > 0.05 else -1.0, None

    assert backtrack(trial, 0.0, 0.0, first=0.25, shrink=0.3) == (0.25 * 0.3 * 0.3, None)
    assert tried == [0.25, 0.25 * 0.3, 0.25 * 0.3 * 0.3]
