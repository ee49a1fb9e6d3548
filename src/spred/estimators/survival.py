"""Cox's proportional hazards as estimators: ``y`` is a survival target, a prediction is a risk score."""

# mypy: allow-subclassing-any
# scikit-learn has no types.

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.feature_selection import SelectorMixin
from sklearn.model_selection import BaseCrossValidator

from spred import _checks
from spred._defaults import CV_TOL, EPS, MAX_ITER, MAX_SECONDS, N_ALPHAS, TOL
from spred.core.losses import get_loss
from spred.errors import InputError
from spred.estimators.base import Samples, shifted
from spred.estimators.cross_validation import Rule, Split
from spred.estimators.inputs import check_table
from spred.estimators.linear_base import CrossValidated, OneAlpha, SparseLinear
from spred.estimators.metrics import concordance
from spred.linear.results import RegularizationPath


class SurvivalTarget(SelectorMixin):
    """The target is a time and whether it ended with the event; the loss is the negative log partial likelihood / n."""

    _classification = False

    def _read(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None) -> tuple[Any, np.ndarray, np.ndarray]:
        if self.ties not in ("breslow", "efron"):
            raise InputError(f"ties is {self.ties!r}; use 'breslow' or 'efron'")
        data: Any = check_table(self, X, reset=True, accept_sparse="csc", ensure_min_samples=self._min_samples)
        target = get_loss(self._loss_name()).target.read(y, data.shape[0])
        return data, target, _checks.sample_weights(sample_weight, len(target))

    def _loss_name(self) -> str:
        return "cox-efron" if self.ties == "efron" else "cox"

    def _fold_labels(self, target: np.ndarray) -> tuple[np.ndarray, bool]:
        """Stratify by event, unless there are too few events, or censored samples, for every fold."""
        event = target["event"].astype(int)
        fewest = min(event.sum(), len(event) - event.sum())
        return event, isinstance(self.cv, (int, np.integer)) and fewest >= self.cv

    def _added(self, target: np.ndarray, weight: np.ndarray, risks: np.ndarray, split: Split) -> np.ndarray:
        """Return what the test part adds to the deviance of the training part, by weight of the test part, ``(A,)``.

        ``risks`` ``(A, n)`` are those of all samples. A test part may be too small for risk sets of its own. Source:
        P. J. M. Verweij and H. C. van Houwelingen, Statistics in Medicine 12, 1993.
        """
        train, test = split
        whole, part = (self._total(target, weight, risks, rows) for rows in (np.concatenate([train, test]), train))
        return np.asarray(2.0 * (whole - part) / weight[test].sum())

    def _total(self, target: np.ndarray, weight: np.ndarray, risks: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the negative log partial likelihood of these samples, a sum, for each row of ``risks``."""
        loss, rows = get_loss(self._loss_name()), rows[weight[rows] > 0]
        sets, total = loss.target.encode(target[rows]), weight[rows].sum()
        parts = weight[rows] / total
        return np.array([total * float(loss.value(risk[rows], sets, parts)) for risk in risks])

    def predict(self, X: ArrayLike, offset: ArrayLike | None = None) -> np.ndarray:
        """Return the risk score, ``(n,)``: the logarithm of the hazard, up to a constant; ``X @ coef_`` if linear.

        ``offset`` is what is known of it for each new sample.
        """
        return shifted(np.asarray(self._predictor(X)), offset)

    def score(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None, offset: ArrayLike | None = None
    ) -> float:
        """Return the concordance of risk, at ``offset``, and survival; see :func:`concordance`."""
        risk = self.predict(X, offset)
        target = get_loss(self._loss_name()).target.read(y, len(risk))
        stratum = target["stratum"] if "stratum" in (target.dtype.names or ()) else None
        return concordance(target["event"], target["time"], risk, stratum, sample_weight)


class Survival(SurvivalTarget, SparseLinear):
    """A linear risk."""

    fit_intercept = True  # for the engine, which knows that Cox's loss has none

    def _shaped(self, coef: np.ndarray, intercept: Any) -> tuple[np.ndarray, Any]:
        return coef, 0.0

    def _deviances(self, data: Samples, split: Split, path: RegularizationPath) -> np.ndarray:
        """Return what the test part adds to the deviance of the training part, ``(A,)``."""
        return self._added(data.target, data.weight, data.predictors(path), split)


class SparseCox(Survival, OneAlpha):
    """Scales the columns, then minimises ``−log partial likelihood / n + α Σ_g ω_g (ρ‖v_g‖ + (1−ρ)/2 ‖v_g‖²)`` exactly.

    A procedure (``standardize=True``) for the objective of :func:`spred.solve`: Cox's proportional hazards with an L1,
    elastic-net or group penalty. ``y`` is what :func:`spred.survival_target` makes, or scikit-survival's arrays; a
    third field holds strata.

    Args:
        alpha: penalty strength.
        ties: ``"breslow"`` or ``"efron"``.
        l1_ratio: ρ in (0, 1]; below 1 is an elastic net.
        within_ratio: κ in [0, 1], with ``feature_groups``: the fraction of single features in the penalty of groups
            (the sparse-group Lasso); 0 is the group Lasso, 1 the Lasso.
        positive: whether coefficients must not be negative: of all penalised features, or a boolean for each feature.
        feature_groups: a label for each feature; features of one label enter and leave together.
        penalty_weights: ω for each feature (or group, in sorted order of the labels); 0 leaves it unpenalised.
        standardize: penalise the coefficients of columns scaled to unit variance; ``coef_`` is in original units.
        tol: duality gap to reach, relative to the null objective.
        max_iter: Newton steps at most for one alpha.
        max_seconds: wall time at most for the whole call.

    Attributes:
        coef_: ``(p,)``, logarithms of hazard ratios.
        certificate_: ``gap``, ``kkt``, ``primal``, ``dual``.
        n_iter_: Newton steps taken.
        n_features_in_, feature_names_in_: as everywhere in scikit-learn.

    Source: N. Simon, J. Friedman, T. Hastie and R. Tibshirani, Journal of Statistical Software 39(5), 2011, for the
    problem; docs/math.md, §4, for its certificate.

    >>> import numpy as np, spred
    >>> X = np.array([[2.0, 0.0], [1.0, 1.0], [0.0, 1.0], [-1.0, 0.0]])
    >>> y = spred.survival_target(event=[True, True, True, False], time=[1.0, 2.0, 3.0, 4.0])
    >>> model = SparseCox(alpha=0.2).fit(X, y)
    >>> model.get_support().tolist(), bool(model.coef_[0] > 0), model.score(X, y)
    ([True, False], True, 1.0)
    """

    def __init__(
        self,
        alpha: float = 0.01,
        *,
        ties: str = "breslow",
        l1_ratio: float = 1.0,
        within_ratio: float = 0.0,
        positive: ArrayLike | bool = False,
        feature_groups: ArrayLike | None = None,
        penalty_weights: ArrayLike | None = None,
        standardize: bool = True,
        tol: float = TOL,
        max_iter: int = MAX_ITER,
        max_seconds: float = MAX_SECONDS,
    ) -> None:
        self.alpha = alpha
        self.ties = ties
        self.l1_ratio = l1_ratio
        self.within_ratio = within_ratio
        self.positive = positive
        self.feature_groups = feature_groups
        self.penalty_weights = penalty_weights
        self.standardize = standardize
        self.tol = tol
        self.max_iter = max_iter
        self.max_seconds = max_seconds


class SparseCoxCV(Survival, CrossValidated):
    """Minimises the objective of :class:`SparseCox` along a path, and chooses its alpha by cross-validation.

    A procedure: scaling and path are learned anew in each fold. A fold is judged by the deviance that its samples add
    to that of the others (Verweij and van Houwelingen, 1993).

    Args:
        ties: see :class:`SparseCox`, as for all arguments not named here.
        l1_ratio: ρ, or several to choose among, each with its own path, by held-out deviance.
        within_ratio: κ.
        positive: whether coefficients must not be negative.
        feature_groups: labels of the features.
        penalty_weights: ω.
        alphas: see :class:`~spred.SparseRegressorCV`, as for the arguments below.
        n_alphas: length of the automatic grid.
        eps: its last value over its first.
        rule: ``"1se"``, ``"min"``, or an integer: the best alpha with at most that many features.
        cv: number of folds (events are spread over them), a splitter, or (train, test) pairs.
        standardize: inside each fold.
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
        coef_, certificate_: of the model chosen, as in :class:`SparseCox`.

    >>> import numpy as np, spred
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(80, 20))
    >>> y = spred.survival_target(event=np.arange(80) % 4 > 0, time=rng.exponential(np.exp(-2 * X[:, 3])))
    >>> np.flatnonzero(SparseCoxCV(rule=1).fit(X, y).get_support()).tolist()
    [3]
    """

    def __init__(
        self,
        *,
        ties: str = "breslow",
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
        tol: float = TOL,
        cv_tol: float = CV_TOL,
        max_seconds: float = MAX_SECONDS,
        n_jobs: int | None = None,
        random_state: int | None = 0,
    ) -> None:
        self.ties = ties
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
        self.tol = tol
        self.cv_tol = cv_tol
        self.max_seconds = max_seconds
        self.n_jobs = n_jobs
        self.random_state = random_state
