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

from spred import _checks
from spred.core.losses import Loss, get_loss
from spred.core.partition import SINGLES, Axes, Labels, Partition
from spred.core.penalties import Penalty, soft
from spred.errors import InputError
from spred.linear.contrasts import contrasts, in_contrasts
from spred.linear.design import Design
from spred.linear.subproblem.cholesky import GramCache
from spred.linear.target import read_offset, take_in_offset

SMALLEST_SUM = 1e-290
"""Sum of sample weights from which they can be divided by it without losing digits."""

LARGEST_INDEX = 2**31
"""Entries and rows up to which the indices of a sparse matrix are 32 bits wide."""

BLOCK = 1024
"""Columns that are checked at a time for numbers that are not finite: few calls, and little memory."""


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
        """Return ‖x_g‖ for every group of a ``(p, K)`` array, ``(G,)``.

        The same as :func:`spred.core.partition.norms`, whose sums over a short axis take ten times as long for rows of
        two entries; the tests hold both together.
        """
        flat = x.reshape(-1)
        if self.singles:
            return np.asarray(np.abs(flat))
        return np.asarray(np.sqrt(np.bincount(self.labels, weights=flat * flat, minlength=len(self.weights))))

    def members(self, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the coordinates of ``groups``, group after group, and where each group starts."""
        if self.singles:
            return groups, np.arange(len(groups))
        pieces = [self._order[self._starts[g] : self._starts[g + 1]] for g in groups]
        sizes = np.array([len(piece) for piece in pieces], dtype=int)
        return np.concatenate([np.empty(0, dtype=int), *pieces]), np.cumsum(sizes) - sizes


@dataclass(frozen=True, eq=False)
class Problem:
    """``min_{v,b} L(v, b) + Ω(v)`` but for alpha: everything that a whole path shares. It pickles.

    Attributes:
        loss: the data term, as a function of what the coefficients make.
        design: the data matrix.
        y: target as the loss takes it.
        s: sample weights, sum 1.
        groups: what the penalty sees.
        l1_ratio: ρ.
        fit_intercept: whether there is one.
        positive: ``(p,)``, features whose coefficients must not be negative; none that is free.
        within_ratio: κ, the fraction of single coordinates in the penalty of groups.
        names: those of the columns, ``(p,)``, where they have any.
        basis: contrasts ``(K, K − 1)`` that the classes are written in, where they are (:mod:`spred.linear.contrasts`).
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
    names: np.ndarray | None = None

    @property
    def n_outputs(self) -> int:
        """Columns of the coefficients: 1, the number of classes, or one less in contrasts."""
        if self.basis is not None:
            return int(self.basis.shape[1])
        return int(self.y.shape[1]) if self.loss.multi else 1

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

    def excess_at_zero(self, grad: np.ndarray, level: float) -> np.ndarray:
        """Return by how much the gradient of each group exceeds the threshold of a zero group at ``level = αρ``,
        ``(G,)``.

        ``‖soft(−g_g, κ·level)‖ − (1 − κ)·level·ω_g``; ``grad`` is that of the loss, ``(p, K)``. Where it is positive
        it is the KKT residual of core's penalty at zero; where it is negative, screening needs it.
        """
        groups, left = self.groups, -grad
        if self.within_ratio > 0:
            penalised = (groups.weights > 0)[groups.labels].reshape(grad.shape)
            left = soft(left, np.where(penalised, self.within_ratio * level, 0.0))
        if self.positive.any():
            left = np.where(self.positive[:, None] & (left < 0), 0.0, left)
        return groups.norms(left) - (1.0 - self.within_ratio) * level * groups.weights

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


@dataclass(frozen=True, eq=False, kw_only=True)
class ProblemOptions:
    """What a problem is beside its data; :func:`spred.solve` explains each.

    Attributes:
        loss: a row of the table of losses, or a :class:`~spred.core.losses.Loss`.
        l1_ratio: ρ in [0, 1]; 0 is a ridge.
        within_ratio: κ.
        positive: whether coefficients must not be negative: of all penalised features, or a boolean for each.
        penalty_weights: ω of each feature, or of each group.
        feature_groups: a label for each feature.
        row_sparse: whether a feature is in or out for all classes together.
        standardize: whether columns are scaled to unit variance.
        fit_intercept: whether there is an unpenalised intercept.
        sample_weight: ``(n,)``.
        offset: a known part of each sample's linear predictor, ``(n,)``.
        names: those of the columns; by default a data frame's own.
    """

    loss: str | Loss
    l1_ratio: float = 1.0
    within_ratio: float = 0.0
    positive: object = False
    penalty_weights: object = None
    feature_groups: object = None
    row_sparse: bool = True
    standardize: bool = False
    fit_intercept: bool = True
    sample_weight: Any = None
    offset: object = None
    names: Any = None


def make_problem(X: object, y: object, **options: Any) -> Problem:
    """Check the input and build the :class:`Problem`; ``options`` are those of :class:`ProblemOptions`.

    Raises:
        InputError: with the first thing that is wrong.
    """
    asked = ProblemOptions(**options)
    matrix, names = read_matrix(X), names_of(X) if asked.names is None else np.asarray(asked.names)
    loss, matrix, target, s = _samples(asked, matrix, y)
    fit_intercept = asked.fit_intercept and loss.intercept
    k, basis = 1, None
    if loss.multi:
        k = target.shape[1]
        if asked.row_sparse or asked.feature_groups is not None:
            basis = contrasts(k)
            loss, k = in_contrasts(loss, basis), k - 1
    l1_ratio, p = _checks.l1_ratio(asked.l1_ratio, ridge=True), matrix.shape[1]
    groups = _groups(p, k, asked.penalty_weights, asked.feature_groups, asked.row_sparse)
    free = np.unique(groups.members(np.flatnonzero(groups.weights == 0))[0] // k)
    shifts = fit_intercept or not loss.intercept
    design = Design(matrix, s, center=fit_intercept, scale=asked.standardize, free=free, shifts=shifts)
    if not design.in_range:
        check_finite(matrix, names)
        raise InputError(
            "X has numbers whose squares are beyond the range of float64 (above 1e150, or a column below 1e-140); "
            "divide its columns by their scale"
        )
    return Problem(
        loss=loss,
        design=design,
        y=target,
        s=s,
        groups=groups,
        l1_ratio=l1_ratio,
        fit_intercept=fit_intercept,
        positive=_positive(asked.positive, groups, p, basis is not None),
        within_ratio=_within(asked.within_ratio, asked.feature_groups is not None, loss),
        basis=basis,
        names=names,
    )


def _samples(asked: ProblemOptions, matrix: Any, y: object) -> tuple[Loss, Any, Any, np.ndarray]:
    """Return loss, rows, target and weights (sum 1) of the samples whose weight is positive, the offset taken in."""
    loss, n = get_loss(asked.loss), matrix.shape[0]
    s = _checks.sample_weights(asked.sample_weight, n)
    with np.errstate(over="ignore"):
        total = s.sum()
    s = s / total if SMALLEST_SUM < total < np.inf else s / s.max() / (s / s.max()).sum()
    target, offset = loss.target.read(y, n), read_offset(asked.offset, n)
    keep = s > 0
    if not keep.all():
        matrix, target, s, offset = matrix[keep], target[keep], s[keep], offset[keep]
    loss, target = take_in_offset(loss, loss.target.encode(target), offset)
    return loss, matrix, target, s


def read_matrix(X: Any) -> np.ndarray | sparse.csc_array:
    """Return ``X`` as numbers; float32 and float64 arrays, memory maps too, are left as they are."""
    if (dated := _checks.dated_column(X)) is not None:
        raise InputError(
            f"column {dated[0]!r} of X holds dates or times; turn it into numbers of a unit you choose, or drop it"
        )
    try:
        matrix = _compressed(X) if sparse.issparse(X) else np.asarray(X)
        _checks.real_kind(matrix, "X")
        if matrix.dtype not in (np.float32, np.float64):
            matrix = matrix.astype(np.float64)
    except (TypeError, ValueError) as err:
        if isinstance(err, InputError):
            raise
        raise InputError(f"X cannot be read as numbers ({err}); encode text columns first") from err
    if matrix.ndim != 2:
        raise InputError(f"X has {matrix.ndim} dimension(s); give a table (n samples, p features)")
    if 0 in matrix.shape:
        raise InputError(f"X is empty, shape {matrix.shape}; give at least one sample and one feature")
    return matrix


def _compressed(X: Any) -> sparse.csc_array:
    """Return a sparse matrix of any format in compressed columns, in order, its indices checked."""
    if X.dtype.kind in "cmM":  # refused by the caller
        return sparse.csc_array(X)
    matrix = sparse.csc_array(X, dtype=np.float64)
    try:
        matrix.check_format(full_check=True)  # compiled loops take what it says without a further look
    except ValueError as err:
        raise InputError(
            f"X is a sparse matrix that contradicts itself ({err}); build it anew from its entries"
        ) from err
    if not matrix.has_canonical_format:
        matrix = matrix.copy()
        matrix.sum_duplicates()
    if matrix.indices.dtype != np.int32 and max(matrix.nnz, matrix.shape[0]) < LARGEST_INDEX:
        parts = matrix.data, matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32)
        matrix = sparse.csc_array(parts, shape=matrix.shape)  # loops are compiled for each type of index
    return matrix


def names_of(X: object) -> np.ndarray | None:
    """Return the names of the columns of a data frame, ``(p,)``; None for what has no names."""
    columns = getattr(X, "columns", None)
    return None if columns is None else np.asarray(columns)


def check_finite(matrix: Any, names: Any = None) -> None:
    """Raise an InputError that names the first column of ``matrix`` with NaN or infinity, if there is one."""
    if (column := _first_bad_column(matrix)) is not None:
        name = column if names is None else repr(names[column])
        raise InputError(f"X has NaN or infinity in column {name}; fill or drop it")


def _first_bad_column(matrix: Any) -> int | None:
    """Return the first column with a value that is not finite; one cheap sum decides the usual case."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(matrix.sum()):
            return None
    if sparse.issparse(matrix):
        bad = np.flatnonzero(~np.isfinite(matrix.data))
        return int(np.searchsorted(matrix.indptr, bad[0], side="right")) - 1 if bad.size else None
    for first in range(0, matrix.shape[1], BLOCK):  # a mask of all X would be a quarter of its size
        finite = np.isfinite(matrix[:, first : first + BLOCK]).all(axis=0)
        if not finite.all():
            return first + int(np.argmin(finite))
    return None


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
    weights = _checks.real(given, "penalty_weights")
    if weights.shape != (count,):
        raise InputError(f"penalty_weights has shape {weights.shape}, and there are {count} {what}s; give one each")
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise InputError("penalty_weights must be finite and not negative; 0 leaves a feature unpenalised")
    return weights
