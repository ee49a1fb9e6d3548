"""Whole paths: grids of alpha and warm starts; the public functions ``solve``, ``path`` and ``alpha_max``."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager

import numpy as np
from numpy.typing import ArrayLike

from spred import _checks, errors
from spred._defaults import EPS, MAX_ITER, MAX_SECONDS, N_ALPHAS, TOL
from spred.core.certificate import Certificate
from spred.core.losses import Loss
from spred.errors import InputError
from spred.linear.problem import Problem, make_problem
from spred.linear.results import RegularizationPath, Solution, Status
from spred.linear.solvers.l1 import Compiled
from spred.linear.solvers.least_squares_groups import LeastSquaresGroups
from spred.linear.solvers.newton import Newton, null_state
from spred.linear.solvers.outer import Limits, Model, Outcome, Solver
from spred.linear.solvers.presolve import Reduced, reduced
from spred.linear.threads import blas_threads

SOLVERS: tuple[type[Solver], ...] = (Compiled, LeastSquaresGroups, Newton)
"""The solvers, quickest first: the first one whose needs a problem meets takes it."""

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
    with _threads_for(problem):
        work = reduced(problem).problem
    with _threads_for(work):
        return null_state(work, Limits()).alpha


def solve_of(problem: Problem, alpha: float, limits: Limits) -> Solution:
    """Return the solution of a :class:`Problem`; what :func:`solve` and the estimators call."""
    began = time.perf_counter()
    alpha = _checks.one_alpha(alpha)
    with _threads_for(problem):
        work = reduced(problem)
    with _threads_for(work.problem):
        solver, top, _ = _begin(work, limits)
        # Halving alpha on the way down keeps every Newton model close to the truth; a ridge has no top, and needs none.
        halvings = int(np.ceil(np.log2(max(top / alpha, 1.0)))) if np.isfinite(top) else 0
        rough = Limits(max(limits.tol, WAYPOINT_TOL), limits.max_iter, limits.deadline)
        for waypoint in alpha * 2.0 ** np.arange(halvings - 1, 0, -1):
            solver.advance(float(waypoint), rough)
        outcome = solver.advance(alpha, limits)
    found = work.original(outcome.model)
    model = Model(found.support, *_original(problem, work, found.support, found.v, found.b))
    coef = model.dense(problem.design.p).T
    return Solution(
        alpha=alpha,
        coef=coef if problem.loss.multi else coef[0],
        intercept=model.b if problem.loss.multi else float(model.b[0]),
        certificate=_shifted(outcome.certificate, work.constant),
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
    with _threads_for(problem):
        work = reduced(problem)
    with _threads_for(work.problem):
        solver, top, null_objective = _begin(work, limits)
        grid = _checks.falling_grid(top, n_alphas, eps) if alphas is None else _checks.falling_alphas(alphas)
        for alpha in grid:
            outcome = solver.advance(float(alpha), limits)
            outcomes.append(outcome)
            explained.append(_explained(work, outcome, null_objective))
            if alphas is None and explained[-1] > SATURATED:
                break
    return _stack(problem, work, grid[: len(outcomes)], outcomes, explained, time.perf_counter() - began)


def solver_of(problem: Problem) -> type[Solver]:
    """Return the first of :data:`SOLVERS` whose needs ``problem`` meets."""
    return next(solver for solver in SOLVERS if solver.needs(problem) is None)


def _begin(work: Reduced, limits: Limits) -> tuple[Solver, float, float]:
    """Return a solver at the null model, the largest useful alpha, and the objective that is the unit of gaps."""
    problem = work.problem
    null = null_state(problem, limits)
    null_objective = float(problem.loss.value(null.eta, problem.y, problem.s)) + work.constant
    return solver_of(problem)(problem, null, null_objective), null.alpha, null_objective


def _threads_for(problem: Problem) -> AbstractContextManager[object]:
    return blas_threads(problem.design.n * problem.design.p)


def _explained(work: Reduced, outcome: Outcome, null_objective: float) -> float:
    return 1.0 - (outcome.data_term + work.constant) / null_objective if null_objective > 0 else 0.0


def _shifted(certificate: Certificate, constant: float) -> Certificate:
    """Certificate of the problem that was asked: its objectives differ by a constant, its gap does not."""
    return Certificate(certificate.gap, certificate.kkt, certificate.primal + constant, certificate.dual + constant)


def _original(
    problem: Problem, work: Reduced, features: np.ndarray, v: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return models ``v`` ``(…, m, K)``, ``b`` ``(…, K)`` of ``features`` in the units of X as given, for all classes.

    Softmax does not see a shift common to all classes: free coefficients are given mean zero over the classes.
    """
    v, b = problem.design.original_units(features, v, b + work.intercept)
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
    models = [work.original(outcome.model) for outcome in outcomes]
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
        certificates=tuple(_shifted(outcome.certificate, work.constant) for outcome in outcomes),
        deviance_explained=np.array(explained),
        statuses=tuple(outcome.status for outcome in outcomes),
        n_nonzero=np.count_nonzero(values.any(axis=1), axis=-1),
        seconds=seconds,
        loss=problem.loss.name,
        feature_names=problem.names,
    )
