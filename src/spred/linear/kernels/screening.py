"""Which features may break their bound, and which are evaluated anew."""
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np

from spred.linear.kernels.columns import along, correlate_some
from spred.linear.kernels.vectors import compiled, distance, dot

SLACK = 1e-9
"""Relative room for rounding: a bound this close to the level counts as above it."""


FEW = 100
"""Features that may join a working set at once, if its support is not larger."""


@compiled
def settle(values, slot, count, thetas, norms, weights, positive, theta, level, known, grad):
    """Move to ``theta``: return its slot and the features that no bound proves below ``level · weights``.

    These and the ``known`` ones, whose gradient is ``grad``, are booked under that slot; ``count`` says how many each
    slot has.
    """
    share, rest, new = np.zeros(count.size), np.zeros(count.size), 0
    for a in range(count.size):
        if count[a] < count[new]:
            new = a
    for a in range(count.size):
        if count[a] > 0:
            size = dot(thetas[a], thetas[a])
            share[a] = dot(thetas[a], theta) / size if size > 0 else 0.0
            rest[a] = distance(theta, share[a], thetas[a])
    rest[new] = np.inf  # its place is needed: features last seen there are evaluated
    for a in range(known.size):
        count[slot[known[a]]] -= 1
        slot[known[a]] = -1
    out, found = np.empty(values.size, np.int64), 0
    for j in range(values.size):
        at = slot[j]
        if at < 0:
            continue
        if not pull(share[at] * values[j], positive[j]) + norms[j] * rest[at] < (1.0 - SLACK) * level * weights[j]:
            out[found] = j
            found += 1
    for a in range(found):
        count[slot[out[a]]] -= 1
        slot[out[a]] = new
    for a in range(known.size):
        slot[known[a]], values[known[a]] = new, grad[a]
    count[new] += found + known.size
    for i in range(theta.size):
        thetas[new, i] = theta[i]
    return new, out[:found].copy()


@compiled
def pull(value, positive):
    """Return by how much a gradient of ``value`` pulls a coordinate away from zero."""
    return -value if positive else abs(value)


@compiled
def above(values, weights, positive, features, level, near):
    """Return which ``features`` are pulled beyond ``near · weights``, and by how much beyond ``level · weights``."""
    out, excess, found = np.empty(features.size, np.int64), np.empty(features.size), 0
    for a in range(features.size):
        j = features[a]
        size = pull(values[j], positive[j])
        if size > near * weights[j]:
            out[found], excess[found] = j, size - level * weights[j]
            found += 1
    return out[:found], excess[:found]


@compiled
def update(matrix, mean, scale, values, slot, count, thetas, norms, weights, positive, theta, level, known, grad):
    """``settle``, and evaluate the features that no bound settles."""
    now, unsettled = settle(values, slot, count, thetas, norms, weights, positive, theta, level, known, grad)
    evaluated = correlate_some(matrix, theta, unsettled, mean, scale)
    for a in range(unsettled.size):
        values[unsettled[a]] = evaluated[a]
    return now, unsettled


@compiled
def collect(columns, values, slot, now, features, work, theta, g):
    """Write the gradient at ``theta`` in ``work`` into ``g``: what is booked under the slot ``now``, or else anew."""
    for a in range(work.size):
        j = work[a]
        at = features[j]
        g[j] = values[at] if slot[at] == now else along(columns, j, theta)


@compiled
def expect(values, weights, positive, seen, level, x, position, omega, price, paid, lam, ridge):
    """Price every position at ``price`` (L1) and ``paid`` (ridge), and say with which positions to begin.

    These are the support, free features, and the strongest of ``seen`` that are pulled beyond ``level``. Those of the
    latter that have no position are returned as well.
    """
    wanted, inside = np.zeros(x.size, np.bool_), 0
    for j in range(x.size):
        inside += x[j] != 0.0
        wanted[j] = x[j] != 0.0 or omega[j] == 0.0
        lam[j], ridge[j] = price * omega[j], paid * omega[j]
    outside, excess = above(values, weights, positive, seen, level, level)
    least, found = _level_of(excess, max(FEW, inside)), 0
    for a in range(outside.size):
        at = position[outside[a]]
        if excess[a] > least and at >= 0:
            wanted[at] = True
        elif excess[a] > least:
            outside[found] = outside[a]
            found += 1
    work, count = np.empty(x.size, np.int64), 0
    for j in range(x.size):
        if wanted[j]:
            work[count] = j
            count += 1
    return work[:count], outside[:found]


@compiled
def largest(excess):
    """Return the largest of ``excess``, and 0 if none is above."""
    out = 0.0
    for a in range(excess.size):
        out = max(out, excess[a])
    return out


@compiled
def _level_of(excess, most):
    """Return a number that at most ``most`` of ``excess`` are above, and hardly fewer."""
    low, high = 0.0, largest(excess)
    for _ in range(40 if excess.size > most else 0):
        middle, count = 0.5 * (low + high), 0
        for a in range(excess.size):
            count += excess[a] > middle
        if count > most:
            low = middle
        else:
            high = middle
            if 10 * count > 9 * most:
                break
    return high if excess.size > most else 0.0
