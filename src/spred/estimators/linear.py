"""The linear estimators: one alpha, or alpha chosen by cross-validation on a path."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import ArrayLike
from sklearn.model_selection import BaseCrossValidator

from spred.core.losses import get_loss
from spred.estimators.base import Classification, Regression, SparseLinear
from spred.estimators.selection import Curve, Rule, Split, check_rule, make_curve, make_folds
from spred.exact.newton import Limits
from spred.exact.path import path_of, solve_of
from spred.exact.solution import Path


class _OneAlpha(SparseLinear):
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


class SparseRegressor(Regression, _OneAlpha):
    """Linear regression with an L1, elastic-net or group penalty, solved exactly.

    Minimises ``1/(2n)‖y − Xv − b‖² + α Σ_g ω_g (ρ‖v_g‖ + (1−ρ)/2 ‖v_g‖²)``, every feature its own group by default.

    Args:
        alpha: penalty strength, in the units of ``y`` where features are standardised.
        l1_ratio: ρ in (0, 1]; 1 is the Lasso, below 1 an elastic net.
        feature_groups: a label for each feature; features of one label enter and leave together.
        penalty_weights: ω for each feature (or group, in sorted order of the labels); 0 leaves it unpenalised.
        standardize: penalise the coefficients of columns scaled to unit variance; ``coef_`` is in original units.
        fit_intercept: add an unpenalised intercept.
        tol: duality gap to reach, relative to the null objective.
        max_iter: Newton steps at most.

    Attributes:
        coef_: ``(p,)``.
        intercept_: a number.
        certificate_: ``gap``, ``kkt``, ``primal``, ``dual``.
        n_iter_: Newton steps taken.
        n_features_in_, feature_names_in_: as everywhere in scikit-learn.

    Source: Ziyin and Wang, ICML 2023; docs/math.md, §1 to §4.

    >>> import numpy as np
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    >>> model = SparseRegressor(alpha=0.5, standardize=False).fit(X, X @ [3.0, 0.2])
    >>> model.coef_.round(6).tolist(), model.get_support().tolist()
    ([2.0, 0.0], [True, False])
    """

    def __init__(
        self,
        alpha: float = 0.01,
        *,
        l1_ratio: float = 1.0,
        feature_groups: ArrayLike | None = None,
        penalty_weights: ArrayLike | None = None,
        standardize: bool = True,
        fit_intercept: bool = True,
        tol: float = 1e-9,
        max_iter: int = 300,
    ) -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.feature_groups = feature_groups
        self.penalty_weights = penalty_weights
        self.standardize = standardize
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter


class SparseClassifier(Classification, _OneAlpha):
    """Logistic (two classes) or multinomial regression with an L1, elastic-net or group penalty, solved exactly.

    Minimises the mean log-loss plus ``α Σ_g ω_g (ρ‖v_g‖ + (1−ρ)/2 ‖v_g‖²)``. With more than two classes each
    feature's coefficients form a group over all classes, so a feature is in or out for all of them.

    Args:
        alpha: penalty strength.
        l1_ratio: ρ in (0, 1]; below 1 is an elastic net.
        feature_groups: a label for each feature; features of one label enter and leave together.
        penalty_weights: ω for each feature (or group, in sorted order of the labels); 0 leaves it unpenalised.
        class_weight: None, ``"balanced"`` or a dict from class to weight.
        standardize: penalise the coefficients of columns scaled to unit variance; ``coef_`` is in original units.
        fit_intercept: add an unpenalised intercept for each class.
        tol: duality gap to reach, relative to the null objective.
        max_iter: Newton steps at most.

    Attributes:
        classes_: class labels, sorted.
        coef_: ``(1, p)`` for two classes, else ``(K, p)``.
        intercept_: ``(1,)`` or ``(K,)``.
        certificate_: ``gap``, ``kkt``, ``primal``, ``dual``.
        n_iter_: Newton steps taken.
        n_features_in_, feature_names_in_: as everywhere in scikit-learn.

    Source: Ziyin and Wang, ICML 2023; docs/math.md, §1 to §4.

    >>> import numpy as np
    >>> X = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0], [3.0, 0.0]])
    >>> model = SparseClassifier(alpha=0.1).fit(X, ["low", "low", "high", "high"])
    >>> model.predict([[2.5, 0.5]]).tolist(), model.get_support().tolist()
    (['high'], [True, False])
    """

    def __init__(
        self,
        alpha: float = 0.01,
        *,
        l1_ratio: float = 1.0,
        feature_groups: ArrayLike | None = None,
        penalty_weights: ArrayLike | None = None,
        class_weight: dict | str | None = None,
        standardize: bool = True,
        fit_intercept: bool = True,
        tol: float = 1e-9,
        max_iter: int = 300,
    ) -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.feature_groups = feature_groups
        self.penalty_weights = penalty_weights
        self.class_weight = class_weight
        self.standardize = standardize
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter


class _CrossValidated(SparseLinear):
    """Fit a path on all samples, judge its alphas on held-out folds, keep the alpha that the rule names."""

    alpha_: float
    path_: Path
    curve_: Curve

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
        folds = make_folds(
            target,
            classes=self._classification,
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
        self.curve_ = make_curve(path.alphas, np.column_stack(deviances), path.n_nonzero, self.rule)
        chosen = self.curve_.index
        self.alpha_ = float(path.alphas[chosen])
        self._keep(path.coefs[chosen], path.intercepts[chosen], path.certificates[chosen], path.statuses[chosen])
        return self


def _held_out(
    estimator: _CrossValidated,
    X: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    split: Split,
    alphas: np.ndarray,
    loss: str,
) -> np.ndarray:
    """Return the mean deviance ``(A,)`` of the test part for models of the training part; all fitting is inside."""
    train, test = split
    inside = estimator._problem(X[train], target[train], weight[train], loss)
    path = path_of(inside, alphas=alphas, limits=Limits(estimator.cv_tol))
    kept = test[weight[test] > 0]
    share = weight[kept] / weight[kept].sum()
    deviance = get_loss(loss).value
    truth = np.eye(inside.y.shape[1])[target[kept].astype(int)] if inside.loss.multi else target[kept]
    return np.array(
        [
            2.0 * float(deviance(np.asarray(X[kept] @ coef.T) + intercept, truth, share))
            for coef, intercept in zip(path.coefs, path.intercepts, strict=True)
        ]
    )


class SparseRegressorCV(Regression, _CrossValidated):
    """:class:`SparseRegressor` with alpha chosen by cross-validation on one warm-started path.

    Args:
        l1_ratio: see :class:`SparseRegressor`, as for all arguments not named here.
        feature_groups: labels of the features.
        penalty_weights: ω.
        alphas: the grid; by default ``n_alphas`` values from the smallest alpha with no feature down to ``eps``
            times that, even in the logarithm.
        n_alphas: length of the automatic grid.
        eps: its last value over its first.
        rule: ``"1se"``, ``"min"``, or an integer: the best alpha with at most that many features.
        cv: number of folds, a splitter, or (train, test) pairs.
        standardize: inside each fold.
        fit_intercept: add an unpenalised intercept.
        tol: relative duality gap of the final path.
        cv_tol: relative duality gap inside the folds.
        n_jobs: folds at a time, through joblib.
        random_state: shuffles the folds.

    Attributes:
        alpha_: the alpha chosen.
        path_: the path on all samples, a :class:`spred.exact.Path`.
        curve_: held-out deviance along it, a :class:`~spred.estimators.selection.Curve`.
        coef_, intercept_, certificate_: of the model chosen, as in :class:`SparseRegressor`.

    Source: docs/math.md, §4; the one-standard-error rule is Breiman et al., 1984, §3.4.3.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(60, 20))
    >>> model = SparseRegressorCV(rule=2).fit(X, 3 * X[:, 0] - 2 * X[:, 1] + rng.normal(size=60))
    >>> np.flatnonzero(model.get_support()).tolist()
    [0, 1]
    """

    def __init__(
        self,
        *,
        l1_ratio: float = 1.0,
        feature_groups: ArrayLike | None = None,
        penalty_weights: ArrayLike | None = None,
        alphas: ArrayLike | None = None,
        n_alphas: int = 50,
        eps: float = 0.05,
        rule: Rule = "1se",
        cv: int | BaseCrossValidator | Iterable[Split] = 5,
        standardize: bool = True,
        fit_intercept: bool = True,
        tol: float = 1e-9,
        cv_tol: float = 1e-4,
        n_jobs: int | None = None,
        random_state: int | None = 0,
    ) -> None:
        self.l1_ratio = l1_ratio
        self.feature_groups = feature_groups
        self.penalty_weights = penalty_weights
        self.alphas = alphas
        self.n_alphas = n_alphas
        self.eps = eps
        self.rule = rule
        self.cv = cv
        self.standardize = standardize
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.cv_tol = cv_tol
        self.n_jobs = n_jobs
        self.random_state = random_state


class SparseClassifierCV(Classification, _CrossValidated):
    """:class:`SparseClassifier` with alpha chosen by cross-validation on one warm-started path.

    Args:
        l1_ratio: see :class:`SparseClassifier`, as for all arguments not named here.
        feature_groups: labels of the features.
        penalty_weights: ω.
        class_weight: None, ``"balanced"`` or a dict; it weighs the fit and the held-out deviance.
        alphas: see :class:`SparseRegressorCV`, as for the arguments below.
        n_alphas: length of the automatic grid.
        eps: its last value over its first.
        rule: ``"1se"``, ``"min"``, or an integer: the best alpha with at most that many features.
        cv: number of folds (stratified, lowered to the size of the smallest class), a splitter, or pairs.
        standardize: inside each fold.
        fit_intercept: add an unpenalised intercept.
        tol: relative duality gap of the final path.
        cv_tol: relative duality gap inside the folds.
        n_jobs: folds at a time, through joblib.
        random_state: shuffles the folds.

    Attributes:
        alpha_: the alpha chosen.
        path_: the path on all samples, a :class:`spred.exact.Path`.
        curve_: held-out deviance along it, a :class:`~spred.estimators.selection.Curve`.
        classes_, coef_, intercept_, certificate_: of the model chosen, as in :class:`SparseClassifier`.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(60, 20))
    >>> model = SparseClassifierCV(rule=1).fit(X, np.where(X[:, 3] > 0, "case", "control"))
    >>> np.flatnonzero(model.get_support()).tolist()
    [3]
    """

    def __init__(
        self,
        *,
        l1_ratio: float = 1.0,
        feature_groups: ArrayLike | None = None,
        penalty_weights: ArrayLike | None = None,
        class_weight: dict | str | None = None,
        alphas: ArrayLike | None = None,
        n_alphas: int = 50,
        eps: float = 0.05,
        rule: Rule = "1se",
        cv: int | BaseCrossValidator | Iterable[Split] = 5,
        standardize: bool = True,
        fit_intercept: bool = True,
        tol: float = 1e-9,
        cv_tol: float = 1e-4,
        n_jobs: int | None = None,
        random_state: int | None = 0,
    ) -> None:
        self.l1_ratio = l1_ratio
        self.feature_groups = feature_groups
        self.penalty_weights = penalty_weights
        self.class_weight = class_weight
        self.alphas = alphas
        self.n_alphas = n_alphas
        self.eps = eps
        self.rule = rule
        self.cv = cv
        self.standardize = standardize
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.cv_tol = cv_tol
        self.n_jobs = n_jobs
        self.random_state = random_state
