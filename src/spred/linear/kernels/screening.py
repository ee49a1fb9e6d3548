"""Which features may violate their bound, and are evaluated anew; and with which positions a solve begins."""
# mypy: allow-untyped-defs, allow-untyped-decorators, allow-untyped-calls

from __future__ import annotations

import numpy as np

from spred.linear.kernels.columns import column_dot, correlate_some
from spred.linear.kernels.vectors import compiled, distance, dot, largest

SLACK = 1e-9
"""Relative allowance for rounding: a bound this close to the level counts as above it.

Larger evaluates more features; it must stay well above the rounding of a sum over the samples. Measured by the tests of
``solvers.screening``.
"""


LIGHT, HEAVY = 1.0 / 16.0, 64.0
"""Range of weights in which violations are measured by alpha alone: square roots of groups' sizes lie in it.

Beyond, a tolerance relative to alpha would be none for small weights, and not to be reached for large ones.
"""


FEW = 100
"""Features that may join a working set at once, if its support is not larger.

More are useless coordinates, fewer are more rounds. Measured by ``scripts/bench linear``.
"""


MOST_BISECTIONS, NEARLY = 40, 0.9
"""Halvings at most in the search for the features that join, and the fraction of their number that is good enough.

A better fraction takes more passes over the candidates. Measured by ``scripts/bench linear``.
"""


@compiled
def score(gradient, positive):
    """Return what of a ``gradient`` counts against the threshold: its size; if ``positive``, only below zero."""
    return -gradient if positive else abs(gradient)


@compiled
def screen(screening, theta, level, known, grad):
    """Move to the dual point ``theta``; return the features that no bound proves below ``level · weights``.

    These and the ``known`` ones, whose gradient is ``grad``, are noted under the new dual point, which takes the slot
    with the fewest features.
    """
    values, slot, count, thetas = screening.values, screening.slot, screening.count, screening.thetas
    norms, weights, positive = screening.norms, screening.weights, screening.positive
    scale, rest, new = np.zeros(count.size), np.zeros(count.size), 0
    for a in range(count.size):
        if count[a] < count[new]:
            new = a
    for a in range(count.size):
        if count[a] > 0:
            size = dot(thetas[a], thetas[a])
            scale[a] = dot(thetas[a], theta) / size if size > 0 else 0.0
            rest[a] = distance(theta, scale[a], thetas[a])
    rest[new] = np.inf  # its place is needed: features last evaluated there are evaluated anew
    for a in range(known.size):
        count[slot[known[a]]] -= 1
        slot[known[a]] = -1
    out, found = np.empty(values.size, np.int64), 0
    for j in range(values.size):
        at = slot[j]
        if at < 0:
            continue
        if not score(scale[at] * values[j], positive[j]) + norms[j] * rest[at] < (1.0 - SLACK) * level * weights[j]:
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
    screening.current = new
    return out[:found].copy()


@compiled
def update(screening, theta, level, known, grad):
    """``screen``, and evaluate the features that it returns."""
    unproven = screen(screening, theta, level, known, grad)
    evaluated = correlate_some(screening.matrix, theta, unproven, screening.mean, screening.scale)
    for a in range(unproven.size):
        screening.values[unproven[a]] = evaluated[a]
    return unproven


@compiled
def unit(weight):
    """Return in what a violation of a feature is measured: its weight where that is far from 1.

    So units of columns do not matter where weights go along with them.
    """
    return weight if weight > HEAVY or 0.0 < weight < LIGHT else 1.0


@compiled
def exceeding(screening, features, least, level):
    """Return which ``features`` have a score beyond ``least · weights``, and by how much it is beyond ``level``'s.

    That is in the feature's own unit.
    """
    values, weights, positive = screening.values, screening.weights, screening.positive
    out, excess, found = np.empty(features.size, np.int64), np.empty(features.size), 0
    for a in range(features.size):
        j = features[a]
        size = score(values[j], positive[j])
        if size > least * weights[j]:
            out[found], excess[found] = j, (size - level * weights[j]) / unit(weights[j])
            found += 1
    return out[:found], excess[:found]


@compiled
def current_gradient(iterate, work):
    """Write the gradient at the dual point in ``work`` into ``iterate.g``: the known one where it is current."""
    screening, features, g = iterate.screening, iterate.features, iterate.g
    for a in range(work.size):
        j = work[a]
        at = features[j]
        if screening.slot[at] == screening.current:
            g[j] = screening.values[at]
        else:
            g[j] = column_dot(iterate.columns, j, iterate.theta)


@compiled
def starting_set(iterate, evaluated, threshold):
    """Return the positions to begin with at a new alpha, and features that should be among them and have no position.

    They are the support, free features, and the strongest of ``evaluated`` whose score is beyond ``threshold``.
    """
    x, weights, position = iterate.x, iterate.weights, iterate.position
    wanted, inside = np.zeros(x.size, np.bool_), 0
    for j in range(x.size):
        inside += x[j] != 0.0
        wanted[j] = x[j] != 0.0 or weights[j] == 0.0
    outside, excess = exceeding(iterate.screening, evaluated, threshold, threshold)
    least, found = _bound_on_most(excess, max(FEW, inside)), 0
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
def _bound_on_most(excess, most):
    """Return a number that at most ``most`` of ``excess`` are above, and hardly fewer."""
    if excess.size <= most:
        return 0.0
    low, high = 0.0, largest(excess)
    for _ in range(MOST_BISECTIONS):
        middle, count = 0.5 * (low + high), 0
        for a in range(excess.size):
            count += excess[a] > middle
        if count > most:
            low = middle
        else:
            high = middle
            if count > NEARLY * most:
                break
    return high
