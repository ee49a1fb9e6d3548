"""The penalty of a group as a function of its norm r: r and a multiple of r²/2, or r²/2 alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class NormPenalty:
    """``φ(r) = lasso·r + ridge·r²/2`` on the norm r of each group; α and ω stand before it.

    Steps need φ and its derivatives on norms that are known already; :class:`spred.core.penalties.Penalty` has the same
    penalty on coordinates, and the tests hold both together.

    Attributes:
        lasso: the weight of the norm, 1, or 0 where nothing is to become zero.
        ridge: the weight of half its square; φ″.
    """

    lasso: float = 1.0
    ridge: float = 0.0

    def value(self, norm: np.ndarray) -> np.ndarray:
        """Return φ."""
        value: np.ndarray = (self.lasso + 0.5 * self.ridge * norm) * norm
        return value

    def slope(self, norm: np.ndarray) -> np.ndarray:
        """Return φ′."""
        return self.lasso + self.ridge * norm

    @property
    def sparse(self) -> bool:
        """Whether zero is a minimum that groups stay at."""
        return self.lasso > 0


NORM = NormPenalty()
RIDGE = NormPenalty(lasso=0.0, ridge=1.0)


def elastic(l1_ratio: float) -> NormPenalty:
    """Return ``r + (1 − ρ)/(2ρ)·r²``: times αρ it is the elastic net ``α(ρr + (1 − ρ)/2·r²)``.

    So the engine's alpha is the strength of the norm, αρ, for every ρ: where groups enter, and what residuals are over.
    """
    return NormPenalty(ridge=(1.0 - l1_ratio) / l1_ratio)
