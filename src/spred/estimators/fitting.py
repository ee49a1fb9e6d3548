"""Two ways to come to an alpha, for any target: it is given, or cross-validation chooses it on a path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from spred.estimators.base import SparseLinear
from spred.estimators.selection import Curve, Split, check_rule, make_curve, make_folds
from spred.exact.newton import Limits
from spred.exact.path import path_of, solve_of
from spred.exact.solution import Path

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class OneAlpha(SparseLinear):
    """Fit at the alpha that was given."""

    n_iter_: int

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Fit to ``X`` (n, p), dense, sparse or a data frame, and ``y`` (n,); a weight of 2 is the row twice."""
        data, target, weight = self._read(X, y, sample_weight)
        problem = self._problem(data, target, weight, self._loss_name())
        solution = solve_of(problem, float(self.alpha), Limits(self.tol, self.max_iter))
        self._keep(solution.coef, solution.intercept, solution.certificate, solution.status)
        self.n_iter_ = max(solution.n_iter, 1)
        return self


class CrossValidated(SparseLinear):
    """Fit a path on all samples, judge its alphas on held-out folds, keep the alpha that the rule names."""

    alpha_: float
    path_: Path
    curve_: Curve
    scale_: np.ndarray

    _min_samples = 2

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Fit to ``X`` (n, p) and ``y`` (n,); samples with one label in ``groups`` stay in one fold."""
        check_rule(self.rule)
        data, target, weight = self._read(X, y, sample_weight)
        loss = self._loss_name()
        problem = self._problem(data, target, weight, loss)
        labels, classes = self._fold_labels(target)
        folds = make_folds(
            labels,
            classes=classes,
            groups=None if groups is None else np.asarray(groups),
            cv=self.cv,
            random_state=self.random_state,
        )
        path = path_of(problem, alphas=self.alphas, n_alphas=self.n_alphas, eps=self.eps, limits=Limits(self.tol))
        weight = np.ones(len(target)) if weight is None else weight
        deviances = Parallel(n_jobs=self.n_jobs)(
            delayed(_held_out)(self, data, target, weight, split, path.alphas, loss) for split in folds
        )
        self.path_ = path
        self.scale_ = problem.design.scale
        self.curve_ = make_curve(path.alphas, np.column_stack(deviances), path.n_nonzero, self.rule)
        chosen = self.curve_.index
        self.alpha_ = float(path.alphas[chosen])
        self._keep(path.coefs[chosen], path.intercepts[chosen], path.certificates[chosen], path.statuses[chosen])
        return self

    def plot_path(self) -> Figure:
        """Return a Matplotlib figure of the coefficients (for classes, their norms) along the path.

        They are those of the scaled columns where ``standardize=True``. ``figure.savefig("path.png")`` writes it.
        """
        from spred.output.plots import path_plot

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
        from spred.output.plots import curve_plot

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


def _held_out(
    estimator: CrossValidated,
    X: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    split: Split,
    alphas: np.ndarray,
    loss: str,
) -> np.ndarray:
    """Return the mean deviance ``(A,)`` of the test part for models of the training part; all fitting is inside."""
    inside = estimator._problem(X[split[0]], target[split[0]], weight[split[0]], loss)
    path = path_of(inside, alphas=alphas, limits=Limits(estimator.cv_tol))
    return estimator._deviances(X, target, weight, split, path)
