"""Backtracking line search (Armijo's rule; Nocedal and Wright, Numerical Optimization, section 3.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

SUFFICIENT = 1e-4
"""Fraction of the predicted decrease that a step must reach: the usual small number, which refuses no good step."""


def backtrack(
    trial: Callable[[float], tuple[float, T]],
    start: float,
    slope: float,
    *,
    first: float = 1.0,
    shrink: float = 0.5,
    least: float = 1e-9,
    rounding: float = 0.0,
) -> tuple[float, T] | None:
    """Return the first of the steps ``first·shrink^k``, k = 0, 1, …, that lowers the objective enough, and its point.

    Enough is ``f(step) < f(0) + 1e-4·step·slope + rounding·|f(0)|``. None where no step above ``least`` does.

    Args:
        trial: from a step to the objective there, and whatever else the caller wants back.
        start: the objective at step 0.
        slope: its predicted change for step 1, not positive; 0 asks for any decrease.
        first: the step tried first.
        shrink: factor from step to step, below 1.
        least: steps are tried as long as they are above it.
        rounding: relative error of the objective, which counts as no increase.

    >>> backtrack(lambda step: ((step - 0.3) ** 2, "there"), start=0.09, slope=-0.6)
    (0.5, 'there')
    """
    step = first
    while step > least:
        value, point = trial(step)
        if value < start + SUFFICIENT * step * slope + rounding * abs(start):
            return step, point
        step *= shrink
    return None
