"""Whole paths: grids of alpha and warm starts; the public functions ``solve``, ``path`` and ``alpha_max``."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from spred import _checks, errors
from spred._defaults import EPS, MAX_ITER, MAX_SECONDS, N_ALPHAS, TOL
from spred.core.losses import Loss
from spred.errors import InputError
from spred.linear.problem import Problem, make_problem
from spred.linear.results import RegularizationPath, Solution, Status
from spred.linear.solvers.outer import Limits, Model, Outcome
from spred.linear.solvers.path_solver import PathSolver
from spred.linear.solvers.presolve import Reduced

SATURATED = 0.999
"""Fraction of the null objective explained at which an automatic grid ends: beyond, alphas cost time and fit noise."""

WAYPOINT_TOL = 1e-3
"""Relative gap at the alphas on the way to a single one: enough for a start from which Newton converges at once."""


def solve(
    X: ArrayLike,
    y: ArrayLike,
    *,
    alpha: float,
    loss: str | Loss = "squared",
    l1_ratio: float = 1.0,
    within_ratio: float = 0.0,
    positive: ArrayLike | bool = False,
    penalty_weights: ArrayLike | None = None,
    feature_groups: ArrayLike | None = None,
    row_sparse: bool = True,
    standardize: bool = False,
    fit_intercept: bool = True,
    sample_weight: ArrayLike | None = None,
    offset: ArrayLike | None = None,
    tol: float = TOL,
    max_iter: int = MAX_ITER,
    max_seconds: float = MAX_SECONDS,
) -> Solution:
    """Minimise ``L(v, b) + α Σ_g ω_g (ρ‖v_g‖ + (1−ρ)/2 ‖v_g‖²)`` exactly, with a certificate.

    This states an objective: columns are penalised as given (``standardize=False``). The estimators state a procedure
    and scale columns first. ``L`` is the mean loss over samples (``1/(2n)‖y − Xv − b‖²`` for ``"squared"``).

    Args:
        X: ``(n, p)``, dense or scipy sparse.
        y: ``(n,)``: numbers; counts for ``"poisson"``; 0 and 1 for ``"logistic"``; 0 … K − 1 for ``"multinomial"``;
            :func:`spred.survival_target` for ``"cox"``.
        alpha: penalty strength, positive, on the scale of scikit-learn's ``Lasso``.
        loss: ``"squared"``, ``"huber"``, ``"poisson"``, ``"logistic"``, ``"multinomial"``, ``"cox"``, ``"cox-efron"``,
            or a :class:`spred.core.losses.Loss`.
        l1_ratio: ρ in [0, 1]; below 1 is an elastic net, 0 a ridge.
        within_ratio: κ in [0, 1], with ``feature_groups`` the fraction of single features in the penalty: its L1 is
            ``α Σ_g ((1−κ) ω_g ‖v_g‖₂ + κ ‖v_g‖₁)``, the sparse-group Lasso. 0 is the group Lasso, 1 the Lasso.
        positive: whether coefficients must not be negative: of all penalised features, or a boolean for each feature.
        penalty_weights: ω, one for each feature (each group in sorted order of its label, when there are
            groups); 0 leaves it unpenalised.
        feature_groups: a label for each feature; features with one label enter and leave together (group lasso,
            ω = √size unless given).
        row_sparse: for several classes, whether a feature is in or out for all classes together; False penalises each
            entry alone.
        standardize: penalise coefficients of columns scaled to unit variance.
        fit_intercept: add an unpenalised intercept.
        sample_weight: ``(n,)``; a weight of 2 is the row twice.
        offset: ``(n,)``, a known part of the linear predictor (the logarithm of an exposure, say).
        tol: duality gap to reach, relative to the null objective.
        max_iter: Newton steps at most for one alpha.
        max_seconds: wall time at most for the whole call.

    Returns:
        A :class:`Solution`; its ``status`` says whether ``tol`` was reached, and a warning if not.

    Raises:
        InputError: input that cannot be used, in one sentence.

    Source: docs/math.md, §1 to §4; Ziyin and Wang, ICML 2023.

    >>> import numpy as np
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    >>> sol = solve(X, X @ [3.0, 0.2], alpha=0.5)
    >>> sol.coef.round(6).tolist(), sol.status.value
    ([2.0, 0.0], 'converged')
    """
    strength = _checks.one_alpha(alpha)
    problem = make_problem(
        X,
        y,
        loss=loss,
        l1_ratio=l1_ratio,
        within_ratio=within_ratio,
        positive=positive,
        penalty_weights=penalty_weights,
        feature_groups=feature_groups,
        row_sparse=row_sparse,
        standardize=standardize,
        fit_intercept=fit_intercept,
        sample_weight=sample_weight,
        offset=offset,
    )
    solution = solve_of(problem, strength, Limits(tol, max_iter, time.perf_counter() + max_seconds))
    _warn_unless_converged([solution.status], [solution.gap])
    return solution


def path(
    X: ArrayLike,
    y: ArrayLike,
    *,
    loss: str | Loss = "squared",
    alphas: ArrayLike | None = None,
    n_alphas: int = N_ALPHAS,
    eps: float = EPS,
    l1_ratio: float = 1.0,
    within_ratio: float = 0.0,
    positive: ArrayLike | bool = False,
    penalty_weights: ArrayLike | None = None,
    feature_groups: ArrayLike | None = None,
    row_sparse: bool = True,
    standardize: bool = False,
    fit_intercept: bool = True,
    sample_weight: ArrayLike | None = None,
    offset: ArrayLike | None = None,
    tol: float = TOL,
    max_iter: int = MAX_ITER,
    max_seconds: float = MAX_SECONDS,
) -> RegularizationPath:
    """Minimise the objective of :func:`solve` along a falling grid of alphas, each from the last.

    Columns are penalised as given (``standardize=False``); the estimators, which state a procedure, scale them first.

    Args:
        X: see :func:`solve`, as for all arguments not named here.
        y: targets.
        loss: a row of the table of losses.
        alphas: the grid, any order; solved falling, never cut short. By default ``n_alphas`` values, evenly
            spaced in the logarithm, from :func:`alpha_max` down to ``eps`` times that, ended early when the fit is
            saturated. A ridge (``l1_ratio=0``) has no largest alpha and needs them.
        n_alphas: length of the automatic grid.
        eps: its last value over its first.
        l1_ratio: ρ.
        within_ratio: κ, see :func:`solve`.
        positive: see :func:`solve`.
        penalty_weights: ω.
        feature_groups: labels of the features.
        row_sparse: see :func:`solve`.
        standardize: see :func:`solve`.
        fit_intercept: see :func:`solve`.
        sample_weight: see :func:`solve`.
        offset: see :func:`solve`.
        tol: relative duality gap at every alpha.
        max_iter: Newton steps at most for one alpha.
        max_seconds: wall time at most for the whole call.

    Returns:
        A :class:`RegularizationPath`.

    Raises:
        InputError: input that cannot be used, in one sentence.

    >>> import numpy as np
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    >>> path(X, X @ [3.0, 0.2], alphas=[2.0, 0.5, 0.05]).n_nonzero.tolist()
    [0, 1, 2]
    """
    problem = make_problem(
        X,
        y,
        loss=loss,
        l1_ratio=l1_ratio,
        within_ratio=within_ratio,
        positive=positive,
        penalty_weights=penalty_weights,
        feature_groups=feature_groups,
        row_sparse=row_sparse,
        standardize=standardize,
        fit_intercept=fit_intercept,
        sample_weight=sample_weight,
        offset=offset,
    )
    limits = Limits(tol, max_iter, time.perf_counter() + max_seconds)
    found = path_of(problem, alphas=alphas, n_alphas=n_alphas, eps=eps, limits=limits)
    _warn_unless_converged(found.statuses, found.gaps)
    return found


def _warn_unless_converged(statuses: Sequence[Status], gaps: Sequence[float] | np.ndarray) -> None:
    short = [status for status in statuses if status is not Status.CONVERGED]
    if short:
        rounded = all(status is Status.PRECISION for status in short)
        more = "scale the columns and the target" if rounded else "raise max_iter or max_seconds"
        warnings.warn(
            f"{len(short)} of {len(statuses)} alphas {short[0].value}, the worst at a relative duality gap of "
            f"{max(gaps):.1e}; {more}, or ask for less with tol",
            errors.ConvergenceWarning,
            stacklevel=3,
        )


def alpha_max(
    X: ArrayLike,
    y: ArrayLike,
    *,
    loss: str | Loss = "squared",
    l1_ratio: float = 1.0,
    within_ratio: float = 0.0,
    positive: ArrayLike | bool = False,
    penalty_weights: ArrayLike | None = None,
    feature_groups: ArrayLike | None = None,
    row_sparse: bool = True,
    standardize: bool = False,
    fit_intercept: bool = True,
    sample_weight: ArrayLike | None = None,
    offset: ArrayLike | None = None,
) -> float:
    """Return the smallest α at which the minimum of ``L(v, b) + α Ω(v)``, see :func:`solve`, is at ``v = 0``.

    It is the dual norm ``Ω°(−∇L)`` at the model of the unpenalised coefficients, for L1 ``max_j |x_jᵀ∇L| / ω_j``: where
    the grid of :func:`path` begins. Infinite for a ridge (``l1_ratio=0``), which sets nothing to zero.

    Args:
        X: see :func:`solve`, as for all arguments.
        y: targets.
        loss: a row of the table of losses.
        l1_ratio: ρ.
        within_ratio: κ.
        positive: which coefficients must not be negative.
        penalty_weights: ω.
        feature_groups: labels of the features.
        row_sparse: whether a feature is in or out for all classes.
        standardize: whether columns are scaled to unit variance.
        fit_intercept: whether there is an intercept.
        sample_weight: ``(n,)``.
        offset: ``(n,)``.

    Raises:
        InputError: input that cannot be used, in one sentence.

    >>> import numpy as np
    >>> X = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    >>> round(alpha_max(X, X @ [3.0, 0.2]), 12)
    1.5
    """
    problem = make_problem(
        X,
        y,
        loss=loss,
        l1_ratio=l1_ratio,
        within_ratio=within_ratio,
        positive=positive,
        penalty_weights=penalty_weights,
        feature_groups=feature_groups,
        row_sparse=row_sparse,
        standardize=standardize,
        fit_intercept=fit_intercept,
        sample_weight=sample_weight,
        offset=offset,
    )
    return PathSolver(problem, Limits()).top


def solve_of(problem: Problem, alpha: float, limits: Limits) -> Solution:
    """Return the solution of a :class:`Problem`; what :func:`solve` and the estimators call."""
    began = time.perf_counter()
    alpha = _checks.one_alpha(alpha)
    solver = PathSolver(problem, limits)
    # Halving alpha on the way down keeps every Newton model close to the truth; a ridge has no top, and needs none.
    halvings = int(np.ceil(np.log2(max(solver.top / alpha, 1.0)))) if np.isfinite(solver.top) else 0
    rough = Limits(max(limits.tol, WAYPOINT_TOL), limits.max_iter, limits.deadline)
    waypoints = (alpha * 2.0 ** np.arange(halvings - 1, 0, -1)).tolist()
    *_, outcome = solver.along([*((float(waypoint), rough) for waypoint in waypoints), (alpha, limits)])
    found = outcome.model
    model = Model(found.support, *_original(problem, solver.work, found.support, found.v, found.b))
    coef = model.dense(problem.design.p).T
    return Solution(
        alpha=alpha,
        coef=coef if problem.loss.multi else coef[0],
        intercept=model.b if problem.loss.multi else float(model.b[0]),
        certificate=outcome.certificate,
        status=outcome.status,
        n_iter=outcome.n_iter,
        seconds=time.perf_counter() - began,
        loss=problem.loss.name,
        feature_names=problem.names,
    )


def path_of(
    problem: Problem,
    *,
    alphas: ArrayLike | None = None,
    n_alphas: int = N_ALPHAS,
    eps: float = EPS,
    limits: Limits | None = None,
) -> RegularizationPath:
    """Return the path of a :class:`Problem`; what :func:`path` and the estimators call."""
    began = time.perf_counter()
    limits = limits or Limits()
    outcomes: list[Outcome] = []
    explained: list[float] = []
    if alphas is None and problem.l1_ratio == 0.0:
        raise InputError("l1_ratio is 0, a ridge, which has no largest alpha to begin a grid with; give alphas")
    solver = PathSolver(problem, limits)
    grid = _checks.falling_grid(solver.top, n_alphas, eps) if alphas is None else _checks.falling_alphas(alphas)
    for outcome in solver.along([(float(alpha), limits) for alpha in grid]):
        outcomes.append(outcome)
        explained.append(1.0 - outcome.data_term / solver.null_objective if solver.null_objective > 0 else 0.0)
        if alphas is None and explained[-1] > SATURATED:
            break
    return _stack(problem, solver.work, grid[: len(outcomes)], outcomes, explained, time.perf_counter() - began)


def _original(
    problem: Problem, work: Reduced, features: np.ndarray, v: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return models ``v`` ``(…, m, K)``, ``b`` ``(…, K)`` of ``features`` in the units of X as given, for all classes.

    Softmax does not see a shift common to all classes: free coefficients are given mean zero over the classes.
    """
    v, b = problem.design.original_units(features, v, b + work.intercept)
    if not problem.loss.intercept:
        return v, np.zeros_like(b)
    if problem.basis is not None:  # contrasts sum to zero by themselves
        return v @ problem.basis.T, b @ problem.basis.T
    if problem.loss.multi:
        free = (problem.groups.weights[problem.groups.labels].reshape(-1, v.shape[-1])[features] == 0).all(axis=1)
        v[..., free, :] -= v[..., free, :].mean(axis=-1, keepdims=True)
        b = b - b.mean(axis=-1, keepdims=True) if problem.fit_intercept else b
    return v, b


def _stack(
    problem: Problem,
    work: Reduced,
    alphas: np.ndarray,
    outcomes: Sequence[Outcome],
    explained: Sequence[float],
    seconds: float,
) -> RegularizationPath:
    models = [outcome.model for outcome in outcomes]
    features, column = np.unique(np.concatenate([model.support for model in models]), return_inverse=True)
    values = np.zeros((len(models), len(features), len(models[0].b)))
    row = np.repeat(np.arange(len(models)), [len(model.support) for model in models])
    values[row, column] = np.concatenate([model.v for model in models])
    values, intercepts = _original(problem, work, features, values, np.stack([model.b for model in models]))
    values, single = np.moveaxis(values, -1, 1), not problem.loss.multi
    return RegularizationPath(
        alphas=alphas,
        features=features,
        values=values[:, 0] if single else values,
        n_features=problem.design.p,
        intercepts=intercepts[:, 0] if single else intercepts,
        certificates=tuple(outcome.certificate for outcome in outcomes),
        deviance_explained=np.array(explained),
        statuses=tuple(outcome.status for outcome in outcomes),
        n_nonzero=np.count_nonzero(values.any(axis=1), axis=-1),
        seconds=seconds,
        loss=problem.loss.name,
        feature_names=problem.names,
    )
