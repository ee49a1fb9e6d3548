"""Newton's method on the support: the quadratic model, the line search, the loop, the objectives."""
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np

from spred.linear.kernels.columns import along_all, push
from spred.linear.kernels.factor import BATCH, build, drop, solve, synchronise
from spred.linear.kernels.losses import SQUARED, centre, conjugate, loss_value, slopes
from spred.linear.kernels.screening import above, collect, largest, pull, update
from spred.linear.kernels.vectors import add, compiled, copy, dot, inlined, total

HORIZON = 10.0
"""How many alphas a Hessian is taken to serve when its price is weighed."""


@compiled
def _crossings(x, d, lam, order, k):
    """Coordinates that reach zero on the way from ``x`` to ``x + d``, by the time at which they do."""
    which, when, count = np.empty(k, np.int64), np.empty(k), 0
    for i in range(k):
        here = x[order[i]]
        if lam[order[i]] > 0 and here * d[i] < 0 and -here / d[i] < 1.0:
            time, at = -here / d[i], count
            while at > 0 and when[at - 1] > time:  # there are few: sorted as they come
                which[at], when[at] = which[at - 1], when[at - 1]
                at -= 1
            which[at], when[at] = i, time
            count += 1
    return which, when, count


@compiled
def minimise_model(x, g, lam, positive, L, order, k):
    """Minimise the penalised quadratic model on the coordinates ``order[:k]``; return what is left of ``k``.

    Newton directions on the support, each followed to the minimum of the piecewise quadratic along it: signs change
    where they should, coordinates that stop at zero leave ``order`` and the factor. ``x`` is changed in place; ``g``
    is the gradient of loss and ridge at the start. Coordinates at zero leave it along their own descent.
    """
    sign, right, d = np.empty(k), np.empty(k), np.empty(k)
    for i in range(k):
        j = order[i]
        sign[i] = np.sign(x[j]) if x[j] != 0 else -np.sign(g[j])
        right[i] = -(g[j] + lam[j] * sign[i])
    for _ in range(10 * k + 20):
        if k == 0:
            break
        solve(L, k, right, d)
        fall = dot(right[:k], d[:k])
        if not fall > 0.0:
            break
        before = k
        k = _stay(x, d, right, lam, sign, L, order, k)
        if k < before:
            continue
        which, when, count = _crossings(x, d, lam, order, k)
        slope, stop, step = -fall, -1, 1.0
        flipped = 0
        for c in range(count):
            i = which[c]
            if slope + fall * when[c] >= 0:
                break
            jump = np.inf if positive[order[i]] else 2.0 * lam[order[i]] * abs(d[i])
            if slope + jump + fall * when[c] >= 0:
                stop, step = i, when[c]
                break
            slope += jump
            flipped = c + 1
        if stop < 0:
            step = -slope / fall
        for i in range(k):
            x[order[i]] += step * d[i]
            right[i] *= 1.0 - step
        for c in range(flipped):
            i = which[c]
            right[i] += 2.0 * lam[order[i]] * sign[i]
            sign[i] = -sign[i]
        if stop >= 0:
            x[order[stop]] = 0.0
            k = _leave(L, order, k, stop, sign, right)
        elif flipped == 0:
            break
    return k


@compiled
def _stay(x, d, right, lam, sign, L, order, k):
    """Keep at zero the coordinates that the direction ``d`` pulls to the wrong side; one of those entering goes on."""
    strongest, entering = -1, 0
    for i in range(k):
        if x[order[i]] == 0.0 and lam[order[i]] > 0:
            entering += 1
            if strongest < 0 or abs(right[i]) > abs(right[strongest]):
                strongest = i
    if entering == 0:
        return k
    wrong, count = np.zeros(k, np.bool_), 0
    for i in range(k):
        wrong[i] = x[order[i]] == 0.0 and lam[order[i]] > 0 and d[i] * sign[i] <= 0
        count += wrong[i]
    if entering > 1 and count == entering:
        wrong[strongest] = False
    for i in range(k - 1, -1, -1):
        if wrong[i]:
            k = _leave(L, order, k, i, sign, right)
    return k


@compiled
def _leave(L, order, k, at, sign, right):
    drop(L, order, k, at)
    for i in range(at, k - 1):
        sign[i], right[i] = sign[i + 1], right[i + 1]
    return k - 1


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
    """Return the KKT residual of one coordinate; negative for one at rest at zero."""
    if lam == 0.0:
        return abs(g)
    if x != 0.0:
        return abs(g + lam * np.sign(x))
    return pull(g, positive) - lam


@compiled
def _choose(x, lam, work, residuals, tol, n):
    """Mark the coordinates of the next model: the support, free ones, and the strongest that want to leave zero.

    While the support is further from rest than they are, none enters: most would leave again once it has settled.
    """
    active = np.zeros(work.size, np.bool_)
    count, unrest, strongest = 0, 0.0, 0.0
    for a in range(work.size):
        j = work[a]
        if x[j] != 0.0 or lam[j] == 0.0:
            active[a] = True
            count += 1
            unrest = max(unrest, residuals[a])
        else:
            strongest = max(strongest, residuals[a])
    if unrest > tol and unrest >= strongest:
        return active
    for _ in range(max(min(max(20, count), n - count), 1)):  # beyond n there is no unique solution: fill up, not over
        best = -1
        for a in range(work.size):
            if not active[a] and residuals[a] > tol and (best < 0 or residuals[a] > residuals[best]):
                best = a
        if best < 0:
            break
        active[best] = True
    return active


@compiled
def _worth_building(n, k, work, worst, tol, rate):
    """Whether a fresh Hessian costs less than the steps that an old one, with this ``rate``, would take more.

    The prices are nanoseconds of a pass, a product and a factorisation, rounded; a fresh Hessian serves the next
    alphas too.
    """
    if rate <= 0.0:
        return False
    left = np.log(tol / worst) / np.log(rate) if rate < 0.9 else 1e9
    step = 0.2 * n * (work + 2 * k) + 0.3 * k * k + 15.0 * n
    build = 0.025 * n * k * k + 0.5 * n * k + 0.03 * k * k * k
    return HORIZON * (left - 2.0) * step > build


@compiled
def line_search(code, intercept, y, s, lam, ridge, work, x, trial, g, columns, bend, eta):
    """Move ``x`` and ``eta`` towards ``trial``, halving the step until the objective falls by its share (Armijo).

    Returns the step, 0 where there was none, and the change of the intercept that went along with it.
    """
    change, d, promised = np.zeros(eta.size), np.zeros(x.size), 0.0
    for a in range(work.size):
        j = work[a]
        d[j] = trial[j] - x[j]
        promised += g[j] * d[j]
    push(columns, work, d, change)
    shift = dot(change, bend) / total(bend) if intercept else 0.0
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
    while step > 1e-9:
        for i in range(eta.size):
            there[i] = eta[i] + step * change[i]
        for a in range(work.size):
            j = work[a]
            between[j] = trial[j] if step == 1.0 else x[j] + step * (trial[j] - x[j])
        after = loss_value(code, there, y, s) + penalty_value(between, lam, ridge, work)
        if after <= before + 1e-4 * step * promised + 1e-14 * abs(before):
            copy(there, eta)
            copy(between, x)
            return step, -step * shift
        step *= 0.5
    return 0.0, 0.0


@compiled
def extrapolate(x, last, ahead):
    """Return ``x + ahead (x − last)`` of the coordinates inside at both, without a change of sign."""
    out = x.copy()
    for j in range(last.size):
        there = x[j] + ahead * (x[j] - last[j])
        if last[j] != 0.0 and there * x[j] > 0.0:
            out[j] = there
    return out


@inlined
def newton(
    code,
    intercept,
    positive,
    columns,
    work,
    lam,
    ridge,
    stiffness,
    y,
    s,
    x,
    eta,
    theta,
    g,
    last,
    ahead,
    L,
    order,
    bend,
    memory,
    tol,
    max_steps,
):
    """Newton's method on the coordinates ``work``, until every KKT residual there is at most ``tol``.

    Changes in place: coefficients ``x``, linear predictor ``eta``, its gradient ``theta``, the gradient ``g`` of the
    loss in ``work`` (both are right at the start), and what is kept from call to call: the
    factor ``L`` of the Hessian of ``order`` at the curvature ``bend``, and ``memory``: how many coordinates are in it
    (0 asks for a new one) and the rate at which the residual fell with it. Returns the change of the intercept, the
    steps taken and the largest residual. ``stiffness`` is what the Hessian's diagonal gets: the ridge and a trifle, so
    that a free coordinate on its way to infinity (separable classes) takes steps of finite length. ``last`` are the
    coefficients one stop earlier, which are followed ``ahead`` where that lowers the objective.
    """
    n, k, rate, known = eta.size, int(memory[0]), memory[1], True
    now, scratch, residuals, uphill = np.empty(n), np.empty((BATCH, n)), np.empty(work.size), np.empty(x.size)
    moved, before, steps, poor = 0.0, 0.0, 0, False
    fresh, alone = False, False
    if ahead > 0.0:
        trial = extrapolate(x, last, ahead)
        step, moved = line_search(code, intercept, y, s, lam, ridge, work, x, trial, g, columns, bend, eta)
        known = step == 0.0
    while True:
        if intercept and not known:
            moved += centre(code, eta, y, s, theta, now)
        else:
            slopes(code, eta, y, s, theta, now)
        if not known:
            along_all(columns, work, x.size, theta, g)
        worst = 0.0
        for a in range(work.size):
            j = work[a]
            uphill[j] = g[j] + ridge[j] * x[j]
            residuals[a] = residual(x[j], uphill[j], lam[j], positive[j])
            worst = max(worst, residuals[a])
        known = False
        if worst <= tol or steps >= max_steps:
            break
        if alone and before > 0.0:
            rate = worst / before
            if worst >= before and (fresh or code == SQUARED):
                break  # what is left is rounding
        steps += 1
        active = _choose(x, lam, work, residuals, tol, n)
        inside, entering = active.copy(), 0
        for a in range(work.size):
            if active[a] and x[work[a]] == 0.0 and lam[work[a]] > 0.0:
                inside[a] = False
                entering += 1
        fresh = k == 0 or (code != SQUARED and (poor or _worth_building(n, k, work.size, worst, tol, rate)))
        if fresh:
            copy(now, bend)
            k, rate = build(columns, work, inside, stiffness, bend, intercept, L, order), 0.0
        k = synchronise(columns, active, work, stiffness, bend, intercept, L, order, k, scratch)
        trial = x.copy()
        left = minimise_model(trial, uphill, lam, positive, L, order, k)
        alone, before = entering == 0 and left == k, worst
        k = left
        step, shift = line_search(code, intercept, y, s, lam, ridge, work, x, trial, g, columns, bend, eta)
        moved += shift
        if step == 0.0 and fresh:
            break
        poor = step < 1.0
        alone = alone and step == 1.0
    memory[0], memory[1] = k, rate
    return moved, steps, worst


@compiled
def objectives(code, eta, theta, y, s, offset, x, lam, ridge, work, values, weights, positive, features, level, paid):
    """Return the data term, the primal and the dual objective: ``core.certificate`` for what runs here.

    ``theta`` is the dual point, with the gradients ``values`` of all ``features`` that could lie outside there.
    ``paid`` is α (1 − ρ), what the ridge can pay for those: 0 without one.
    """
    highest, excess = 0.0, 0.0
    for a in range(features.size):
        j = features[a]
        if weights[j] > 0.0:
            size = pull(values[j], positive[j])
            highest = max(highest, size / weights[j])
            excess += max(size - level * weights[j], 0.0) ** 2 / weights[j]
    inside, dual = min(1.0, level / max(highest, 1e-300)), -np.inf
    for share in (inside, 1.0, 0.0):  # scaled to be inside; as it is, where the ridge pays; nothing, where that fails
        if share == inside or (share == 1.0 and paid > 0.0) or not np.isfinite(dual):
            price = excess / (2.0 * paid) if share == 1.0 and paid > 0.0 else 0.0
            dual = max(dual, -conjugate(code, share * theta, y, s, offset) - price)
    data = loss_value(code, eta, y, s)
    return data, data + penalty_value(x, lam, ridge, work), dual


@compiled
def refine(
    code,
    intercept,
    bounded,
    columns,
    work,
    lam,
    ridge,
    stiffness,
    y,
    s,
    x,
    eta,
    theta,
    g,
    last,
    ahead,
    L,
    order,
    bend,
    memory,
    tol,
    max_steps,
    features,
    matrix,
    mean,
    scale,
    values,
    slot,
    count,
    thetas,
    now,
    norms,
    weights,
    positive,
    level,
    near,
):
    """Newton on the positions ``work``, and what it means for everything else: a round of a stop, in one call.

    The arguments are those of ``collect``, ``newton``, ``update`` and ``above``, which it calls one after another.
    Returns the change of the intercept, the steps, the largest residual, the new slot, all features that were
    evaluated, those beyond ``near`` with their excess over ``level``, and the largest of these.
    """
    collect(columns, values, slot, now, features, work, theta, g)
    moved, steps, worst = newton(
        code,
        intercept,
        bounded,
        columns,
        work,
        lam,
        ridge,
        stiffness,
        y,
        s,
        x,
        eta,
        theta,
        g,
        last,
        ahead,
        L,
        order,
        bend,
        memory,
        tol,
        max_steps,
    )
    known, grad = np.empty(work.size, np.int64), np.empty(work.size)
    for a in range(work.size):
        known[a], grad[a] = features[work[a]], g[work[a]]
    now, unsettled = update(
        matrix,
        mean,
        scale,
        values,
        slot,
        count,
        thetas,
        norms,
        weights,
        positive,
        theta,
        level,
        known,
        grad,
    )
    seen = np.empty(known.size + unsettled.size, np.int64)
    copy(known, seen[: known.size])
    copy(unsettled, seen[known.size :])
    outside, excess = above(values, weights, positive, unsettled, level, near)
    return moved, steps, worst, now, seen, outside, excess, largest(excess)
