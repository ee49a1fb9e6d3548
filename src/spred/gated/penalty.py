"""What a group pays for its norm: the norm and a share of half its square, or the half square alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Penalty:
    """``φ(r) = lasso·r + ridge·r²/2`` on the norm r of each group; α and ω stand before it.

    Attributes:
        lasso: what the norm weighs, 1, or 0 where nothing is to close.
        ridge: what half its square weighs; φ″.
    """

    lasso: float = 1.0
    ridge: float = 0.0

    def value(self, norm: np.ndarray) -> np.ndarray:
        """Return φ."""
        return (self.lasso + 0.5 * self.ridge * norm) * norm

    def slope(self, norm: np.ndarray) -> np.ndarray:
        """Return φ′."""
        return self.lasso + self.ridge * norm

    @property
    def closes(self) -> bool:
        """Whether zero is a minimum that groups stay at."""
        return self.lasso > 0


NORM = Penalty()
RIDGE = Penalty(lasso=0.0, ridge=1.0)


def elastic(l1_ratio: float) -> Penalty:
    """Return ``r + (1 − ρ)/(2ρ)·r²``: times αρ it is the elastic net ``α(ρr + (1 − ρ)/2·r²)``.

    So the engine's alpha is the strength of the norm, αρ, for every ρ: where gates open, and what residuals are over.
    """
    return Penalty(ridge=(1.0 - l1_ratio) / l1_ratio)
