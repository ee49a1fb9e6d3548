"""Sparse counts as of words in documents, weighted as text usually is; a few dozen words tell two classes apart."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from datasets.data import Data

WORDS = 150
"""Words of an average document."""

TELLING = 40
"""Terms with an effect on the class."""


def text(seed: int, n: int = 10_000, p: int = 50_000) -> Data:
    """10,000 documents, 50,000 terms.

    Terms have Zipf's frequencies, lengths are log-normal. The weights are tf-idf with logarithmic counts, rows of
    length 1. Columns are neither centred, which would fill them, nor scaled, which would let the rarest words rule.
    """
    rng = np.random.default_rng(seed)
    frequency = 1.0 / (np.arange(p) + 5.0)
    lengths = rng.poisson(WORDS * rng.lognormal(-0.125, 0.5, n)) + 1
    drawn = rng.choice(p, lengths.sum(), p=frequency / frequency.sum())
    documents = np.repeat(np.arange(n), lengths)
    never = np.setdiff1d(np.arange(p), drawn)  # a term that fell nowhere gets one document
    rows, columns = np.r_[documents, rng.integers(n, size=len(never))], np.r_[drawn, never]
    X = sparse.csc_matrix((np.ones(len(rows)), (rows, columns)), shape=(n, p))
    X.data = (1.0 + np.log(X.data)) * np.repeat(np.log(n / np.diff(X.indptr)), np.diff(X.indptr))
    X = sparse.csc_matrix(sparse.diags(1.0 / np.maximum(np.sqrt(X.power(2).sum(axis=1).A1), 1e-12)) @ X)

    telling = np.geomspace(20, 2000, TELLING).astype(int)
    eta = X[:, telling] @ rng.choice([-1.0, 1.0], TELLING)
    eta = (eta - eta.mean()) / eta.std()
    return Data(X, (eta + 0.5 * rng.standard_normal(n) > 0).astype(float))
