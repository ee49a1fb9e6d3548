"""What a group pays for its norm: the norm itself, which closes gates, or half its square, which only shrinks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Penalty:
    """A penalty ``φ(‖v‖)`` on each group; α and ω stand before it.

    Attributes:
        value: φ.
        slope: φ′.
        bend: φ″, a number.
        closes: whether zero is a minimum that groups stay at.
    """

    value: Callable[[np.ndarray], np.ndarray]
    slope: Callable[[np.ndarray], np.ndarray]
    bend: float
    closes: bool


NORM = Penalty(lambda norm: norm, np.ones_like, 0.0, closes=True)
RIDGE = Penalty(lambda norm: 0.5 * norm * norm, lambda norm: norm, 1.0, closes=False)
