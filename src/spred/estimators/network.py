"""Networks that select their inputs: for classes, for numbers, for survival times."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.model_selection import BaseCrossValidator

from spred._defaults import CV_KKT_TOL, KKT_TOL, MAX_ITER, NETWORK_EPS, NETWORK_N_ALPHAS
from spred.core.losses import Loss, get_loss
from spred.errors import InputError
from spred.estimators.base import Classification, Regression
from spred.estimators.cross_validation import Rule, Split
from spred.estimators.network_base import Assembled, Etas, GatedNetwork
from spred.estimators.survival import SurvivalTarget


class NetworkClassifier(Classification, GatedNetwork):
    """Minimises the mean log-loss of ``η = b + Xθ + A tanh(… tanh(XW + c))`` plus ``α Σ_j ω_j ‖(θ_j, W_j)‖``.

    A procedure: inputs are scaled (``standardize=True``), the objective is minimised along a path, alpha is chosen by
    cross-validation. A linear branch and an MLP share one gate for each input: its weights are one group, so an input
    is in, or exactly out, of both branches. Rows of the upper layers have norm 1. Every alpha of the path ends at a
    stationary point, with its KKT residual over all inputs.

    Args:
        hidden: width of each hidden layer; a number for one layer.
        activation: ``"tanh"``, ``"softplus"`` or ``"silu"``.
        linear: whether the linear branch is there.
        start: ``"sparse"``, from all gates at zero to smaller alphas, which sees inputs by their own effects;
            ``"dense"``, from a trained network of all inputs to larger ones, which finds products and squares too;
            ``"both"`` keeps the one of lower held-out deviance; ``"auto"`` does so where what the sparse one leaves
            over goes along with a product of two inputs or a square.
        feature_groups: a label for each input; inputs of one label enter and leave together.
        penalty_weights: ω for each input (or group, in sorted order of the labels); inputs of weight 0 stay in the
            linear branch, unpenalised, and out of the MLP.
        class_weight: None, ``"balanced"`` or a dict; it weighs the fit and the held-out deviance.
        l1_ratio: ρ in (0, 1], or several to choose among, each with its own path, by held-out deviance; below 1 the
            penalty is ``α Σ_j ω_j (ρ‖(θ_j, W_j)‖ + (1 − ρ)/2·‖(θ_j, W_j)‖²)``, which keeps correlated inputs.
        alphas: the grid; by default ``n_alphas`` values down to ``eps`` times the first. One alpha needs no folds.
        n_alphas: length of the automatic grid.
        eps: its last value over its first.
        rule: ``"1se"``, ``"min"``, an integer: the best alpha with at most that many inputs, or a function of the curve
            that returns the index of an alpha.
        refit: refit the inputs of every alpha with a ridge of the same strength, ``α/2 Σ_j ω_j ‖(θ_j, W_j)‖²``, in the
            place of the penalty that chose them; the refits are judged in the folds, and predict.
        cv: number of folds, a splitter (one split is a validation part), or (train, test) pairs.
        standardize: scale inputs to unit variance, inside each fold.
        kkt_tol: KKT residual to reach, relative to alpha·l1_ratio.
        cv_kkt_tol: the same inside the folds.
        max_iter: Gauss-Newton steps at most for one alpha.
        n_jobs: folds at a time, through joblib.
        random_state: of the initial weights and the folds.

    Attributes:
        classes_: class labels, sorted.
        alpha_, kkt_: the alpha chosen, and the KKT residual there over alpha·l1_ratio.
        path_: the path on all samples, a :class:`spred.gated.NetworkPath`.
        curve_, curves_: held-out deviance along the path, and for each start that was tried, at its best ratio.
        start_, l1_ratio_: the start and the ratio that were kept.
        left_over_: with ``start="auto"`` the product that the sparse start leaves over most, a
            :class:`spred.gated.products.LeftOver` with its ``inputs``, ``z`` and ``chance``; else None.
        network_: the network chosen, or its refit, a :class:`spred.gated.problem.Fitted`.
        feature_importances_: ``(p,)``, ``‖(θ_j, W_j)‖``, the size of each gate; 0 for inputs out of use.
        entry_alphas_: ``(p,)``, the largest alpha of the path at which each input is in use; 0 where it never is.
        mean_slopes_: ``(1, p)``, or ``(K, p)`` for more than two classes: the average over the training samples of the
            predictor's slope in each input, in its own units; of a network that is linear, the coefficients.
        n_iter_: Gauss-Newton steps of the whole path.
        n_features_in_, feature_names_in_: as everywhere in scikit-learn.

    Source: Ziyin and Wang, ICML 2023, §6, for a linear and a nonlinear part under one gate; docs/math.md, §9.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 10))
    >>> y = np.where(X[:, 2] * X[:, 5] > 0, "same", "other")
    >>> model = NetworkClassifier(hidden=20, start="dense", n_alphas=10, cv=3, rule=2).fit(X, y)
    >>> model.get_support(indices=True).tolist()
    [2, 5]
    """

    def __init__(
        self,
        *,
        hidden: int | Iterable[int] = (50,),
        activation: str = "tanh",
        linear: bool = True,
        start: str = "auto",
        feature_groups: ArrayLike | None = None,
        penalty_weights: ArrayLike | None = None,
        class_weight: dict[Any, float] | str | None = None,
        l1_ratio: float | Sequence[float] = 1.0,
        alphas: ArrayLike | None = None,
        n_alphas: int = NETWORK_N_ALPHAS,
        eps: float = NETWORK_EPS,
        rule: Rule = "1se",
        refit: bool = False,
        cv: int | BaseCrossValidator | Iterable[Split] = 5,
        standardize: bool = True,
        kkt_tol: float = KKT_TOL,
        cv_kkt_tol: float = CV_KKT_TOL,
        max_iter: int = MAX_ITER,
        n_jobs: int | None = None,
        random_state: int | None = 0,
    ) -> None:
        self.hidden = hidden
        self.activation = activation
        self.linear = linear
        self.start = start
        self.feature_groups = feature_groups
        self.penalty_weights = penalty_weights
        self.class_weight = class_weight
        self.l1_ratio = l1_ratio
        self.alphas = alphas
        self.n_alphas = n_alphas
        self.eps = eps
        self.rule = rule
        self.refit = refit
        self.cv = cv
        self.standardize = standardize
        self.kkt_tol = kkt_tol
        self.cv_kkt_tol = cv_kkt_tol
        self.max_iter = max_iter
        self.n_jobs = n_jobs
        self.random_state = random_state


class NetworkRegressor(Regression, GatedNetwork):
    """Minimises ``1/(2n)‖y − η‖²`` of ``η = b + Xθ + A tanh(… tanh(XW + c))`` plus ``α Σ_j ω_j ‖(θ_j, W_j)‖``.

    The same procedure as :class:`NetworkClassifier`, for one number or several; with Huber's or Poisson's loss too.
    Except for Poisson's loss, ``y`` is centred and scaled to unit variance first: alpha is
    in units of its standard deviation, and predictions are in those of ``y``.

    Args:
        loss: ``"squared"``, also for several columns of ``y``; ``"huber"`` for numbers with outliers; ``"poisson"``
            for counts or rates.
        delta: where Huber's loss turns from squared to absolute, in units of ``y``; see :class:`SparseRegressor`.
        hidden: see :class:`NetworkClassifier`, as for all arguments not named here.
        activation: of the hidden layers.
        linear: whether the linear branch is there.
        start: ``"auto"``, ``"sparse"``, ``"dense"`` or ``"both"``.
        feature_groups: labels of the inputs.
        penalty_weights: ω.
        l1_ratio: ρ, or several to choose among.
        alphas: the grid.
        n_alphas: length of the automatic grid.
        eps: its last value over its first.
        rule: ``"1se"``, ``"min"`` or an integer.
        refit: refit the inputs of every alpha with a ridge.
        cv: folds.
        standardize: scale inputs to unit variance.
        kkt_tol: KKT residual to reach, relative to alpha·l1_ratio.
        cv_kkt_tol: the same inside the folds.
        max_iter: Gauss-Newton steps at most for one alpha.
        n_jobs: folds at a time.
        random_state: of the initial weights and the folds.

    Attributes:
        delta_: Huber's transition that was used.
        alpha_, kkt_, path_, curve_, curves_, start_, l1_ratio_, network_, n_iter_: as in :class:`NetworkClassifier`.
        feature_importances_, entry_alphas_, mean_slopes_: the same.

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 10))
    >>> model = NetworkRegressor(hidden=10, start="dense", n_alphas=10, cv=3, rule=2).fit(X, X[:, 3] ** 2 + X[:, 7])
    >>> model.get_support(indices=True).tolist()
    [3, 7]
    """

    _multi_output = True

    def __init__(
        self,
        *,
        loss: str = "squared",
        delta: float | None = None,
        hidden: int | Iterable[int] = (50,),
        activation: str = "tanh",
        linear: bool = True,
        start: str = "auto",
        feature_groups: ArrayLike | None = None,
        penalty_weights: ArrayLike | None = None,
        l1_ratio: float | Sequence[float] = 1.0,
        alphas: ArrayLike | None = None,
        n_alphas: int = NETWORK_N_ALPHAS,
        eps: float = NETWORK_EPS,
        rule: Rule = "1se",
        refit: bool = False,
        cv: int | BaseCrossValidator | Iterable[Split] = 5,
        standardize: bool = True,
        kkt_tol: float = KKT_TOL,
        cv_kkt_tol: float = CV_KKT_TOL,
        max_iter: int = MAX_ITER,
        n_jobs: int | None = None,
        random_state: int | None = 0,
    ) -> None:
        self.loss = loss
        self.delta = delta
        self.hidden = hidden
        self.activation = activation
        self.linear = linear
        self.start = start
        self.feature_groups = feature_groups
        self.penalty_weights = penalty_weights
        self.l1_ratio = l1_ratio
        self.alphas = alphas
        self.n_alphas = n_alphas
        self.eps = eps
        self.rule = rule
        self.refit = refit
        self.cv = cv
        self.standardize = standardize
        self.kkt_tol = kkt_tol
        self.cv_kkt_tol = cv_kkt_tol
        self.max_iter = max_iter
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _scaled(self, target: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        if not get_loss(self.loss).of_residual:
            return super()._scaled(target, weight)
        table = target.reshape(len(target), -1)
        parts = weight / weight.sum()
        shift = parts @ table
        unit = np.sqrt(parts @ (table - shift) ** 2)
        varies = (table != table[0]).any(axis=0)  # else what is left of a constant is rounding
        shift, unit = np.where(varies, shift, table[0]), np.where(varies, unit, 1.0)
        return (table - shift) / unit, shift, unit

    def _data_term(self, unit: np.ndarray) -> Loss:
        loss = get_loss(self.loss)
        return loss if loss.transition is None else loss.transition(self.delta_ / float(unit[0]))

    def _assemble(self, X: Any, target: np.ndarray, weight: np.ndarray) -> Any:
        if target.ndim > 1 and target.shape[1] > 1 and get_loss(self.loss).several is None:
            raise InputError(
                f"loss={self.loss!r} takes one column of y, and there are {target.shape[1]}; use 'squared'"
            )
        return super()._assemble(X, target, weight)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class NetworkCox(SurvivalTarget, GatedNetwork):
    """Minimises ``−log partial likelihood / n`` of ``η = Xθ + A tanh(… tanh(XW + c))`` plus ``α Σ_j ω_j ‖(θ_j, W_j)‖``.

    The same procedure as :class:`NetworkClassifier`, for survival times; η is the risk. ``y`` is what
    :func:`spred.survival_target` makes; a third field holds strata. A fold is judged by the deviance that its
    samples add to that of the others, as in :class:`SparseCoxCV`.

    Args:
        ties: ``"breslow"`` or ``"efron"``.
        hidden: see :class:`NetworkClassifier`, as for all arguments not named here.
        activation: of the hidden layers.
        linear: whether the linear branch is there.
        start: ``"auto"``, ``"sparse"``, ``"dense"`` or ``"both"``.
        feature_groups: labels of the inputs.
        penalty_weights: ω.
        l1_ratio: ρ, or several to choose among.
        alphas: the grid.
        n_alphas: length of the automatic grid.
        eps: its last value over its first.
        rule: ``"1se"``, ``"min"``, an integer or a function of the curve.
        refit: refit the inputs of every alpha with a ridge.
        cv: number of folds (events are spread over them), a splitter, or (train, test) pairs.
        standardize: scale inputs to unit variance.
        kkt_tol: KKT residual to reach, relative to alpha·l1_ratio.
        cv_kkt_tol: the same inside the folds.
        max_iter: Gauss-Newton steps at most for one alpha.
        n_jobs: folds at a time.
        random_state: of the initial weights and the folds.

    Attributes:
        alpha_, kkt_, path_, curve_, curves_, start_, l1_ratio_, network_, n_iter_: as in :class:`NetworkClassifier`.
        feature_importances_, entry_alphas_, mean_slopes_: the same.

    >>> import numpy as np, spred
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(100, 10))
    >>> y = spred.survival_target(event=np.arange(100) % 4 > 0, time=rng.exponential(np.exp(-2 * X[:, 3])))
    >>> NetworkCox(hidden=10, n_alphas=10, cv=3, rule=1).fit(X, y).get_support(indices=True).tolist()
    [3]
    """

    def __init__(
        self,
        *,
        ties: str = "breslow",
        hidden: int | Iterable[int] = (50,),
        activation: str = "tanh",
        linear: bool = True,
        start: str = "auto",
        feature_groups: ArrayLike | None = None,
        penalty_weights: ArrayLike | None = None,
        l1_ratio: float | Sequence[float] = 1.0,
        alphas: ArrayLike | None = None,
        n_alphas: int = NETWORK_N_ALPHAS,
        eps: float = NETWORK_EPS,
        rule: Rule = "1se",
        refit: bool = False,
        cv: int | BaseCrossValidator | Iterable[Split] = 5,
        standardize: bool = True,
        kkt_tol: float = KKT_TOL,
        cv_kkt_tol: float = CV_KKT_TOL,
        max_iter: int = MAX_ITER,
        n_jobs: int | None = None,
        random_state: int | None = 0,
    ) -> None:
        self.ties = ties
        self.hidden = hidden
        self.activation = activation
        self.linear = linear
        self.start = start
        self.feature_groups = feature_groups
        self.penalty_weights = penalty_weights
        self.l1_ratio = l1_ratio
        self.alphas = alphas
        self.n_alphas = n_alphas
        self.eps = eps
        self.rule = rule
        self.refit = refit
        self.cv = cv
        self.standardize = standardize
        self.kkt_tol = kkt_tol
        self.cv_kkt_tol = cv_kkt_tol
        self.max_iter = max_iter
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _counts_weights(self) -> bool:
        return bool(self.ties != "efron")  # whose risk at tied times is that of their mean weight

    def _deviances(
        self, inside: Assembled, target: np.ndarray, weight: np.ndarray, split: Split, etas: Etas
    ) -> np.ndarray:
        risks = np.array([eta[:, 0] for eta in etas(np.arange(len(target)))])
        return self._added(target, weight, risks, split)
