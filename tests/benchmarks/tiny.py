"""A problem of each work, small enough for brute force."""

from __future__ import annotations

import numpy as np
from datasets import Data
from problem import Problem
from scipy import sparse
from works import make_problem

N_SAMPLES, N_FEATURES = 12, 6


def tiny(work: str, *, as_sparse: bool = False) -> Problem:
    rng = np.random.default_rng(0)
    X = np.asfortranarray(rng.standard_normal((N_SAMPLES, N_FEATURES)))
    number = np.arange(N_SAMPLES)
    targets = {
        "lasso": X[:, 0] + rng.standard_normal(N_SAMPLES),
        "group-lasso": X[:, 0] - X[:, 1] + rng.standard_normal(N_SAMPLES),
        "logistic": number % 2.0,
        "multinomial": number % 3.0,
        "cox": np.column_stack([np.ceil(rng.exponential(3.0, N_SAMPLES)), number % 3 > 0]),  # with ties
    }
    data = Data(sparse.csc_matrix(X) if as_sparse else X, targets[work], 2 if work == "group-lasso" else 1)
    return make_problem(work, data, n_alphas=4, eps=0.2)
