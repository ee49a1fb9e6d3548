"""The table of problems: small data that every method is tried on, judged by the oracles in ``oracles.py``.

A new loss adds rows here and no new test code: the tests run over :data:`PROBLEMS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from spred.core.losses import Loss, get_loss
from spred.core.risk_sets import RiskSets
from spred.core.targets import survival_target


@dataclass(frozen=True, eq=False)
class Problem:
    """Data of one problem.

    Attributes:
        name: the row of :data:`PROBLEMS`.
        X: ``(n, p)``, a NumPy array or a scipy CSC matrix.
        y: ``(n,)``: a number for squared and huber, 0 or 1 for logistic, a count for poisson, a class 0 … K − 1 for
            multinomial, a survival target for cox.
        loss: the name of the data term.
    """

    name: str
    X: np.ndarray | sparse.csc_array
    y: np.ndarray
    loss: str

    @property
    def data_term(self) -> Loss:
        return get_loss(self.loss)

    @cached_property
    def target(self) -> np.ndarray | RiskSets:
        """``y`` as the loss takes it: one-hot ``(n, K)`` for multinomial, risk sets for cox."""
        target = self.data_term.target
        return target.encode(target.read(self.y, len(self.y)))

    @property
    def weights(self) -> np.ndarray:
        """Equal sample weights, sum 1."""
        return np.full(len(self.y), 1.0 / len(self.y))

    @property
    def coef_shape(self) -> tuple[int, ...]:
        """``(p,)``, or ``(p, K)`` for multinomial: the shape that ``core`` works in."""
        return (self.X.shape[1], *self.predictor_shape[1:])

    @property
    def predictor_shape(self) -> tuple[int, ...]:
        """``(n,)``, or ``(n, K)`` for multinomial."""
        return self.target.shape if self.data_term.multi else (len(self.y),)


def _design(rng: np.random.Generator, n: int, p: int, correlation: float = 0.0) -> np.ndarray:
    """Gaussian columns of variance 1; neighbours correlate as in an autoregression of order 1."""
    X = rng.standard_normal((n, p))
    for j in range(1, p):
        X[:, j] = correlation * X[:, j - 1] + np.sqrt(1.0 - correlation**2) * X[:, j]
    return X


def _sparse_design(rng: np.random.Generator, n: int, p: int) -> sparse.csc_array:
    return sparse.csc_array(np.where(rng.random((n, p)) < 0.15, rng.standard_normal((n, p)), 0.0))


def _flawed_design(rng: np.random.Generator, n: int, p: int) -> np.ndarray:
    """Duplicate columns, a constant column and an empty one: the solution is not unique, its fit is."""
    X = _design(rng, n, p)
    X[:, 1], X[:, 2], X[:, 3] = X[:, 0], 1.0, 0.0
    return X


def _signal(rng: np.random.Generator, X: np.ndarray | sparse.csc_array, n_outputs: int = 1) -> np.ndarray:
    """A linear predictor ``(n, n_outputs)`` that five columns, spread over all, make."""
    coef = np.zeros((X.shape[1], n_outputs))
    active = np.linspace(0, X.shape[1] - 1, 5).astype(int)
    coef[active] = rng.choice([-1.0, 1.0], (5, n_outputs)) * rng.uniform(0.5, 1.5, (5, n_outputs))
    return X @ coef


def _squared(rng: np.random.Generator, X: np.ndarray) -> np.ndarray:
    return 2.0 + _signal(rng, X)[:, 0] + 0.5 * rng.standard_normal(X.shape[0])


def _logistic(rng: np.random.Generator, X: np.ndarray) -> np.ndarray:
    return (0.5 + _signal(rng, X)[:, 0] + rng.logistic(size=X.shape[0]) > 0).astype(float)


def _huber(rng: np.random.Generator, X: np.ndarray) -> np.ndarray:
    """Noise with tails so heavy that it has no mean."""
    return 2.0 + _signal(rng, X)[:, 0] + rng.standard_t(1.0, size=X.shape[0])


def _poisson(rng: np.random.Generator, X: np.ndarray) -> np.ndarray:
    return rng.poisson(np.exp(0.5 + 0.5 * _signal(rng, X)[:, 0])).astype(float)


def _cox(rng: np.random.Generator, X: np.ndarray) -> np.ndarray:
    """A third or so are censored; no two times are equal."""
    eta = _signal(rng, X)[:, 0]
    time, censored = rng.exponential(np.exp(-eta)), rng.exponential(2.0 * np.exp(-eta.mean()), size=len(eta))
    return survival_target(time <= censored, np.minimum(time, censored))


def _cox_tied(rng: np.random.Generator, X: np.ndarray) -> np.ndarray:
    """Times in a few visits, three strata of unequal size."""
    y = _cox(rng, X)
    visit = np.ceil(6.0 * np.argsort(np.argsort(y["time"])) / len(y))
    return survival_target(y["event"], visit, rng.choice(3, p=[0.6, 0.3, 0.1], size=len(y)))


def _multinomial(rng: np.random.Generator, X: np.ndarray, n_classes: int = 3) -> np.ndarray:
    return np.argmax(_signal(rng, X, n_classes) + rng.gumbel(size=(X.shape[0], n_classes)), axis=1)


_ROWS: tuple[tuple[str, Callable, Callable], ...] = (
    ("squared-tall", lambda rng: _design(rng, 60, 12), _squared),
    ("squared-wide", lambda rng: _design(rng, 40, 120), _squared),
    ("squared-correlated", lambda rng: _design(rng, 50, 30, correlation=0.9), _squared),
    ("squared-flawed", lambda rng: _flawed_design(rng, 30, 10), _squared),
    ("squared-sparse", lambda rng: _sparse_design(rng, 80, 40), _squared),
    ("logistic-tall", lambda rng: _design(rng, 80, 10), _logistic),
    ("logistic-wide", lambda rng: _design(rng, 40, 100, correlation=0.5), _logistic),
    ("logistic-sparse", lambda rng: _sparse_design(rng, 80, 40), _logistic),
    ("multinomial-tall", lambda rng: _design(rng, 90, 8), _multinomial),
    ("multinomial-wide", lambda rng: _design(rng, 45, 60), _multinomial),
    ("huber-tall", lambda rng: _design(rng, 60, 12), _huber),
    ("huber-wide", lambda rng: _design(rng, 40, 80), _huber),
    ("poisson-tall", lambda rng: _design(rng, 80, 10), _poisson),
    ("poisson-sparse", lambda rng: _sparse_design(rng, 60, 80), _poisson),
    ("cox-tall", lambda rng: _design(rng, 60, 8), _cox_tied),
    ("cox-wide", lambda rng: _design(rng, 50, 80), _cox),
    ("cox-efron-tall", lambda rng: _design(rng, 60, 8), _cox_tied),
)


def _make(seed: int, name: str, design: Callable, target: Callable) -> Problem:
    rng = np.random.default_rng(seed)
    X = design(rng)
    return Problem(name, X, target(rng, X), loss=name.rpartition("-")[0])


PROBLEMS: dict[str, Problem] = {row[0]: _make(seed, *row) for seed, row in enumerate(_ROWS)}
"""Every problem by name; the name begins with its loss."""
