"""Two ways to come to an alpha, for any target: it is given, or cross-validation chooses it on a path."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from spred.core.certificate import Certificate
from spred.estimators.base import Samples, SparseLinear
from spred.estimators.cross_validation import Curve, Split, check_rule, make_curve, make_folds, ratios_of
from spred.linear.path import path_of, solve_of
from spred.linear.results import RegularizationPath, Status
from spred.linear.solvers.outer import Limits
from spred.linear.target import read_offset

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
    """Fit a path on all samples, judge its alphas on held-out folds, keep the alpha that the rule names.

    Of several ``l1_ratio`` each has its path; the one whose named alpha has the lowest held-out deviance is kept.
    """

    alpha_: float
    l1_ratio_: float
    path_: RegularizationPath
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
        deadline = time.perf_counter() + self.max_seconds
        labels, classes = self._fold_labels(target)
        folds = make_folds(
            labels,
            classes=classes,
            groups=None if groups is None else np.asarray(groups),
            cv=self.cv,
            random_state=self.random_state,
        )
        samples = Samples(data, target, np.ones(len(target)) if weight is None else weight, known)
        walks = [self._judged(samples, weight, folds, ratio, deadline) for ratio in ratios_of(self.l1_ratio)]
        best = min(walks, key=lambda walk: walk.curve.mean[walk.curve.index])
        chosen = best.curve.index
        self.path_, self.scale_, self.curve_, self.l1_ratio_ = best.path, best.scale, best.curve, best.l1_ratio
        self.alpha_ = float(best.path.alphas[chosen])
        self._keep(best.path.coefs[chosen], best.path.intercepts[chosen], best.path.certificates[chosen])
        self._warn(*_ends(walk.path for walk in walks))
        self._warn(*_ends(inner for walk in walks for inner in walk.folds), "cv_tol")
        return self

    def _judged(
        self, samples: Samples, weight: np.ndarray | None, folds: list[Split], l1_ratio: float, deadline: float
    ) -> _Walk:
        """Return the path of all samples at one ratio, and its curve from the folds."""
        loss = self._loss_name()
        problem = self._problem(samples.X, samples.target, weight, loss, samples.offset, l1_ratio)
        limits = Limits(self.tol, deadline=deadline)
        path = path_of(problem, alphas=self.alphas, n_alphas=self.n_alphas, eps=self.eps, limits=limits)
        held_out = Parallel(n_jobs=self.n_jobs)(
            delayed(_held_out)(self, samples, split, path.alphas, loss, l1_ratio, deadline - time.perf_counter())
            for split in folds
        )
        deviances, ends = zip(*held_out, strict=True)
        curve = make_curve(path.alphas, np.column_stack(deviances), path.n_nonzero, self.rule)
        return _Walk(l1_ratio, path, curve, problem.design.scale, ends)

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


@dataclass(frozen=True, eq=False)
class _Ends:
    """How far the alphas of a path came."""

    certificates: Sequence[Certificate]
    statuses: Sequence[Status]


@dataclass(frozen=True, eq=False)
class _Walk:
    """A path of all samples at one ratio, its curve, the scales of the columns, and how far its folds came."""

    l1_ratio: float
    path: RegularizationPath
    curve: Curve
    scale: np.ndarray
    folds: Sequence[_Ends]


def _ends(paths: Iterable[RegularizationPath | _Ends]) -> tuple[list[Certificate], list[Status]]:
    listed = list(paths)
    return [c for path in listed for c in path.certificates], [s for path in listed for s in path.statuses]


def _held_out(
    estimator: CrossValidated,
    samples: Samples,
    split: Split,
    alphas: np.ndarray,
    loss: str,
    l1_ratio: float,
    max_seconds: float,
) -> tuple[np.ndarray, _Ends]:
    """Return the mean deviance ``(A,)`` of the test part for models of the training part, and how far these came."""
    train = samples.take(split[0])
    inside = estimator._problem(train.X, train.target, train.weight, loss, train.offset, l1_ratio)
    limits = Limits(estimator.cv_tol, deadline=time.perf_counter() + max_seconds)
    path = path_of(inside, alphas=alphas, limits=limits)
    return estimator._deviances(samples, split, path), _Ends(path.certificates, path.statuses)
