"""What the network estimators share: a problem for the engine, paths in folds, the choice of a start and an alpha.

Everything that is learned from data (scaling, the adaptive weights of a dense start, the path) is learned anew in every
fold. The mixins of ``base`` know the target, as for the linear estimators.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils.validation import check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

from spred import _checks, errors
from spred.core.losses import Loss, get_loss
from spred.errors import InputError, did_you_mean
from spred.estimators.base import Samples, validated
from spred.estimators.cross_validation import Curve, Rule, Split, check_rule, make_curve, make_folds, ratios_of
from spred.gated import GatedProblem, NetworkPath, PathOptions, network_path
from spred.gated.problem import Fitted
from spred.linear.problem import Problem, make_problem

STARTS = ("sparse", "dense", "auto")

Etas = Callable[[np.ndarray], Iterable[np.ndarray]]
"""The predictors of some samples, one for each alpha."""

ROUGH = 0.03
"""KKT residual over alpha in the folds: held-out deviances need no more, and nothing of them is kept."""


@dataclass(frozen=True, eq=False)
class Walk:
    """A path of all samples, and its curve from the folds."""

    path: NetworkPath
    curve: Curve


@dataclass(frozen=True, eq=False)
class Assembled:
    """A problem for the engine, and how its predictor becomes that of the target.

    Attributes:
        problem: the engine's problem; its target is ``(y − shift)/unit``.
        shift, unit: ``(K,)`` each.
        basis: contrasts that the classes are written in, or None.
    """

    problem: GatedProblem
    shift: np.ndarray
    unit: np.ndarray
    basis: np.ndarray | None


class GatedNetwork(SelectorMixin, BaseEstimator):
    """A linear branch and an MLP behind one gate for each input; the path and cross-validation choose the gates."""

    path_: NetworkPath
    curve_: Curve
    start_: str
    l1_ratio_: float
    network_: Fitted

    _classification = False
    _multi_output = False
    _min_samples = 2

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        on_path: Callable[[int, int], None] | None = None,
    ) -> Self:
        """Fit to ``X`` (n, p), dense, sparse or a data frame, and ``y``; samples of one group stay in one fold.

        ``on_path`` is called with (paths done, paths in all): for each start and ratio one for all samples and one a
        fold.
        """
        check_rule(self.rule)
        starts, ratios = self._starts(), ratios_of(self.l1_ratio)
        data, target, weight = self._read(X, y, sample_weight)
        weight = _checks.sample_weights(weight, len(target))
        whole = self._assemble(data, target, weight)
        samples = Samples(data, target, weight, offset=np.zeros(len(target)))
        settled = self.alphas is not None and len(starts) * len(ratios) * np.size(self.alphas) == 1
        folds = [] if settled else self._folds(target, groups)
        count = Counter(on_path, len(starts) * len(ratios) * (len(folds) + 1))
        walks = {}
        for start in starts:
            tried = (self._walk(whole, samples, folds, self._options(start, ratio), count) for ratio in ratios)
            walks[start] = min(tried, key=lambda walk: _lowest(walk.curve, self.rule))
        best = min(walks.values(), key=lambda walk: _lowest(walk.curve, self.rule))
        self.curves_ = {start: walk.curve for start, walk in walks.items()}
        self.path_, self.curve_ = best.path, best.curve
        self.start_, self.l1_ratio_ = best.path.start, best.path.l1_ratio
        self._keep(whole, data, self.curve_.index)
        return self

    def _starts(self) -> tuple[str, ...]:
        """Return the starts to try, or raise with the nearest name."""
        if self.start not in STARTS:
            known = "'sparse', 'dense' or 'auto'"
            raise InputError(f"start is {self.start!r}{did_you_mean(self.start, STARTS)}; use {known}")
        return STARTS[:2] if self.start == "auto" else (self.start,)

    def _walk(
        self, whole: Assembled, samples: Samples, folds: list[Split], options: PathOptions, count: Counter
    ) -> Walk:
        """Return the path of all samples with these options, and its curve from the folds."""
        path = _path(whole.problem, options, self.alphas)
        count.one_more()
        tasks = (delayed(_held_out)(self, samples, split, options, path.alphas) for split in folds)
        deviances = []
        for each in Parallel(n_jobs=self.n_jobs, return_as="generator")(tasks):
            deviances.append(each)
            count.one_more()
        held_out = np.column_stack(deviances) if folds else np.zeros((len(path.alphas), 1))
        return Walk(path, make_curve(path.alphas, held_out, path.n_nonzero, self.rule))

    def _folds(self, target: np.ndarray, groups: ArrayLike | None) -> list[Split]:
        """Return the folds that choose a start, a ratio and an alpha."""
        labels, classes = self._fold_labels(target)
        return make_folds(
            labels,
            classes=classes,
            groups=None if groups is None else np.asarray(groups),
            cv=self.cv,
            random_state=self.random_state,
        )

    def _fold_labels(self, target: np.ndarray) -> tuple[np.ndarray, bool]:
        """Return what folds are made from, and whether they are stratified by it."""
        return target, self._classification

    def _keep(self, whole: Assembled, X: Any, index: int) -> None:
        """Store the network that was chosen; warn if the path is unfinished."""
        path, problem = self.path_, whole.problem
        self.alpha_, self.kkt_ = float(path.alphas[index]), float(path.kkts[index])
        self.n_iter_ = max(int(path.n_iter.sum()), 1)
        self.network_ = problem.fitted(path.models[index], path.inputs[index])
        self._shift, self._unit, self._basis = whole.shift, whole.unit, whole.basis
        self._describe(X, problem.design.p)
        if not path.converged:
            warnings.warn(
                f"the KKT residual is {path.worst:.1e} of alpha·l1_ratio at one alpha of the path, "
                f"above tol={self.tol:g}; allow more iterations, or a larger eps or tol",
                errors.ConvergenceWarning,
                stacklevel=3,
            )

    def _describe(self, X: Any, p: int) -> None:
        """Store what is told of each of the p inputs: in use or not, gate, entry, slope."""
        fitted, path = self.network_, self.path_
        used = np.concatenate([fitted.inputs, fitted.free_inputs])
        free = fitted.network.free[len(fitted.network.free) - len(fitted.free_inputs) :]
        self._in_use = np.isin(np.arange(p), used)
        self.feature_importances_ = np.zeros(p)
        sizes = [np.linalg.norm(rows, axis=1) for rows in (fitted.network.first, free)]
        self.feature_importances_[used] = np.concatenate(sizes)
        self.entry_alphas_ = np.zeros(p)
        for alpha, inputs in zip(path.alphas[::-1], path.inputs[::-1], strict=True):
            self.entry_alphas_[inputs] = alpha
        self.entry_alphas_[fitted.free_inputs] = np.inf
        slopes = fitted.mean_slopes(X)
        slopes = slopes if self._basis is None else self._basis @ slopes
        self.mean_slopes_ = np.zeros((len(slopes), p))
        self.mean_slopes_[:, used] = self._unit[:, None] * slopes

    def _options(self, start: str, l1_ratio: float) -> PathOptions:
        hidden = (self.hidden,) if isinstance(self.hidden, (int, np.integer)) else tuple(self.hidden)
        return PathOptions(
            hidden=hidden,
            linear=self.linear,
            start=start,
            n_alphas=self.n_alphas,
            eps=self.eps,
            l1_ratio=l1_ratio,
            kkt_tol=self.tol,
            max_iter=self.max_iter,
            seed=self.random_state,
            refit=self.refit,
        )

    def _validated(self, X: ArrayLike, y: ArrayLike, *, y_numeric: bool = False) -> tuple[Any, np.ndarray]:
        return validated(
            self, X, y, y_numeric=y_numeric, ensure_min_samples=self._min_samples, multi_output=self._multi_output
        )

    def _assemble(self, X: Any, target: np.ndarray, weight: np.ndarray) -> Assembled:
        """Return the engine's problem for these samples."""
        kept = weight > 0
        X, target, weight = (X, target, weight) if kept.all() else (X[kept], target[kept], weight[kept])
        scaled, shift, unit = self._scaled(target, weight)
        linear = make_problem(
            X,
            scaled if scaled.ndim == 1 else scaled[:, 0],
            loss=self._data_term(unit),
            penalty_weights=self.penalty_weights,
            feature_groups=self.feature_groups,
            standardize=self.standardize,
            sample_weight=weight,
            names=getattr(self, "feature_names_in_", None),
        )
        problem, several = gated(linear, self.activation), linear.loss.several
        if several is not None and scaled.ndim > 1 and scaled.shape[1] > 1:
            problem = replace(problem, loss=several, y=scaled, n_outputs=scaled.shape[1])
        return Assembled(problem, shift, unit, linear.basis)

    def _scaled(self, target: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the target as the engine gets it, its shift and its unit: as it is, for classes, counts and times."""
        return target, np.zeros(1), np.ones(1)

    def _wanted(self, X: Any, target: np.ndarray, weight: np.ndarray | None, n_alphas: int, eps: float) -> np.ndarray:
        """Return the norm of each gate at the end of a rough path, ``(p,)``, for stability selection."""
        whole = self._assemble(X, target, np.ones(len(target)) if weight is None else weight)
        start = "sparse" if self.start == "auto" else self.start
        options = self._options(start, self.l1_ratio)
        options = replace(options, n_alphas=n_alphas, eps=eps, kkt_tol=max(self.tol, ROUGH), refit=False)
        return gate_sizes(_path(whole.problem, options, None), X.shape[1])[-1]

    def _deviances(
        self, inside: Assembled, target: np.ndarray, weight: np.ndarray, split: Split, etas: Etas
    ) -> np.ndarray:
        """Return the mean deviance ``(A,)`` of the test part; ``etas(rows)`` gives the predictors of some samples."""
        kept = split[1][weight[split[1]] > 0]
        share = weight[kept] / weight[kept].sum()
        loss = inside.problem.loss
        if inside.basis is not None:
            truth = np.eye(len(inside.basis))[target[kept].astype(int)]
        else:
            truth = (target[kept].reshape(len(kept), -1) - inside.shift) / inside.unit
            truth = truth if loss.multi else truth[:, 0]
        values = [float(loss.value(eta if loss.multi else eta[:, 0], truth, share)) for eta in etas(kept)]
        return 2.0 * float(np.mean(inside.unit**2)) * np.array(values)

    def _data_term(self, unit: np.ndarray) -> Loss:
        """Return the loss for a target in these units."""
        return get_loss(self._loss_name())

    def _predictor(self, X: ArrayLike) -> np.ndarray:
        """Return the predictor of new samples, ``(n,)`` or ``(n, K)``, in the units of the target."""
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse=["csr", "csc"], dtype=[np.float64, np.float32], reset=False)
        eta = self.network_.eta(X)
        if self._basis is not None:
            eta = eta @ self._basis.T
        eta = self._shift + self._unit * eta
        return eta if eta.shape[1] > 1 else eta[:, 0]

    def _get_support_mask(self) -> np.ndarray:
        check_is_fitted(self)
        return self._in_use

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


@dataclass
class Counter:
    """Counts finished paths for whoever looks on."""

    on_path: Callable[[int, int], None] | None
    total: int
    done: int = 0

    def one_more(self) -> None:
        """Say that one more is done."""
        self.done += 1
        if self.on_path is not None:
            self.on_path(self.done, self.total)


def gated(linear: Problem, activation: str) -> GatedProblem:
    """Return the engine's problem for the data, loss and groups of a linear one; groups of weight 0 are set free."""
    free = linear.groups.weights == 0
    numbers = np.where(free, -1, np.cumsum(~free) - 1)
    first_output = linear.groups.labels.reshape(linear.design.p, -1)[:, 0]
    return GatedProblem(
        loss=linear.loss,
        design=linear.design,
        y=linear.y,
        s=linear.s,
        labels=numbers[first_output],
        weights=linear.groups.weights[~free],
        n_outputs=linear.n_outputs,
        intercept=linear.fit_intercept,
        activation=activation,
    )


def _path(problem: GatedProblem, options: PathOptions, alphas: ArrayLike | None) -> NetworkPath:
    """Follow one path with one BLAS thread: the matrices are small."""
    with threadpool_limits(limits=1, user_api="blas"):
        return network_path(problem, options, alphas=alphas)


def _held_out(
    estimator: GatedNetwork, samples: Samples, split: Split, options: PathOptions, alphas: np.ndarray
) -> np.ndarray:
    """Return the mean deviance ``(A,)`` of the test part for networks of the training part; all fitting is inside."""
    train = samples.take(split[0])
    inside = estimator._assemble(train.X, train.target, train.weight)
    path = _path(inside.problem, replace(options, kkt_tol=max(options.kkt_tol, ROUGH)), alphas)
    fitted = [inside.problem.fitted(*pair) for pair in zip(path.models, path.inputs, strict=True)]
    return estimator._deviances(
        inside, samples.target, samples.weight, split, lambda rows: (each.eta(samples.X[rows]) for each in fitted)
    )


def gate_sizes(path: NetworkPath, p: int) -> np.ndarray:
    """Return the norm of what leaves each of p inputs, ``(A, p)``; 0 where its gate is closed."""
    sizes = np.zeros((len(path.alphas), p))
    for row, inputs, network in zip(sizes, path.inputs, path.networks, strict=True):
        row[inputs] = np.linalg.norm(network.first, axis=1)
    return sizes


def _lowest(curve: Curve, rule: Rule) -> float:
    """Return the held-out deviance by which starts are compared: the lowest, or that of the best small model."""
    return float(curve.mean[curve.index if isinstance(rule, (int, np.integer)) else curve.index_min])
