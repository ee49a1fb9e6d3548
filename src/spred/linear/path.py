"""Whole paths: grids of alpha, warm starts, and the two public doors of the exact engine, ``solve`` and ``path``."""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache

import numpy as np
from numpy.typing import ArrayLike
from threadpoolctl import ThreadpoolController

from spred._defaults import EPS, MAX_ITER, MAX_SECONDS, N_ALPHAS, TOL
from spred.core.certificate import Certificate
from spred.core.losses import Loss
from spred.errors import ConvergenceWarning, InputError
from spred.linear.problem import Problem, make_problem
from spred.linear.results import RegularizationPath, Solution, Status
from spred.linear.solvers.l1 import Compiled, is_compiled
from spred.linear.solvers.least_squares_groups import GroupWalk, is_group_walk
from spred.linear.solvers.newton import Limits, Model, Outcome, Plain, State, null_state
from spred.linear.solvers.presolve import Reduced, reduced

SMALL, MIDDLING = 2_000_000, 100_000_000
"""Entries of ``X`` up to which one BLAS thread is faster, and one pool of threads: NumPy and SciPy bring one each, and
these get into each other's way."""

SATURATED = 0.999
"""Share of the null objective explained at which a grid of our own making ends."""


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

    ``L`` is the mean loss over samples (``1/(2n)‖y − Xv − b‖²`` for ``"squared"``). This is an objective: its columns
    are those of ``X`` (``standardize=False``). The estimators are procedures, and scale the columns first.

    Args:
        X: ``(n, p)``, dense or scipy sparse.
        y: ``(n,)``: numbers; counts for ``"poisson"``; 0 and 1 for ``"logistic"``; 0 … K − 1 for ``"multinomial"``;
            :func:`spred.survival_target` for ``"cox"``.
        alpha: penalty strength, positive, on the scale of scikit-learn's ``Lasso``.
        loss: ``"squared"``, ``"huber"``, ``"poisson"``, ``"logistic"``, ``"multinomial"``, ``"cox"``, ``"cox-efron"``,
            or a :class:`spred.core.losses.Loss`.
        l1_ratio: ρ in (0, 1]; below 1 is an elastic net.
        within_ratio: κ in [0, 1], with ``feature_groups`` the share of single features in the penalty: its L1 part is
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
    _check_alphas([alpha])
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
    solution = solve_of(problem, float(alpha), Limits(tol, max_iter, time.perf_counter() + max_seconds))
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
    """Minimise the objective of :func:`solve` along a falling grid of alphas, each solution started from the last.

    As there, the columns are those of ``X`` (``standardize=False``); the estimators scale them first.

    Args:
        X: see :func:`solve`, as for all arguments not named here.
        y: targets.
        loss: a row of the table of losses.
        alphas: the grid, any order; solved falling, never cut short. By default ``n_alphas`` values, evenly
            spaced in the logarithm, from the smallest alpha with no feature down to ``eps`` times that, ended
            early when the fit is saturated.
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
        warnings.warn(
            f"{len(short)} of {len(statuses)} alphas {short[0].value}, the worst at a relative duality gap of "
            f"{max(gaps):.1e}; raise max_iter or max_seconds, or ask for less with tol",
            ConvergenceWarning,
            stacklevel=3,
        )


def solve_of(problem: Problem, alpha: float, limits: Limits) -> Solution:
    """Return the solution of a :class:`Problem`; what :func:`solve` and the estimators call."""
    began = time.perf_counter()
    _check_alphas([alpha])
    with _blas_threads(problem):
        work = reduced(problem)
    with _blas_threads(work.problem):
        state, null_objective = _null(work, limits)
        walk = _walk(work.problem, state, null_objective)
        # Halving alpha on the way down keeps every Newton model close to the truth.
        halvings = int(np.ceil(np.log2(max(state.alpha / alpha, 1.0))))
        rough = Limits(max(limits.tol, 1e-3), limits.max_iter, limits.deadline)
        for waypoint in alpha * 2.0 ** np.arange(halvings - 1, 0, -1):
            walk.advance(float(waypoint), rough)
        outcome = walk.advance(alpha, limits)
    support = outcome.model.support
    model = Model(support, *_original(problem, work, support, outcome.model.v, outcome.model.b))
    coef = model.dense(problem.design.p).T
    return Solution(
        alpha=alpha,
        coef=coef if problem.loss.multi else coef[0],
        intercept=model.b if problem.loss.multi else float(model.b[0]),
        certificate=_raised(outcome.certificate, work.constant),
        status=outcome.status,
        n_iter=outcome.n_iter,
        seconds=time.perf_counter() - began,
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
    with _blas_threads(problem):
        work = reduced(problem)
    with _blas_threads(work.problem):
        state, null_objective = _null(work, limits)
        walk = _walk(work.problem, state, null_objective)
        grid = _grid(state.alpha, n_alphas, eps) if alphas is None else _check_alphas(alphas)
        for alpha in grid:
            outcome = walk.advance(float(alpha), limits)
            outcomes.append(outcome)
            explained.append(_explained(work, outcome, null_objective))
            if alphas is None and explained[-1] > SATURATED:
                break
    return _stack(problem, work, grid[: len(outcomes)], outcomes, explained, time.perf_counter() - began)


def _blas_threads(problem: Problem) -> AbstractContextManager[object]:
    """One BLAS thread for small data, those of SciPy's BLAS alone (numba's too) for middling ones, all for large."""
    size = problem.design.n * problem.design.p
    if size > MIDDLING:
        return nullcontext()
    pools = _threads()
    if size > SMALL:
        pools = pools.select(filepath=[pool.filepath for pool in pools.lib_controllers if "numpy" in pool.filepath])
    return pools.limit(limits=1, user_api="blas")


@cache
def _threads() -> ThreadpoolController:
    return ThreadpoolController()


def _null(work: Reduced, limits: Limits) -> tuple[State, float]:
    state = null_state(work.problem, limits)
    return state, float(work.problem.loss.value(state.eta, work.problem.y, work.problem.s)) + work.constant


def _walk(problem: Problem, null: State, null_objective: float) -> Compiled | GroupWalk | Plain:
    road = Compiled if is_compiled(problem) else GroupWalk if is_group_walk(problem) else Plain
    return road(problem, null, null_objective)


def _grid(top: float, n_alphas: int, eps: float) -> np.ndarray:
    if n_alphas < 1:
        raise InputError(f"n_alphas is {n_alphas}; give at least 1")
    if not 0 < eps < 1:
        raise InputError(f"eps is {eps}; give a number between 0 and 1")
    if top <= 0:  # nothing to explain: every alpha gives the null model
        top = 1.0
    return np.geomspace(top, top * eps, n_alphas) if n_alphas > 1 else np.array([top])


def _check_alphas(alphas: ArrayLike) -> np.ndarray:
    grid = np.sort(np.atleast_1d(np.asarray(alphas, dtype=np.float64)))[::-1]
    if grid.ndim != 1 or grid.size == 0:
        raise InputError("alphas is empty; give at least one positive number")
    if not (np.isfinite(grid).all() and grid[-1] > 0):
        raise InputError(f"alpha is {grid[-1]}; give positive, finite numbers (alpha → 0 is an unpenalised model)")
    return grid


def _explained(work: Reduced, outcome: Outcome, null_objective: float) -> float:
    return 1.0 - (outcome.data_term + work.constant) / null_objective if null_objective > 0 else 0.0


def _raised(certificate: Certificate, constant: float) -> Certificate:
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
    models = [outcome.model for outcome in outcomes]
    features, column = np.unique(np.concatenate([model.support for model in models]), return_inverse=True)
    values = np.zeros((len(models), len(features), len(models[0].b)))
    row = np.repeat(np.arange(len(models)), [len(model.support) for model in models])
    values[row, column] = np.concatenate([model.v for model in models])
    values, intercepts = _original(problem, work, features, values, np.stack([outcome.model.b for outcome in outcomes]))
    values, single = np.moveaxis(values, -1, 1), not problem.loss.multi
    return RegularizationPath(
        alphas=alphas,
        features=features,
        values=values[:, 0] if single else values,
        n_features=problem.design.p,
        intercepts=intercepts[:, 0] if single else intercepts,
        certificates=tuple(_raised(outcome.certificate, work.constant) for outcome in outcomes),
        deviance_explained=np.array(explained),
        statuses=tuple(outcome.status for outcome in outcomes),
        n_nonzero=np.count_nonzero(values.any(axis=1), axis=-1),
        seconds=seconds,
    )
