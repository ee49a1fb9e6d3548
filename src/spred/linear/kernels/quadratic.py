"""The penalised quadratic model of a Newton step, minimised exactly on the coordinates of a factor."""
# mypy: allow-untyped-defs, allow-untyped-decorators

from __future__ import annotations

import numpy as np

from spred.linear.kernels.factor import remove_row, solve
from spred.linear.kernels.vectors import compiled, dot

TURNS, MORE_TURNS = 10, 20
"""Directions at most, for each coordinate and besides: a guard against rounding, far above what is needed.

Each direction but the last changes a sign or sets a coordinate to zero.
"""


@compiled
def _breakpoints(x, d, lam, order, k):
    """Coordinates that reach zero between ``x`` and ``x + d``, by the step at which they do."""
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
    """Minimise the penalised quadratic model on the coordinates ``order[:k]``; return how many of them remain.

    Newton directions on the support, each followed to the minimum of the piecewise quadratic along it: signs change
    where they should, coordinates whose minimum is at zero leave ``order`` and the factor. ``x`` is changed in place;
    ``g`` is the gradient of loss and ridge at the start. Coordinates at zero leave it along their own descent.
    """
    sign, right, d = np.empty(k), np.empty(k), np.empty(k)
    for i in range(k):
        j = order[i]
        sign[i] = np.sign(x[j]) if x[j] != 0 else -np.sign(g[j])
        right[i] = -(g[j] + lam[j] * sign[i])
    for _ in range(TURNS * k + MORE_TURNS):
        if k == 0:
            break
        solve(L, k, right, d)
        decrease = dot(right[:k], d[:k])
        if not decrease > 0.0:
            break
        before = k
        k = _keep_at_zero(x, d, right, lam, sign, L, order, k)
        if k < before:
            continue
        which, step, flipped, ends = _minimise_along(x, d, decrease, lam, positive, order, k)
        for i in range(k):
            x[order[i]] += step * d[i]
            right[i] *= 1.0 - step
        for c in range(flipped):
            i = which[c]
            right[i] += 2.0 * lam[order[i]] * sign[i]
            sign[i] = -sign[i]
        if ends:
            x[order[which[flipped]]] = 0.0
            k = _remove(L, order, k, which[flipped], sign, right)
        elif flipped == 0:
            break
    return k


@compiled
def _minimise_along(x, d, decrease, lam, positive, order, k):
    """Find the minimum of the piecewise quadratic along ``d``; ``decrease`` is minus its slope at the start.

    Returns the coordinates that reach zero, in order, the step, how many of them change their sign before the minimum,
    and whether it lies where the next of them is zero.
    """
    which, when, count = _breakpoints(x, d, lam, order, k)
    slope, flipped = -decrease, 0
    for c in range(count):
        i = which[c]
        if slope + decrease * when[c] >= 0:
            break
        jump = np.inf if positive[order[i]] else 2.0 * lam[order[i]] * abs(d[i])
        if slope + jump + decrease * when[c] >= 0:
            return which, when[c], flipped, True
        slope += jump
        flipped = c + 1
    return which, -slope / decrease, flipped, False


@compiled
def _keep_at_zero(x, d, right, lam, sign, L, order, k):
    """Keep at zero the coordinates that the direction ``d`` moves to the wrong side; one of those entering goes on."""
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
            k = _remove(L, order, k, i, sign, right)
    return k


@compiled
def _remove(L, order, k, at, sign, right):
    remove_row(L, order, k, at)
    for i in range(at, k - 1):
        sign[i], right[i] = sign[i + 1], right[i + 1]
    return k - 1
