"""What the network estimators share: a problem for the engine, a network that becomes attributes.

Everything that is learned from data (scaling, the adaptive weights of a dense start, the path) is learned anew in every
fold. The mixins of ``base`` know the target, as for the linear estimators.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted
from threadpoolctl import threadpool_limits

from spred._defaults import CV_KKT_TOL
from spred.core.losses import Loss, get_loss
from spred.errors import InputError, SpredWarning, did_you_mean
from spred.estimators.alpha_search import (
    KKT,
    Candidate,
    Reached,
    Searched,
    best_of,
    fold_result,
    search,
    together,
    warn_unless_reached,
)
from spred.estimators.base import Samples, SparseEstimator
from spred.estimators.cross_validation import Curve, Split, check_rule, ratios_of
from spred.estimators.inputs import check_table
from spred.estimators.repeats import distinct
from spred.gated import GatedProblem, NetworkPath, PathOptions, network_path
from spred.gated.problem import Fitted
from spred.gated.products import LeftOver, left_over
from spred.gated.starts import STARTS
from spred.linear.problem import Problem, check_finite, make_problem
from spred.linear.results import Status
from spred.runtime.tasks import Arrays

Etas = Callable[[np.ndarray], Iterable[np.ndarray]]
"""The predictors of some samples, one for each alpha."""

SCORES_TOL = CV_KKT_TOL
"""KKT residual over alpha of the paths of :meth:`GatedNetwork._selection_scores`, at least: gates are only ranked."""


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


class GatedNetwork(SparseEstimator):
    """A linear branch and an MLP behind one gate for each input; the path and cross-validation choose the gates."""

    path_: NetworkPath
    curve_: Curve
    start_: str
    l1_ratio_: float
    network_: Fitted
    left_over_: LeftOver | None

    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None, groups: ArrayLike | None = None
    ) -> Self:
        """Fit to ``X`` (n, p), dense, sparse or a data frame, and ``y``; samples of one group stay in one fold."""
        check_rule(self.rule)
        starts, ratios = self._starts(), ratios_of(self.l1_ratio)
        data, target, weight = self._read(X, y, sample_weight)
        whole = self._assemble(data, target, weight)
        samples = Samples(data, target, weight, offset=np.zeros(len(target)))
        no_choice = self.alphas is not None and len(starts) * len(ratios) * np.size(self.alphas) == 1
        folds = [] if no_choice else self._folds(target, groups, weight)

        def of(starts: Iterable[str], before: int) -> list[Searched[NetworkPath]]:
            choices = [self._options(start, ratio) for start in starts for ratio in ratios]
            candidates = [self._candidate(whole, samples, options) for options in choices]
            return search(candidates, folds, rule=self.rule, n_jobs=self.n_jobs, before=before)

        found = of(starts, 0)
        self.left_over_ = None
        if self.start == "auto":
            self.left_over_ = self._left_over(whole, best_of(found, self.rule))
            if self.left_over_.found and folds:
                starts = STARTS[:2]
                found += of(("dense",), len(found))
            elif self.left_over_.found:
                self._warn_of(self.left_over_)
        self._choose(whole, found, starts)
        return self

    def _choose(self, whole: Assembled, found: list[Searched[NetworkPath]], starts: Iterable[str]) -> None:
        """Keep the best of what was found, of each start and of all; warn of what was not reached."""
        of_start = {start: best_of((one for one in found if one.path.start == start), self.rule) for start in starts}
        best = best_of(of_start.values(), self.rule)
        self.curves_ = {start: one.curve for start, one in of_start.items()}
        self.path_, self.curve_ = best.path, best.curve
        self.start_, self.l1_ratio_ = best.path.start, best.path.l1_ratio
        self._keep(whole, self.curve_.index)
        warn_unless_reached(together(_reached(one.path) for one in found), KKT, "kkt_tol", self.kkt_tol)
        warn_unless_reached(together(one.folds for one in found), KKT, "cv_kkt_tol", self.cv_kkt_tol)

    def _starts(self) -> tuple[str, ...]:
        """Return the starts to try in any case, or raise with the nearest name."""
        if self.start not in (*STARTS, "both", "auto"):
            known = "'auto', 'sparse', 'dense' or 'both'"
            raise InputError(f"start is {self.start!r}{did_you_mean(self.start, STARTS)}; use {known}")
        return {"both": STARTS, "auto": STARTS[:1]}.get(self.start, (self.start,))

    def _left_over(self, whole: Assembled, sparse: Searched[NetworkPath]) -> LeftOver:
        """Return the product of inputs that the network of the lowest held-out deviance leaves over most."""
        index = sparse.curve.index_min
        return left_over(whole.problem, sparse.path.networks[index], sparse.path.inputs[index])

    def _warn_of(self, product: LeftOver) -> None:
        """Say that what is left over goes along with a product, where there are no folds to choose another start by."""
        names = getattr(self, "feature_names_in_", None)
        a, b = (j if names is None else repr(names[j]) for j in product.inputs)
        what = f"the square of input {a}" if a == b else f"the product of inputs {a} and {b}"
        warnings.warn(
            f"what this network leaves over goes along with {what}, which gates that open one by one do not see; "
            "give start='dense'",
            SpredWarning,
            stacklevel=3,
        )

    def _candidate(self, whole: Assembled, samples: Samples, options: PathOptions) -> Candidate[NetworkPath]:
        """Return what the search asks for at one start and one ratio of L1."""
        return Candidate(
            path=partial(_path, whole.problem, options, self.alphas),
            fold=partial(_fold, self, samples, replace(options, kkt_tol=self.cv_kkt_tol)),
            inputs=(*self._fold_inputs(samples), options),
        )

    def _keep(self, whole: Assembled, index: int) -> None:
        """Store the network that was chosen."""
        path, problem = self.path_, whole.problem
        self.alpha_, self.kkt_ = float(path.alphas[index]), float(path.kkts[index])
        self.n_iter_ = max(int(path.n_iter.sum()), 1)
        self.network_ = problem.fitted(path.models[index], path.inputs[index])
        self._shift, self._unit, self._basis = whole.shift, whole.unit, whole.basis
        self._describe(problem)

    def _describe(self, problem: GatedProblem) -> None:
        """Store what is known of each of the p inputs: in use or not, gate, entry, slope."""
        fitted, path, p = self.network_, self.path_, problem.design.p
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
        slopes = fitted.mean_slopes(problem.design.X, problem.s)
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
            kkt_tol=self.kkt_tol,
            max_iter=self.max_iter,
            seed=self.random_state,
            refit=self.refit,
        )

    def _assemble(self, X: Any, target: np.ndarray, weight: np.ndarray) -> Assembled:
        """Return the engine's problem for these samples."""
        kept = weight > 0
        X, target, weight = (X, target, weight) if kept.all() else (X[kept], target[kept], weight[kept])
        if self._counts_weights():
            X, target, weight = distinct(X, target, weight)
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

    def _counts_weights(self) -> bool:
        """Return whether a sample of weight 2 is the sample twice, to the objective."""
        return True

    def _scaled(self, target: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the target as the engine gets it, its shift and its unit: as it is, for classes, counts and times."""
        return target, np.zeros(1), np.ones(1)

    def _selection_scores(
        self, X: Any, target: np.ndarray, weight: np.ndarray | None, n_alphas: int, eps: float
    ) -> np.ndarray:
        """Return the norm of each gate at the end of a rough path, ``(p,)``, for stability selection."""
        whole = self._assemble(X, target, np.ones(len(target)) if weight is None else weight)
        start = self._starts()[0]
        options = self._options(start, self.l1_ratio)
        options = replace(options, n_alphas=n_alphas, eps=eps, kkt_tol=max(self.kkt_tol, SCORES_TOL), refit=False)
        return np.asarray(gate_sizes(_path(whole.problem, options, None), X.shape[1])[-1])

    def _deviances(
        self, inside: Assembled, target: np.ndarray, weight: np.ndarray, split: Split, etas: Etas
    ) -> np.ndarray:
        """Return the mean deviance ``(A,)`` of the test part; ``etas(rows)`` gives the predictors of some samples."""
        kept = split[1][weight[split[1]] > 0]
        parts = weight[kept] / weight[kept].sum()
        loss = inside.problem.loss
        if inside.basis is not None:
            truth = np.eye(len(inside.basis))[target[kept].astype(int)]
        else:
            truth = (target[kept].reshape(len(kept), -1) - inside.shift) / inside.unit
            truth = truth if loss.multi else truth[:, 0]
        values = [float(loss.value(eta if loss.multi else eta[:, 0], truth, parts)) for eta in etas(kept)]
        return np.asarray(2.0 * float(np.mean(inside.unit**2)) * np.array(values))

    def _data_term(self, unit: np.ndarray) -> Loss:
        """Return the loss for a target in these units."""
        return get_loss(self._loss_name())

    def _predictor(self, X: ArrayLike) -> np.ndarray:
        """Return the predictor of new samples, ``(n,)`` or ``(n, K)``, in the units of the target."""
        check_is_fitted(self)
        X = check_table(self, X, reset=False, accept_sparse=["csr", "csc"])
        check_finite(X, getattr(self, "feature_names_in_", None))
        eta = self.network_.eta(X)
        if self._basis is not None:
            eta = eta @ self._basis.T
        eta = self._shift + self._unit * eta
        return np.asarray(eta if eta.shape[1] > 1 else eta[:, 0])

    def _get_support_mask(self) -> np.ndarray:
        check_is_fitted(self)
        return np.asarray(self._in_use)


def gated(linear: Problem, activation: str) -> GatedProblem:
    """Return the engine's problem for the data, loss and groups of a linear one; groups of weight 0 are unpenalised."""
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
    """Solve along one path with one BLAS thread: the matrices are small."""
    with threadpool_limits(limits=1, user_api="blas"):
        return network_path(problem, options, alphas=alphas)


def _reached(path: NetworkPath) -> Reached:
    worst = np.maximum(path.kkts, path.refit_residuals) if path.refits else path.kkts
    return Reached(worst, [Status.CONVERGED if value <= path.kkt_tol else Status.ITERATIONS for value in worst])


def _fold(estimator: GatedNetwork, samples: Samples, options: PathOptions, split: Split, alphas: np.ndarray) -> Arrays:
    """Fit the training part of a split at these alphas, and judge the networks by the test part."""
    train = samples.take(split[0])
    inside = estimator._assemble(train.X, train.target, train.weight)
    path = _path(inside.problem, options, alphas)
    fitted = [inside.problem.fitted(*pair) for pair in zip(path.models, path.inputs, strict=True)]
    deviances = estimator._deviances(
        inside, samples.target, samples.weight, split, lambda rows: (each.eta(samples.X[rows]) for each in fitted)
    )
    return fold_result(deviances, _reached(path))


def gate_sizes(path: NetworkPath, p: int) -> np.ndarray:
    """Return the norm of what leaves each of p inputs, ``(A, p)``; 0 where its gate is zero."""
    sizes = np.zeros((len(path.alphas), p))
    for row, inputs, network in zip(sizes, path.inputs, path.networks, strict=True):
        row[inputs] = np.linalg.norm(network.first, axis=1)
    return sizes
