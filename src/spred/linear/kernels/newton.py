"""Newton's method on the support: the line search, the iteration, the objectives."""
# mypy: allow-untyped-defs, allow-untyped-decorators, allow-untyped-calls

from __future__ import annotations

import numpy as np

from spred.linear.kernels.columns import column_dots, move_predictor
from spred.linear.kernels.factor import build, synchronise
from spred.linear.kernels.losses import SQUARED, centre, conjugate, loss_value, slopes
from spred.linear.kernels.quadratic import minimise_model
from spred.linear.kernels.screening import current_gradient, exceeding, score, unit, update
from spred.linear.kernels.state import reserve, set_penalty
from spred.linear.kernels.vectors import TINY, add, compiled, copy, dot, inlined, largest, total

ARMIJO = 1e-4
"""Fraction of the decrease promised by the model that a step must deliver; larger rejects good steps.

The usual value (Nocedal and Wright). Measured by ``scripts/bench linear``.
"""


ROUNDING = 1e-14
"""Increase of the objective, relative to it, that counts as rounding.

Less stalls at the optimum, more accepts bad steps. Measured by the gaps of ``scripts/bench linear``.
"""


SHORTEST = 1e-9
"""Step below which the line search gives up: by then the direction is rounding."""


ENTERING = 20
"""Coordinates that may enter the model at once, if the support is not larger.

More leave again, fewer take more steps. Measured by ``scripts/bench linear``.
"""


# Costs of ``_worth_building``, in multiply-adds of a pass over a vector. What they trade is a fresh Hessian, which is
# quadratically convergent, for more steps with an old one. Measured by ``scripts/bench linear``, on the logistic paths.

EVALUATION = 75.0
"""Cost of a sample's loss in a step with its line search: exponentials, a logarithm, slope, curvature."""


SUBSTITUTION = 1.5
"""Cost of a multiply-add of a triangular solve: its rows are short, and the model is solved more than once a step."""


SCALING = 2.5
"""Cost of an entry of a column that is centred, weighted and copied for the Hessian."""


MATRIX_PRODUCT = 0.25
"""Cost of a multiply-add of a matrix product, which BLAS keeps in registers and cache."""


FACTORISATION = 0.9
"""Cost of a multiply-add of a Cholesky factorisation of a few hundred rows."""


HORIZON = 10.0
"""How many alphas a fresh Hessian is expected to serve."""


UNAVOIDABLE = 2.0
"""Steps that are made with a fresh Hessian as well."""


STALLED = 0.9
"""Factor a step by which an old Hessian is too slow, whatever a fresh one costs."""


@compiled
def penalty_value(x, lam, ridge, work):
    """Return ``Σ λ|x| + ½ ridge x²`` over ``work``."""
    total = 0.0
    for a in range(work.size):
        j = work[a]
        total += lam[j] * abs(x[j]) + 0.5 * ridge[j] * x[j] * x[j]
    return total


@compiled
def residual(x, g, lam, positive):
    """Return the KKT residual of one coordinate; negative for one that is optimal at zero."""
    if lam == 0.0:
        return abs(g)
    if x != 0.0:
        return abs(g + lam * np.sign(x))
    return score(g, positive) - lam


@compiled
def _choose(x, lam, work, residuals, tol, n):
    """Mark the coordinates of the next model: the support, free ones, and the strongest that are to leave zero.

    While a residual of the support is the largest, none enters: most would leave again once the support has converged.
    """
    active = np.zeros(work.size, np.bool_)
    count, of_support, strongest = 0, 0.0, 0.0
    for a in range(work.size):
        j = work[a]
        if x[j] != 0.0 or lam[j] == 0.0:
            active[a] = True
            count += 1
            of_support = max(of_support, residuals[a])
        else:
            strongest = max(strongest, residuals[a])
    if of_support > tol and of_support >= strongest:
        return active
    # Beyond n there is no unique solution: the support may fill up to it, not over.
    for _ in range(max(min(max(ENTERING, count), n - count), 1)):
        best = -1
        for a in range(work.size):
            if not active[a] and residuals[a] > tol and (best < 0 or residuals[a] > residuals[best]):
                best = a
        if best < 0:
            break
        active[best] = True
    return active


@compiled
def _worth_building(n, k, work, violation, tol, rate):
    """Whether a fresh Hessian costs less than the steps that an old one, with this ``rate``, would take more.

    A step is a product with each column of ``work`` and two with each of the support, triangular solves, and the loss;
    a Hessian is k columns, the half of their products, and a factorisation.
    """
    if rate <= 0.0:
        return False
    if rate >= STALLED:
        return True
    steps = np.log(tol / violation) / np.log(rate)
    step = n * (work + 2.0 * k) + SUBSTITUTION * k * k + EVALUATION * n
    hessian = SCALING * n * k + MATRIX_PRODUCT * n * k * k / 2.0 + FACTORISATION * k * k * k / 6.0
    return HORIZON * (steps - UNAVOIDABLE) * step > hessian


@compiled
def line_search(iterate, work, trial):
    """Move towards ``trial``, halving the step until the objective falls by its fraction of the promise (Armijo).

    Returns the step, 0 where there was none, and the change of the intercept that went along with it.
    """
    x, g, eta, lam, ridge = iterate.x, iterate.g, iterate.eta, iterate.lam, iterate.ridge
    code, y, s, curvature = iterate.code, iterate.y, iterate.s, iterate.curvature
    change, d, promised = np.zeros(eta.size), np.zeros(x.size), 0.0
    for a in range(work.size):
        j = work[a]
        d[j] = trial[j] - x[j]
        promised += g[j] * d[j]
    move_predictor(iterate.columns, work, d, change)
    shift = dot(change, curvature) / total(curvature) if iterate.intercept else 0.0
    for i in range(change.size):
        change[i] -= shift
    if code == SQUARED:
        add(eta, 1.0, change)
        copy(trial, x)
        return 1.0, -shift
    here = penalty_value(x, lam, ridge, work)
    promised += penalty_value(trial, lam, ridge, work) - here
    before = loss_value(code, eta, y, s) + here
    step, there, between = 1.0, np.empty(eta.size), x.copy()
    while step > SHORTEST:
        for i in range(eta.size):
            there[i] = eta[i] + step * change[i]
        for a in range(work.size):
            j = work[a]
            between[j] = trial[j] if step == 1.0 else x[j] + step * (trial[j] - x[j])
        after = loss_value(code, there, y, s) + penalty_value(between, lam, ridge, work)
        if after <= before + ARMIJO * step * promised + ROUNDING * abs(before):
            copy(there, eta)
            copy(between, x)
            return step, -step * shift
        step *= 0.5
    return 0.0, 0.0


@compiled
def extrapolate(x, last, ratio):
    """Return ``x + ratio (x − last)`` of the coordinates inside at both, without a change of sign."""
    out = x.copy()
    for j in range(last.size):
        there = x[j] + ratio * (x[j] - last[j])
        if last[j] != 0.0 and there * x[j] > 0.0:
            out[j] = there
    return out


@inlined
def _evaluate(iterate, work, known, curvature):
    """Bring ``theta``, and ``g`` unless it is ``known``, to the predictor; return the change of the intercept.

    The second derivatives there go to ``curvature``. With ``g`` the intercept is optimal already.
    """
    code, eta, y, s, theta, moved = iterate.code, iterate.eta, iterate.y, iterate.s, iterate.theta, 0.0
    if iterate.intercept and not known:
        moved = centre(code, eta, y, s, theta, curvature)
    else:
        slopes(code, eta, y, s, theta, curvature)
    if not known:
        column_dots(iterate.columns, work, iterate.x.size, theta, iterate.g)
    return moved


@inlined
def _violations(iterate, work, gradient, residuals):
    """Fill in the ``gradient`` of loss and ridge and the KKT ``residuals`` in ``work``; return the largest of these."""
    x, g, ridge, lam, positive, violation = iterate.x, iterate.g, iterate.ridge, iterate.lam, iterate.positive, 0.0
    weights = iterate.weights
    for a in range(work.size):
        j = work[a]
        gradient[j] = g[j] + ridge[j] * x[j]
        residuals[a] = residual(x[j], gradient[j], lam[j], positive[j]) / unit(weights[j])
        violation = max(violation, residuals[a])
    return violation


@inlined
def _renew(iterate, work, active, curvature):
    """Factorise the Hessian of the support at ``curvature``: the active coordinates but those about to enter."""
    x, lam, inside = iterate.x, iterate.lam, active.copy()
    for a in range(work.size):
        if active[a] and x[work[a]] == 0.0 and lam[work[a]] > 0.0:
            inside[a] = False
    copy(curvature, iterate.curvature)
    build(iterate, work, inside)
    iterate.rate = 0.0


@inlined
def newton(iterate, work, last, ratio, tol, max_steps):
    """Newton's method on the coordinates ``work``, until every KKT residual there is at most ``tol``.

    The ``iterate`` is changed in place; its ``theta``, and its ``g`` in ``work``, are right at the start. ``last`` are
    the coefficients one alpha earlier, from which is extrapolated by ``ratio`` where that lowers the objective. Returns
    the change of the intercept, the steps taken and the largest residual.
    """
    n, quadratic, x, lam = iterate.eta.size, iterate.code == SQUARED, iterate.x, iterate.lam
    now, residuals, gradient = np.empty(n), np.empty(work.size), np.empty(x.size)
    moved, before, steps = 0.0, 0.0, 0
    known, fresh, short, same_support = True, False, False, False
    if ratio > 0.0:
        step, moved = line_search(iterate, work, extrapolate(x, last, ratio))
        known = step == 0.0
    while True:
        moved += _evaluate(iterate, work, known, now)
        violation, known = _violations(iterate, work, gradient, residuals), False
        if violation <= tol or steps >= max_steps:
            break
        if same_support and before > 0.0:
            iterate.rate = violation / before
            if violation >= before and (fresh or quadratic):
                break  # what is left is rounding
        steps += 1
        active, size = _choose(x, lam, work, residuals, tol, n), iterate.size
        fresh = size == 0 or (
            not quadratic and (short or _worth_building(n, size, work.size, violation, tol, iterate.rate))
        )
        if fresh:
            _renew(iterate, work, active, now)
        synchronise(iterate, work, active)
        trial, entering = x.copy(), 0
        for a in range(work.size):
            entering += active[a] and x[work[a]] == 0.0 and lam[work[a]] > 0.0
        size = iterate.size
        iterate.size = minimise_model(trial, gradient, lam, iterate.positive, iterate.L, iterate.order, size)
        same_support, before = entering == 0 and iterate.size == size, violation
        step, shift = line_search(iterate, work, trial)
        moved += shift
        if step == 0.0 and fresh:
            break
        short = step < 1.0
        same_support = same_support and not short
    return moved, steps, violation


@compiled
def refine(iterate, work, last, ratio, level, ridge_level, least, tol, max_steps):
    """Newton on the positions ``work``, and what it means for all other features: a round of an alpha, in one call.

    Returns the change of the intercept, the steps, the largest residual, all features that were evaluated, those with a
    score beyond ``least`` with their excess over ``level``, and the largest of these.
    """
    set_penalty(iterate, level, ridge_level)
    reserve(iterate, work.size)
    current_gradient(iterate, work)
    moved, steps, violation = newton(iterate, work, last, ratio, tol, max_steps)
    screening, features, g = iterate.screening, iterate.features, iterate.g
    known, grad = np.empty(work.size, np.int64), np.empty(work.size)
    for a in range(work.size):
        known[a], grad[a] = features[work[a]], g[work[a]]
    unproven = update(screening, iterate.theta, level, known, grad)
    evaluated = np.empty(known.size + unproven.size, np.int64)
    copy(known, evaluated[: known.size])
    copy(unproven, evaluated[known.size :])
    outside, excess = exceeding(screening, unproven, least, level)
    return moved, steps, violation, evaluated, outside, excess, largest(excess)


@compiled
def objectives(iterate, theta, work, features):
    """Return the data term, the primal and the dual objective: ``core.certificate`` for what runs here.

    ``theta`` is the dual point, with the gradients of ``screening`` for all ``features`` that could lie outside there.
    """
    screening, level, ridge_level = iterate.screening, iterate.level, iterate.ridge_level
    values, weights, positive = screening.values, screening.weights, screening.positive
    code, y, s, offset = iterate.code, iterate.y, iterate.s, iterate.offset
    highest, excess = 0.0, 0.0
    for a in range(features.size):
        j = features[a]
        if weights[j] > 0.0:
            size = score(values[j], positive[j])
            highest = max(highest, size / weights[j])
            excess += max(size - level * weights[j], 0.0) ** 2 / weights[j]
    inside, dual = min(1.0, level / max(highest, TINY)), -np.inf
    # Scaled to be inside; as it is, where the ridge allows it at a cost; zero, where that fails.
    for scale in (inside, 1.0, 0.0):
        allowed = scale == 1.0 and ridge_level > 0.0
        if scale == inside or allowed or not np.isfinite(dual):
            cost = excess / (2.0 * ridge_level) if allowed else 0.0
            dual = max(dual, -conjugate(code, scale * theta, y, s, offset) - cost)
    data = loss_value(code, iterate.eta, y, s)
    return data, data + penalty_value(iterate.x, iterate.lam, iterate.ridge, work), dual
