"""Checks of arguments that the linear models and the networks share: penalty ratio, grid, alphas, sample weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from spred.errors import InputError


def l1_ratio(given: Any, *, ridge: bool = False) -> float:
    """Return ρ, the L1 fraction of an elastic net, in (0, 1]; 0 too where a pure ``ridge`` will do."""
    if np.ndim(given):
        raise InputError(f"l1_ratio is {given}; give one number here, cross-validation alone chooses among several")
    if not (0 < given <= 1 or (ridge and given == 0)):
        least = "from 0 (a ridge) to 1 (no ridge)" if ridge else "above 0 and at most 1"
        raise InputError(f"l1_ratio is {given}; give a number {least}")
    return float(given)


def grid_options(n_alphas: int, eps: float) -> None:
    """Raise an InputError unless ``n_alphas`` values from a largest alpha down to ``eps`` times it make a grid."""
    if n_alphas < 1:
        raise InputError(f"n_alphas is {n_alphas}; give at least 1")
    if not 0 < eps < 1:
        raise InputError(f"eps is {eps}; give a number between 0 and 1")


def falling_grid(top: float, n_alphas: int, eps: float) -> np.ndarray:
    """Return ``n_alphas`` values from ``top`` down to ``eps`` times it, evenly spaced in the logarithm.

    From 1 where ``top`` is 0: there is nothing to explain, and every alpha gives the null model.
    """
    grid_options(n_alphas, eps)
    top = top if top > 0 else 1.0
    return np.geomspace(top, top * eps, n_alphas) if n_alphas > 1 else np.array([top])


def falling_alphas(given: ArrayLike) -> np.ndarray:
    """Return one alpha or several as a falling grid ``(A,)`` of positive, finite numbers."""
    try:
        grid = np.atleast_1d(np.asarray(given, dtype=np.float64))
    except (TypeError, ValueError) as err:
        raise InputError(f"alphas cannot be read as numbers ({err}); give positive, finite ones") from err
    if grid.ndim != 1 or grid.size == 0:
        what = "empty" if grid.size == 0 else f"a table of shape {grid.shape}"
        raise InputError(f"alphas is {what}; give at least one positive number, and a list where there are several")
    good = np.isfinite(grid) & (grid > 0)
    if not good.all():
        bad = grid[np.argmin(good)]
        raise InputError(f"alpha is {bad}; give positive, finite numbers (alpha → 0 is an unpenalised model)")
    return np.sort(grid)[::-1]


def one_alpha(given: object) -> float:
    """Return the alpha of a model that has one, a positive, finite number."""
    if isinstance(given, (str, bytes)) or given is None or np.ndim(given) != 0:  # type: ignore[arg-type]
        raise InputError(
            f"alpha is {given!r}; give one positive number here (an estimator with CV chooses among several)"
        )
    return float(falling_alphas(given)[0])  # type: ignore[arg-type]


def sample_weights(given: ArrayLike | None, n: int) -> np.ndarray:
    """Return the weights of ``n`` samples, ``(n,)``, as they were given; ones for None, and a number is that of all."""
    if given is None:
        return np.ones(n)
    try:
        weights = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as err:
        raise InputError(f"sample_weight cannot be read as numbers ({err}); give one number for each sample") from err
    if weights.ndim == 0:
        weights = np.full(n, float(weights))
    if weights.shape != (n,):
        raise InputError(f"sample_weight has shape {weights.shape}, and X has {n} samples; give one weight for each")
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() > 0):
        raise InputError("sample_weight must be finite, not negative, and not all zero")
    return weights
