"""What the linear estimators share: a problem for the exact engine, a solution that becomes attributes.

There are two ways to come to an alpha, for any target: it is given (``OneAlpha``), or cross-validation chooses it on a
path (``CrossValidated``).
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from spred.core.certificate import Certificate
from spred.core.losses import Loss, get_loss
from spred.estimators.alpha_search import (
    GAP,
    Candidate,
    Reached,
    best_of,
    fold_result,
    search,
    together,
    warn_unless_reached,
)
from spred.estimators.base import Samples, SparseEstimator, predictor
from spred.estimators.cross_validation import Curve, Split, check_rule, ratios_of
from spred.estimators.inputs import check_table
from spred.linear.path import path_of, solve_of
from spred.linear.problem import Problem, check_finite, make_problem
from spred.linear.results import RegularizationPath
from spred.linear.solvers.outer import Limits, full_gradient
from spred.linear.target import read_offset
from spred.runtime.tasks import Arrays

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCORES_TOL = 1e-3
"""Relative duality gap of the paths of :meth:`SparseLinear._selection_scores`: the order of the features needs no more
(``python benchmarks/stability.py`` counts what is found)."""


class SparseLinear(SparseEstimator):
    """A linear model whose penalty selects features."""

    coef_: np.ndarray
    intercept_: Any
    certificate_: Certificate

    def _problem(
        self,
        X: np.ndarray,
        target: np.ndarray,
        weight: np.ndarray | None,
        offset: np.ndarray | None = None,
        l1_ratio: float | None = None,
    ) -> Problem:
        """Return the engine's problem with this estimator's penalty, at one of its ratios where it has several."""
        return make_problem(
            X,
            target,
            loss=self._loss(self._loss_name()),
            l1_ratio=self.l1_ratio if l1_ratio is None else l1_ratio,
            within_ratio=self.within_ratio,
            positive=self.positive,
            penalty_weights=self.penalty_weights,
            feature_groups=self.feature_groups,
            standardize=self.standardize,
            fit_intercept=self.fit_intercept,
            sample_weight=weight,
            offset=offset,
            names=getattr(self, "feature_names_in_", None),
        )

    def _keep(self, coef: np.ndarray, intercept: Any, certificate: Certificate) -> None:
        """Store a solution."""
        self.coef_, self.intercept_ = self._shaped(coef, intercept)
        self.certificate_ = certificate

    def _predictor(self, X: ArrayLike) -> np.ndarray:
        """Return the linear predictor of new samples, ``(n,)`` or ``(n, K)``."""
        check_is_fitted(self)
        X = check_table(self, X, reset=False, accept_sparse=["csr", "csc"])
        check_finite(X, getattr(self, "feature_names_in_", None))
        return predictor(X, self.coef_, self.intercept_)

    def _loss(self, name: str) -> Loss:
        """Return the loss called ``name`` with this estimator's options."""
        return get_loss(name)

    def _calibrate(self, target: np.ndarray, offset: np.ndarray, weight: np.ndarray) -> None:
        """Find what the loss takes from the spread of the target beyond its offset: nothing here."""

    def _selection_scores(
        self, X: Any, target: np.ndarray, weight: np.ndarray | None, n_alphas: int, eps: float
    ) -> np.ndarray:
        """Return a score of each feature at the end of a rough path, ``(p,)``, for stability selection.

        It is the size of the standardised coefficient, plus the norm of the gradient over the feature's penalty weight:
        for a feature of the model that is alpha, for another one less. For squared loss it is the debiased Lasso of
        uncorrelated columns, ``|v_j + x_jᵀr/n|``.
        """
        problem = self._problem(X, target, weight)
        path = path_of(problem, n_alphas=n_alphas, eps=eps, limits=Limits(tol=SCORES_TOL))
        eta = predictor(problem.design.given[:, path.features], path.values[-1], path.intercepts[-1])
        descent = -full_gradient(problem, eta if problem.basis is None else eta @ problem.basis)
        descent[problem.positive & (descent[:, 0] < 0)] = 0.0
        weights = problem.groups.weights[problem.groups.labels].reshape(descent.shape)[:, 0]
        scores: np.ndarray = np.divide(
            np.linalg.norm(descent, axis=1), weights, out=np.zeros(len(descent)), where=weights > 0
        )
        sizes = np.linalg.norm(np.atleast_2d(path.values[-1]), axis=0)
        scores[path.features] += sizes * problem.design.scale[path.features]
        return scores

    def _deviances(self, data: Samples, split: Split, path: RegularizationPath) -> np.ndarray:
        """Return the mean deviance ``(A,)`` of the test part for each model of ``path``."""
        loss = self._loss(self._loss_name())
        test = data.take(split[1][data.weight[split[1]] > 0])
        truth = np.eye(path.values.shape[1])[test.target.astype(int)] if loss.multi else test.target
        weight = test.weight / test.weight.sum()
        return np.array([2.0 * float(loss.value(eta, truth, weight)) for eta in test.predictors(path)])

    def _get_support_mask(self) -> np.ndarray:
        check_is_fitted(self)
        return np.asarray(np.atleast_2d(self.coef_).any(axis=0))


class OneAlpha(SparseLinear):
    """Fit at the alpha that was given."""

    n_iter_: int

    _min_samples = 1

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        offset: ArrayLike | None = None,
    ) -> Self:
        """Fit to ``X`` (n, p), dense, sparse or a data frame, and ``y`` (n,); a weight of 2 is the row twice.

        ``offset`` (n,) is a known part of each sample's linear predictor: for counts the logarithm of the exposure.
        """
        data, target, weight = self._read(X, y, sample_weight)
        known = read_offset(offset, len(target))
        self._calibrate(target, known, weight)
        problem = self._problem(data, target, weight, known)
        limits = Limits(self.tol, self.max_iter, time.perf_counter() + self.max_seconds)
        solution = solve_of(problem, self.alpha, limits)
        self._keep(solution.coef, solution.intercept, solution.certificate)
        warn_unless_reached(Reached(np.array([solution.gap]), [solution.status]), GAP, "tol", self.tol)
        self.n_iter_ = max(solution.n_iter, 1)
        return self


class CrossValidated(SparseLinear):
    """Fit a path on all samples, judge its alphas on held-out folds, keep the alpha that the rule names.

    Of several ``l1_ratio`` each has its path; the one whose curve has the lowest held-out deviance is kept.
    """

    alpha_: float
    l1_ratio_: float
    path_: RegularizationPath
    curve_: Curve
    scale_: np.ndarray

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        offset: ArrayLike | None = None,
    ) -> Self:
        """Fit to ``X`` (n, p) and ``y`` (n,); samples with one label in ``groups`` stay in one fold.

        ``offset`` (n,) is a known part of each sample's linear predictor, of held-out ones too.
        """
        check_rule(self.rule)
        data, target, weight = self._read(X, y, sample_weight)
        known = read_offset(offset, len(target))
        self._calibrate(target, known, weight)
        samples = Samples(data, target, weight, known)
        folds, ratios = self._folds(target, groups, weight), ratios_of(self.l1_ratio)
        problems = [self._problem(data, target, weight, known, ratio) for ratio in ratios]
        end = time.time() + self.max_seconds  # of day, as folds may be fitted in other processes
        candidates = [self._candidate(problem, samples, end) for problem in problems]
        found = search(candidates, folds, rule=self.rule, n_jobs=self.n_jobs)
        best = best_of(found, self.rule)
        self.path_, self.curve_, self.l1_ratio_ = best.path, best.curve, ratios[found.index(best)]
        self.scale_ = problems[0].design.scale
        chosen = best.curve.index
        self.alpha_ = float(best.path.alphas[chosen])
        self._keep(best.path.coefs[chosen], best.path.intercepts[chosen], best.path.certificates[chosen])
        warn_unless_reached(together(_reached(one.path) for one in found), GAP, "tol", self.tol)
        warn_unless_reached(together(one.folds for one in found), GAP, "cv_tol", self.cv_tol)
        return self

    def _candidate(self, problem: Problem, samples: Samples, end: float) -> Candidate[RegularizationPath]:
        """Return what the search asks for at one ratio of L1."""
        limits = self._limits(self.tol, end)
        return Candidate(
            path=partial(path_of, problem, alphas=self.alphas, n_alphas=self.n_alphas, eps=self.eps, limits=limits),
            fold=partial(_fold, self, samples, problem.l1_ratio, end),
            inputs=(*self._fold_inputs(samples), problem.l1_ratio),
        )

    def _limits(self, tol: float, end: float) -> Limits:
        """Return when a path stops at the latest, ``end`` being a time of day."""
        return Limits(tol, deadline=time.perf_counter() + end - time.time())

    def plot_path(self) -> Figure:
        """Return a Matplotlib figure of the coefficients (for classes, their norms) along the path.

        They are those of the scaled columns where ``standardize=True``. ``figure.savefig("path.png")`` writes it.
        """
        from spred.report.plots import path_plot

        check_is_fitted(self)
        coefs = self.path_.coefs.reshape(len(self.path_.alphas), -1, len(self.scale_)) * self.scale_
        sizes = coefs[:, 0] if coefs.shape[1] == 1 else np.linalg.norm(coefs, axis=1)
        ever = np.flatnonzero(sizes.any(axis=0))
        names = getattr(self, "feature_names_in_", None)
        figure = path_plot(
            self.path_.alphas,
            sizes[:, ever],
            [f"x{j}" if names is None else str(names[j]) for j in ever],
            chosen=self.alpha_,
        )
        if not self.standardize:
            figure.axes[0].set_ylabel("coefficient")
        return figure

    def plot_curve(self) -> Figure:
        """Return a Matplotlib figure of the held-out deviance along the path, with what the rules would choose."""
        from spred.report.plots import curve_plot

        check_is_fitted(self)
        curve = self.curve_
        marks = {"chosen": curve.index, "lowest": curve.index_min, "one standard error": curve.index_1se}
        return curve_plot(
            curve.alphas,
            curve.mean,
            curve.se,
            curve.n_nonzero,
            marks={name: float(curve.alphas[index]) for name, index in marks.items()},
        )


def _reached(path: RegularizationPath) -> Reached:
    return Reached(path.gaps, path.statuses)


def _fold(
    estimator: CrossValidated, samples: Samples, l1_ratio: float, end: float, split: Split, alphas: np.ndarray
) -> Arrays:
    """Fit the training part of a split at these alphas, and judge the models by the test part."""
    train = samples.take(split[0])
    inside = estimator._problem(train.X, train.target, train.weight, train.offset, l1_ratio)
    path = path_of(inside, alphas=alphas, limits=estimator._limits(estimator.cv_tol, end))
    return fold_result(estimator._deviances(samples, split, path), _reached(path))
