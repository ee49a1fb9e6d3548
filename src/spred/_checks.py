"""Checks of arguments that the linear models and the networks share: penalty ratio, grid, alphas, sample weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from spred.errors import InputError

TIMES = ("m", "M")
"""NumPy's kinds of times and time spans: as numbers they would count nanoseconds."""

OF_TIME = ("datetime", "timedelta", "period", "date", "duration", "time")
"""How the names of the types of times begin in pandas, pyarrow and polars."""


def real_kind(array: np.ndarray, what: str) -> None:
    """Raise an InputError where ``array`` holds complex numbers, dates or times: NumPy would cast them in silence."""
    if array.dtype.kind == "c":
        raise InputError(f"{what} holds complex numbers; give real ones")
    dated = array.dtype.kind in TIMES
    if dated or (array.dtype == object and any(isinstance(x, np.datetime64 | np.timedelta64) for x in array.flat)):
        raise InputError(f"{what} holds dates or times; turn them into numbers of a unit you choose, or leave them out")


def dated_column(X: Any) -> tuple[Any, Any] | None:
    """Return name and type of the first column of times, dates or time spans of a data frame; None if it has none."""
    for name, dtype in zip(getattr(X, "columns", ()), getattr(X, "dtypes", ()), strict=False):
        if getattr(dtype, "kind", None) in TIMES or str(dtype).lower().startswith(OF_TIME):
            return name, dtype
    return None


def real(given: Any, what: str) -> np.ndarray:
    """Return ``given`` as float64, whatever its shape; ``what`` names it where it holds no real numbers."""
    try:
        array = np.asarray(given)
        real_kind(array, what)
        return array.astype(np.float64)
    except InputError:
        raise
    except (TypeError, ValueError) as err:
        raise InputError(f"{what} cannot be read as numbers ({err})") from err


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


def one_alpha(given: Any) -> float:
    """Return a single alpha, a positive, finite number."""
    if given is None or isinstance(given, str | bytes) or np.ndim(given):
        raise InputError(
            f"alpha is {given!r}; give one positive number here (a path, or an estimator with CV, takes several)"
        )
    return float(falling_alphas(given)[0])


def falling_alphas(given: ArrayLike) -> np.ndarray:
    """Return one alpha or several as a falling grid ``(A,)`` of positive, finite numbers."""
    grid = np.atleast_1d(real(given, "alphas"))
    if grid.ndim != 1 or grid.size == 0:
        what = "empty" if grid.size == 0 else f"a table of shape {grid.shape}"
        raise InputError(f"alphas is {what}; give at least one positive number, and a list where there are several")
    grid = np.sort(grid)[::-1]
    good = np.isfinite(grid) & (grid > 0)
    if not good.all():
        raise InputError(
            f"alpha is {grid[np.argmin(good)]}; give positive, finite numbers (alpha → 0 is an unpenalised model)"
        )
    return grid


def sample_weights(given: ArrayLike | None, n: int) -> np.ndarray:
    """Return the weights of ``n`` samples, ``(n,)``, as they were given; ones for None; one number is for all."""
    if given is None:
        return np.ones(n)
    weights = real(given, "sample_weight")
    weights = np.full(n, float(weights)) if weights.ndim == 0 else weights
    if weights.shape != (n,):
        raise InputError(f"sample_weight has shape {weights.shape}, and X has {n} samples; give one weight for each")
    if not (np.isfinite(weights).all() and (weights >= 0).all() and (weights > 0).any()):
        raise InputError("sample_weight must be finite, not negative, and not all zero")
    return weights
