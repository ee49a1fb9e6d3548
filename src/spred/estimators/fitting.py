"""Two ways to come to an alpha, for any target: it is given, or cross-validation chooses it on a path."""

from __future__ import annotations

import time
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Self

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from spred.core.certificate import Certificate
from spred.estimators.base import Samples, SparseLinear
from spred.estimators.selection import Curve, Split, check_rule, make_curve, make_folds
from spred.exact.newton import Limits
from spred.exact.path import path_of, solve_of
from spred.exact.solution import Path, Status
from spred.exact.target import read_offset

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class OneAlpha(SparseLinear):
    """Fit at the alpha that was given."""

    n_iter_: int

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
        self._calibrate(target, known)
        problem = self._problem(data, target, weight, self._loss_name(), known)
        solution = solve_of(
            problem, float(self.alpha), Limits(self.tol, self.max_iter, time.perf_counter() + self.max_seconds)
        )
        self._keep(solution.coef, solution.intercept, solution.certificate)
        self._warn([solution.certificate], [solution.status])
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
        offset: ArrayLike | None = None,
    ) -> Self:
        """Fit to ``X`` (n, p) and ``y`` (n,); samples with one label in ``groups`` stay in one fold.

        ``offset`` (n,) is a known part of each sample's linear predictor, of held-out ones too.
        """
        check_rule(self.rule)
        data, target, weight = self._read(X, y, sample_weight)
        known = read_offset(offset, len(target))
        self._calibrate(target, known)
        loss = self._loss_name()
        problem = self._problem(data, target, weight, loss, known)
        limits = Limits(self.tol, deadline=time.perf_counter() + self.max_seconds)
        labels, classes = self._fold_labels(target)
        folds = make_folds(
            labels,
            classes=classes,
            groups=None if groups is None else np.asarray(groups),
            cv=self.cv,
            random_state=self.random_state,
        )
        path = path_of(problem, alphas=self.alphas, n_alphas=self.n_alphas, eps=self.eps, limits=limits)
        samples = Samples(data, target, np.ones(len(target)) if weight is None else weight, known)
        held_out = Parallel(n_jobs=self.n_jobs)(
            delayed(_held_out)(self, samples, split, path.alphas, loss, limits.deadline - time.perf_counter())
            for split in folds
        )
        deviances, certificates, statuses = zip(*held_out, strict=True)
        self.path_ = path
        self.scale_ = problem.design.scale
        self.curve_ = make_curve(path.alphas, np.column_stack(deviances), path.n_nonzero, self.rule)
        chosen = self.curve_.index
        self.alpha_ = float(path.alphas[chosen])
        self._keep(path.coefs[chosen], path.intercepts[chosen], path.certificates[chosen])
        self._warn(path.certificates, path.statuses)
        self._warn(list(chain(*certificates)), list(chain(*statuses)), "cv_tol")
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
    samples: Samples,
    split: Split,
    alphas: np.ndarray,
    loss: str,
    max_seconds: float,
) -> tuple[np.ndarray, Sequence[Certificate], Sequence[Status]]:
    """Return the mean deviance ``(A,)`` of the test part for models of the training part, and how far these came."""
    train = samples.take(split[0])
    inside = estimator._problem(train.X, train.target, train.weight, loss, train.offset)
    limits = Limits(estimator.cv_tol, deadline=time.perf_counter() + max_seconds)
    path = path_of(inside, alphas=alphas, limits=limits)
    return estimator._deviances(samples, split, path), path.certificates, path.statuses
