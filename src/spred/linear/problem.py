"""One linear problem, checked and made ready: loss, targets, weights, design, groups.

Coefficients live in an array ``(p, K)``, K = 1 for one output. Its entries are *coordinates*, numbered row by row;
groups of coordinates are what the penalty sees: single entries, rows (one feature for all classes) or feature groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from spred.core.losses import Loss, get_loss, with_offset
from spred.core.partition import SINGLES, Axes, Labels, Partition
from spred.core.penalties import Penalty, soft
from spred.errors import InputError
from spred.linear.contrasts import contrasts, in_contrasts
from spred.linear.design import Design
from spred.linear.subproblem.cholesky import GramCache
from spred.linear.target import final_target, read_offset, read_target


@dataclass(frozen=True, eq=False)
class Groups:
    """Groups of the coordinates of a ``(p, K)`` array.

    Attributes:
        labels: ``(p·K,)``, the group of each coordinate.
        weights: ``(G,)``, ω of each group, 0 for free ones.
        partition: the same groups for the functions of ``core``.
        gate_shape: shape of ω there.
    """

    labels: np.ndarray
    weights: np.ndarray
    partition: Partition
    gate_shape: tuple[int, ...]

    @cached_property
    def singles(self) -> bool:
        """Whether every group is one coordinate."""
        return len(self.labels) == len(self.weights)

    @cached_property
    def _order(self) -> np.ndarray:
        return np.argsort(self.labels, kind="stable")

    @cached_property
    def _starts(self) -> np.ndarray:
        return np.searchsorted(self.labels[self._order], np.arange(len(self.weights) + 1))

    def norms(self, x: np.ndarray) -> np.ndarray:
        """Return ‖x_g‖ for every group of a ``(p, K)`` array, ``(G,)``."""
        flat = x.reshape(-1)
        if self.singles:
            return np.abs(flat)
        return np.sqrt(np.bincount(self.labels, weights=flat * flat, minlength=len(self.weights)))

    def members(self, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the coordinates of ``groups``, group after group, and where each group starts."""
        if self.singles:
            return groups, np.arange(len(groups))
        pieces = [self._order[self._starts[g] : self._starts[g + 1]] for g in groups]
        sizes = np.array([len(piece) for piece in pieces], dtype=int)
        return np.concatenate([np.empty(0, dtype=int), *pieces]), np.cumsum(sizes) - sizes


@dataclass(frozen=True, eq=False)
class Problem:
    """``min_{v,b} L(v, b) + Ω(v)`` but for alpha: everything that a whole path shares.

    Attributes:
        loss: the data term, as a function of what the coefficients make.
        design: the data matrix.
        y: target in the form that the loss wants.
        s: sample weights, sum 1.
        groups: what the penalty sees.
        l1_ratio: ρ.
        fit_intercept: whether there is one.
        positive: ``(p,)``, features whose coefficients must not be negative; none that is free.
        within_ratio: κ, the share of single coordinates in the penalty of groups.
        basis: contrasts ``(K, K − 1)`` that the classes are written in, where they are (see ``simplex``).
    """

    loss: Loss
    design: Design
    y: Any
    s: np.ndarray
    groups: Groups
    l1_ratio: float
    fit_intercept: bool
    positive: np.ndarray
    within_ratio: float = 0.0
    basis: np.ndarray | None = None

    @property
    def n_outputs(self) -> int:
        """Columns of the coefficients: 1, the number of classes, or one less in contrasts."""
        if self.basis is not None:
            return self.basis.shape[1]
        return self.y.shape[1] if self.loss.multi else 1

    @cached_property
    def gram(self) -> GramCache:
        """Inner products of columns, shared by all alphas (of use where the curvature is constant)."""
        return GramCache(self.design.p, self.s)

    def penalty(self, alpha: float) -> Penalty:
        """Return Ω at ``alpha``, for arrays ``(p, K)``."""
        weights = self.groups.weights.reshape(self.groups.gate_shape)
        return Penalty(
            alpha,
            self.l1_ratio,
            weights,
            self.groups.partition,
            within_ratio=self.within_ratio,
            positive=self.positive[:, None] if self.positive.any() else False,
        )

    def leaving(self, grad: np.ndarray, level: float) -> np.ndarray:
        """Return by how much the pull on each group at zero exceeds what holds it there at ``level = αρ``, ``(G,)``.

        ``‖soft(−g_g, κ·level)‖ − (1 − κ)·level·ω_g``; ``grad`` is that of the loss, ``(p, K)``.
        """
        groups, pull = self.groups, -grad
        if self.within_ratio > 0:
            penalised = (groups.weights > 0)[groups.labels].reshape(grad.shape)
            pull = soft(pull, np.where(penalised, self.within_ratio * level, 0.0))
        if self.positive.any():
            pull = np.where(self.positive[:, None] & (pull < 0), 0.0, pull)
        return groups.norms(pull) - (1.0 - self.within_ratio) * level * groups.weights

    def eta(self, v: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return the linear predictor in the shape of ``y``."""
        features = np.flatnonzero(v.any(axis=1))
        return self.as_target(self.design.columns(features) @ v[features] + b)

    def as_target(self, eta: np.ndarray) -> np.ndarray:
        """Turn ``(n, K)`` into the shape of ``y``."""
        return eta if self.loss.multi else eta[:, 0]

    def as_matrix(self, theta: np.ndarray) -> np.ndarray:
        """Turn an array in the shape of ``y`` into ``(n, K)``."""
        return theta if self.loss.multi else theta[:, None]


def make_problem(
    X: object,
    y: object,
    *,
    loss: str | Loss,
    l1_ratio: float = 1.0,
    within_ratio: float = 0.0,
    positive: object = False,
    penalty_weights: object = None,
    feature_groups: object = None,
    row_sparse: bool = True,
    standardize: bool = False,
    fit_intercept: bool = True,
    sample_weight: object = None,
    offset: object = None,
    names: object = None,
) -> Problem:
    """Check the input and build the :class:`Problem`; see :func:`spred.solve` for the arguments.

    ``offset`` is a known part of each sample's linear predictor, ``(n,)``. ``names`` are those of the columns, for
    messages; by default a data frame's own.

    Raises:
        InputError: with the first thing that is wrong.
    """
    kind = get_loss(loss)
    matrix = _matrix(X)
    n, p = matrix.shape
    s = _weights(sample_weight, n)
    target, added = read_target(kind, y, n), read_offset(offset, n)
    keep = s > 0
    if not keep.all():
        matrix, target, s, added = matrix[keep], target[keep], s[keep], added[keep]
    kind, target = _moved(kind, final_target(kind, target), added)
    fit_intercept = fit_intercept and kind.intercept
    k, basis = 1, None
    if kind.multi:
        k = target.shape[1]
        if row_sparse or feature_groups is not None:
            basis = contrasts(k)
            kind, k = in_contrasts(kind, basis), k - 1
    if np.ndim(l1_ratio):
        raise InputError(f"l1_ratio is {l1_ratio}; give one number here, cross-validation alone chooses among several")
    if not 0 <= l1_ratio <= 1:
        raise InputError(f"l1_ratio is {l1_ratio}; give a number from 0 (a ridge) to 1 (no ridge)")
    groups = _groups(p, k, penalty_weights, feature_groups, row_sparse)
    design = Design(matrix, s, center=fit_intercept, scale=standardize)
    if not design.finite:
        check_finite(matrix, getattr(X, "columns", None) if names is None else names)
        raise InputError("X has sums beyond the range of float64; divide its columns by their scale")
    return Problem(
        loss=kind,
        design=design,
        y=target,
        s=s,
        groups=groups,
        l1_ratio=float(l1_ratio),
        fit_intercept=fit_intercept,
        positive=_positive(positive, groups, p, basis is not None),
        within_ratio=_within(within_ratio, feature_groups is not None, kind),
        basis=basis,
    )


def _matrix(X: Any) -> np.ndarray | sparse.csc_array:
    """Return ``X`` as numbers; float32 and float64 arrays, memory maps too, are left as they are."""
    try:
        matrix = sparse.csc_array(X, dtype=np.float64) if sparse.issparse(X) else np.asarray(X)
        if matrix.dtype not in (np.float32, np.float64):
            matrix = matrix.astype(np.float64)
    except (TypeError, ValueError) as err:
        raise InputError(f"X cannot be read as numbers ({err}); encode text columns first") from err
    if matrix.ndim != 2:
        raise InputError(f"X has {matrix.ndim} dimension(s); give a table (n samples, p features)")
    if 0 in matrix.shape:
        raise InputError(f"X is empty, shape {matrix.shape}; give at least one sample and one feature")
    return matrix


def check_finite(matrix: Any, names: Any = None) -> None:
    """Raise an InputError that names the first column of ``matrix`` with NaN or infinity, if there is one."""
    if (column := _first_bad_column(matrix)) is not None:
        name = column if names is None else repr(names[column])
        raise InputError(f"X has NaN or infinity in column {name}; fill or drop it")


def _first_bad_column(matrix: Any) -> int | None:
    """Return the first column with a value that is not finite; one cheap sum settles the usual case."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(matrix.sum()):
            return None
    if sparse.issparse(matrix):
        bad = np.flatnonzero(~np.isfinite(matrix.data))
        return int(np.searchsorted(matrix.indptr, bad[0], side="right")) - 1 if bad.size else None
    for first in range(0, matrix.shape[1], 1024):  # blocks: a mask of all X would be a quarter of its size
        finite = np.isfinite(matrix[:, first : first + 1024]).all(axis=0)
        if not finite.all():
            return first + int(np.argmin(finite))
    return None


def _weights(sample_weight: object, n: int) -> np.ndarray:
    if sample_weight is None:
        return np.full(n, 1.0 / n)
    s = np.asarray(sample_weight, dtype=np.float64)
    if s.shape != (n,):
        raise InputError(f"sample_weight has shape {s.shape}, and X has {n} samples; give one weight for each")
    if not (np.isfinite(s).all() and (s >= 0).all() and s.sum() > 0):
        raise InputError("sample_weight must be finite, not negative, and not all zero")
    return s / s.sum()


def _moved(loss: Loss, target: Any, offset: np.ndarray) -> tuple[Loss, Any]:
    """Take the offset into the target where the loss sees only their difference, else into the loss."""
    if not offset.any():
        return loss, target
    return (loss, target - offset) if loss.name in ("squared", "huber") else (with_offset(loss, offset), target)


def _groups(p: int, k: int, penalty_weights: object, feature_groups: object, row_sparse: bool) -> Groups:
    coordinates = p * k
    if feature_groups is not None:
        labels = np.asarray(feature_groups)
        if labels.shape != (p,):
            raise InputError(f"feature_groups has shape {labels.shape}, and X has {p} features; give one label each")
        names, codes = np.unique(labels, return_inverse=True)
        flat = np.repeat(codes, k)
        default = np.sqrt(np.bincount(codes))
        weights = _feature_weights(penalty_weights, len(names), default, "group")
        return Groups(flat, weights, Labels(flat.reshape(p, k), len(names)), (len(names),))
    weights = _feature_weights(penalty_weights, p, np.ones(p), "feature")
    if k > 1 and row_sparse:
        return Groups(np.repeat(np.arange(p), k), weights, Axes((0,)), (p, 1))
    return Groups(np.arange(coordinates), np.repeat(weights, k), SINGLES, (p, k))


def _positive(given: object, groups: Groups, p: int, in_contrasts: bool) -> np.ndarray:
    """Return which features must not be negative; by True those that are penalised."""
    mask = np.asarray(given)
    if mask.dtype != bool or mask.shape not in ((), (p,)):
        raise InputError(f"positive is neither True nor False nor a boolean for each of the {p} features")
    free = (groups.weights[groups.labels] == 0).reshape(p, -1).any(axis=1)
    positive = mask & ~free if mask.ndim == 0 else mask
    if (positive & free).any():
        column = int(np.argmax(positive & free))
        raise InputError(f"positive holds for feature {column}, which is unpenalised; give it a penalty weight above 0")
    if in_contrasts and positive.any():
        raise InputError(
            "positive does not go with rows of several classes, which sum to zero; "
            "set row_sparse=False, or give two classes"
        )
    return positive


def _within(ratio: float, grouped: bool, loss: Loss) -> float:
    if not 0 <= ratio <= 1:
        raise InputError(f"within_ratio is {ratio}; give a number from 0 (group Lasso) to 1 (Lasso)")
    if ratio > 0 and not grouped:
        raise InputError("within_ratio is for groups of features; give feature_groups too, or leave it 0")
    if ratio > 0 and loss.multi:
        raise InputError("within_ratio is for one linear predictor; the multinomial loss has one for each class")
    return float(ratio)


def _feature_weights(given: object, count: int, default: np.ndarray, what: str) -> np.ndarray:
    if given is None:
        return default.astype(np.float64)
    weights = np.asarray(given, dtype=np.float64)
    if weights.shape != (count,):
        raise InputError(f"penalty_weights has shape {weights.shape}, and there are {count} {what}s; give one each")
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise InputError("penalty_weights must be finite and not negative; 0 leaves a feature unpenalised")
    return weights
