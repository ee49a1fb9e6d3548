"""What a data set is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse


class Data(NamedTuple):
    """``X`` (n, p) in Fortran order with standardised columns, or CSC; ``y`` as in :class:`problem.Problem`."""

    X: np.ndarray | sparse.csc_matrix
    y: np.ndarray
    group_size: int = 1


def standardised(X: np.ndarray) -> np.ndarray:
    """Return ``X`` without its constant columns, the others with mean 0 and variance 1, in Fortran order."""
    X = X[:, X.std(axis=0) > 0]
    return np.asfortranarray((X - X.mean(axis=0)) / X.std(axis=0))
