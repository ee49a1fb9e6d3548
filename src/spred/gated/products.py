"""What gates that open one by one cannot see: products and squares of inputs in what a network leaves over.

At zero gates the gradient sees linear marginal effects alone, so a path that starts there misses a target that depends
on a product of inputs, each of which says nothing by itself. Whether one is left over can be tested for all pairs at
once, with a few products of matrices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from spred.gated.network import Network
from spred.gated.problem import GatedProblem

LEVEL = 1e-3
"""Chance that a product is found in noise, over all pairs together: a larger one costs dense starts that find nothing,
a smaller one overlooks weak products."""

MOST_WORK = 3e10
"""Samples × outputs × pairs that are looked at, at most: some seconds. Of more inputs those with the largest marginal
effects are taken."""

ROWS = 512
"""Inputs whose pairs with all others are looked at in one go: a matrix of all pairs would be as large as memory."""


@dataclass(frozen=True)
class LeftOver:
    """The product of two inputs (or the square of one) that goes along most with what a network leaves over.

    Attributes:
        inputs: their numbers.
        z: the sum of residual times product over its standard error.
        chance: the probability that noise has one as large among all pairs, at most.
    """

    inputs: tuple[int, int]
    z: float
    chance: float

    @property
    def found(self) -> bool:
        """Whether it is more than noise explains."""
        return self.chance < LEVEL


BOUND = 2.0
"""Scaled inputs are cut to within so many standard deviations of their mean before they are multiplied: products of
tails would dominate both sums of the statistic, and hide a product that is there."""

NOTHING = LeftOver((0, 0), 0.0, 1.0)


def left_over(problem: GatedProblem, network: Network, inputs: np.ndarray) -> LeftOver:
    """Return the product that the network on its ``inputs`` leaves over most.

    The statistic of a pair is ``Σ r (q − q̄) / √Σ r² (q − q̄)²`` for products q of scaled inputs and r, the gradient of
    the data term in η by sample, less what is linear in the inputs of the network. It is normalised by itself, so that
    neither heavy tails nor unequal variances make it large; its chance is Bonferroni's.
    """
    residuals = unexplained(problem, network, inputs)
    looked_at = candidates(problem, residuals)
    X = np.clip(problem.design.columns(looked_at), -BOUND, BOUND)
    n_tests = residuals.shape[1] * len(looked_at) * (len(looked_at) + 1) / 2
    best = NOTHING
    for r in residuals.T:
        for first in range(0, len(looked_at), ROWS):
            z = np.abs(statistics(X[:, first : first + ROWS], X, r, problem.s))
            row, column = np.unravel_index(int(np.argmax(z)), z.shape)
            if z[row, column] > best.z:
                pair = int(looked_at[first + row]), int(looked_at[column])
                chance = min(1.0, 2.0 * n_tests * float(norm.sf(z[row, column])))
                best = LeftOver((min(pair), max(pair)), float(z[row, column]), chance)
    return best


def unexplained(problem: GatedProblem, network: Network, inputs: np.ndarray) -> np.ndarray:
    """Return ``s·r``, ``(n, K)``: the gradient in η, less what is linear in the network's inputs where they are few."""
    X = problem.design.columns(inputs)
    theta = problem.theta(problem.forward(network, X).eta)
    Z = np.hstack([problem.free_columns, X])
    if 2 * Z.shape[1] > len(Z):
        Z = problem.free_columns
    root = np.sqrt(problem.s)[:, None]
    along = np.linalg.lstsq(root * Z, theta / root, rcond=None)[0]
    return np.asarray(theta - root**2 * (Z @ along))


def candidates(problem: GatedProblem, residuals: np.ndarray) -> np.ndarray:
    """Return the inputs whose pairs are looked at: all that vary and can be gated, or the strongest of too many."""
    gated = problem.penalised
    most = int(np.sqrt(2.0 * MOST_WORK / residuals.size))
    if len(gated) <= most:
        return gated
    marginal = np.linalg.norm(problem.design.correlate(residuals), axis=1)[gated]
    return np.sort(gated[np.argsort(-marginal, kind="stable")[:most]])


def statistics(A: np.ndarray, B: np.ndarray, r: np.ndarray, s: np.ndarray) -> np.ndarray:
    """Return the statistic of each product of a column of ``A`` and one of ``B``; ``r`` and ``s`` have the weights."""
    w = r * r
    mean = (A * s[:, None]).T @ B
    total = (A * r[:, None]).T @ B - mean * r.sum()
    scale = (A * A * w[:, None]).T @ (B * B)
    square = scale - mean * (2.0 * ((A * w[:, None]).T @ B) - mean * w.sum())
    known = square > 1e-12 * scale  # the rest are products that do not vary
    return np.where(known, total / np.sqrt(np.where(known, square, 1.0)), 0.0)
