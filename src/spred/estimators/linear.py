"""The linear estimators of numbers and classes: one alpha, or alpha chosen by cross-validation on a path.

Each is a procedure, scaling included; :func:`spred.solve` and :func:`spred.path` state the objectives alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from numpy.typing import ArrayLike
from sklearn.model_selection import BaseCrossValidator

from spred._defaults import CV_TOL, EPS, MAX_ITER, MAX_SECONDS, N_ALPHAS, TOL
from spred.estimators.base import Classification, Regression
from spred.estimators.cross_validation import Rule, Split
from spred.estimators.linear_base import CrossValidated, OneAlpha


class SparseRegressor(Regression, OneAlpha):
    """Scales the columns, then minimises ``1/(2n)‖y − Xv − b‖² + α Σ_g ω_g (ρ‖v_g‖ + (1−ρ)/2 ‖v_g‖²)`` exactly.

    A procedure (``standardize=True``) for the objective of :func:`spred.solve`: regression with an L1, elastic-net or
    group penalty, every feature its own group by default; with Huber's loss, or Poisson's and a logarithmic link, in
    the place of the squared one too.

    Args:
        alpha: penalty strength, in the units of ``y`` where features are standardised.
        loss: ``"squared"``; ``"huber"`` for numbers with outliers; ``"poisson"`` for counts or rates.
        delta: where Huber's loss turns from squared to absolute, in units of ``y``; by default 1.345 times the
            median absolute deviation of ``y``, scaled to be the standard deviation of Gaussian numbers.
        l1_ratio: ρ in (0, 1]; 1 is the Lasso, below 1 an elastic net.
        within_ratio: κ in [0, 1], with ``feature_groups``: the fraction of single features in the penalty of groups
            (the sparse-group Lasso); 0 is the group Lasso, 1 the Lasso.
        positive: whether coefficients must not be negative: of all penalised features, or a boolean for each feature.
        feature_groups: a label for each feature; features of one label enter and leave together.
        penalty_weights: ω for each feature (or group, in sorted order of the labels); 0 leaves it unpenalised.
        standardize: penalise the coefficients of columns scaled to unit variance; ``coef_`` is in original units.
        fit_intercept: add an unpenalised intercept.
        tol: duality gap to reach, relative to the null objective.
        max_iter: Newton steps at most for one alpha.
        max_seconds: wall time at most for the whole call.

    Attributes:
        coef_: ``(p,)``.
        intercept_: a number.
        certificate_: ``gap``, ``kkt``, ``primal``, ``dual``.
        delta_: Huber's transition that was used.
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
        loss: str = "squared",
        delta: float | None = None,
        l1_ratio: float = 1.0,
        within_ratio: float = 0.0,
        positive: ArrayLike | bool = False,
        feature_groups: ArrayLike | None = None,
        penalty_weights: ArrayLike | None = None,
        standardize: bool = True,
        fit_intercept: bool = True,
        tol: float = TOL,
        max_iter: int = MAX_ITER,
        max_seconds: float = MAX_SECONDS,
    ) -> None:
        self.alpha = alpha
        self.loss = loss
        self.delta = delta
        self.l1_ratio = l1_ratio
        self.within_ratio = within_ratio
        self.positive = positive
        self.feature_groups = feature_groups
        self.penalty_weights = penalty_weights
        self.standardize = standardize
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter
        self.max_seconds = max_seconds


class SparseClassifier(Classification, OneAlpha):
    """Scales the columns, then minimises the mean log-loss plus ``α Σ_g ω_g (ρ‖v_g‖ + (1−ρ)/2 ‖v_g‖²)`` exactly.

    A procedure (``standardize=True``) for the objective of :func:`spred.solve`: logistic (two classes) or multinomial
    regression with an L1, elastic-net or group penalty. With more than two classes each feature's coefficients form a
    group over all classes, so a feature is in or out for all of them.

    Args:
        alpha: penalty strength.
        l1_ratio: ρ in (0, 1]; below 1 is an elastic net.
        within_ratio: κ in [0, 1], with ``feature_groups``: the fraction of single features in the penalty of groups
            (the sparse-group Lasso); 0 is the group Lasso, 1 the Lasso.
        positive: whether coefficients must not be negative: of all penalised features, or a boolean for each feature.
        feature_groups: a label for each feature; features of one label enter and leave together.
        penalty_weights: ω for each feature (or group, in sorted order of the labels); 0 leaves it unpenalised.
        class_weight: None, ``"balanced"`` or a dict from class to weight.
        standardize: penalise the coefficients of columns scaled to unit variance; ``coef_`` is in original units.
        fit_intercept: add an unpenalised intercept for each class.
        tol: duality gap to reach, relative to the null objective.
        max_iter: Newton steps at most for one alpha.
        max_seconds: wall time at most for the whole call.

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
    >>> model = SparseClassifier(alpha=0.2).fit(X, ["low", "low", "high", "high"])
    >>> model.predict([[2.5, 0.5]]).tolist(), model.get_support().tolist()
    (['high'], [True, False])
    """

    def __init__(
        self,
        alpha: float = 0.01,
        *,
        l1_ratio: float = 1.0,
        within_ratio: float = 0.0,
        positive: ArrayLike | bool = False,
        feature_groups: ArrayLike | None = None,
        penalty_weights: ArrayLike | None = None,
        class_weight: dict[Any, float] | str | None = None,
        standardize: bool = True,
        fit_intercept: bool = True,
        tol: float = TOL,
        max_iter: int = MAX_ITER,
        max_seconds: float = MAX_SECONDS,
    ) -> None:
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.within_ratio = within_ratio
        self.positive = positive
        self.feature_groups = feature_groups
        self.penalty_weights = penalty_weights
        self.class_weight = class_weight
        self.standardize = standardize
        self.fit_intercept = fit_intercept
        self.tol = tol
        self.max_iter = max_iter
        self.max_seconds = max_seconds


class SparseRegressorCV(Regression, CrossValidated):
    """Minimises the objective of :class:`SparseRegressor` along a path, and chooses its alpha by cross-validation.

    A procedure: scaling and path are learned anew in each fold.

    Args:
        loss: see :class:`SparseRegressor`, as for all arguments not named here.
        delta: found once, on all samples, where it is not given.
        l1_ratio: ρ, or several to choose among, each with its own path, by held-out deviance.
        within_ratio: κ.
        positive: whether coefficients must not be negative.
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
        tol: duality gap to reach on the path, relative to the null objective.
        cv_tol: the same inside the folds.
        max_seconds: wall time at most for the whole call, path and folds.
        n_jobs: folds at a time, through joblib.
        random_state: shuffles the folds.

    Attributes:
        alpha_: the alpha chosen.
        l1_ratio_: the ratio chosen.
        path_: the path on all samples, a :class:`spred.linear.RegularizationPath`.
        curve_: held-out deviance along it, a :class:`~spred.estimators.cross_validation.Curve`.
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
        loss: str = "squared",
        delta: float | None = None,
        l1_ratio: float | Sequence[float] = 1.0,
        within_ratio: float = 0.0,
        positive: ArrayLike | bool = False,
        feature_groups: ArrayLike | None = None,
        penalty_weights: ArrayLike | None = None,
        alphas: ArrayLike | None = None,
        n_alphas: int = N_ALPHAS,
        eps: float = EPS,
        rule: Rule = "1se",
        cv: int | BaseCrossValidator | Iterable[Split] = 5,
        standardize: bool = True,
        fit_intercept: bool = True,
        tol: float = TOL,
        cv_tol: float = CV_TOL,
        max_seconds: float = MAX_SECONDS,
        n_jobs: int | None = None,
        random_state: int | None = 0,
    ) -> None:
        self.loss = loss
        self.delta = delta
        self.l1_ratio = l1_ratio
        self.within_ratio = within_ratio
        self.positive = positive
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
        self.max_seconds = max_seconds
        self.n_jobs = n_jobs
        self.random_state = random_state


class SparseClassifierCV(Classification, CrossValidated):
    """Minimises the objective of :class:`SparseClassifier` along a path, and chooses its alpha by cross-validation.

    A procedure: scaling and path are learned anew in each fold.

    Args:
        l1_ratio: ρ, or several to choose among, each with its own path, by held-out deviance; see
            :class:`SparseClassifier`, as for all arguments not named here.
        within_ratio: κ.
        positive: whether coefficients must not be negative.
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
        tol: duality gap to reach on the path, relative to the null objective.
        cv_tol: the same inside the folds.
        max_seconds: wall time at most for the whole call, path and folds.
        n_jobs: folds at a time, through joblib.
        random_state: shuffles the folds.

    Attributes:
        alpha_: the alpha chosen.
        l1_ratio_: the ratio chosen.
        path_: the path on all samples, a :class:`spred.linear.RegularizationPath`.
        curve_: held-out deviance along it, a :class:`~spred.estimators.cross_validation.Curve`.
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
        l1_ratio: float | Sequence[float] = 1.0,
        within_ratio: float = 0.0,
        positive: ArrayLike | bool = False,
        feature_groups: ArrayLike | None = None,
        penalty_weights: ArrayLike | None = None,
        class_weight: dict[Any, float] | str | None = None,
        alphas: ArrayLike | None = None,
        n_alphas: int = N_ALPHAS,
        eps: float = EPS,
        rule: Rule = "1se",
        cv: int | BaseCrossValidator | Iterable[Split] = 5,
        standardize: bool = True,
        fit_intercept: bool = True,
        tol: float = TOL,
        cv_tol: float = CV_TOL,
        max_seconds: float = MAX_SECONDS,
        n_jobs: int | None = None,
        random_state: int | None = 0,
    ) -> None:
        self.l1_ratio = l1_ratio
        self.within_ratio = within_ratio
        self.positive = positive
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
        self.max_seconds = max_seconds
        self.n_jobs = n_jobs
        self.random_state = random_state
