"""What the compiled loops work on, one record in place of thirty arguments: the iterate, and the screening bounds.

Both are records that live in compiled code (numba's ``structref``) and are passed by reference. Python holds the
arrays that it reads as well: they are shared, not copied. A record's type names the types of its fields, so
each form of the data (dense or sparse, its layout and precision) has its own compiled loops.
"""
# mypy: allow-untyped-defs, allow-untyped-decorators, allow-untyped-calls, allow-subclassing-any

from __future__ import annotations

import numpy as np
from numba.core import types
from numba.experimental import structref

from spred.linear.kernels.vectors import compiled, copy

DAMPING = 1e-14
"""Curvature, in mean squares of a column, that every coordinate has at least.

A free coordinate on its way to infinity (separable classes) takes steps of finite length so; more of it would slow
Newton's method down. Measured by the tests of separable classes in ``tests/linear/solvers/test_l1.py``.
"""


CAPACITY = 64
"""Rows for which a factor has memory at first; it doubles when it is full."""


class _Record(types.StructRef):
    """A numba type whose fields have types, not values: 0 is an integer like any other."""

    def preprocess_fields(self, fields):
        return tuple((name, types.unliteral(kind)) for name, kind in fields)


@structref.register
class ScreeningType(_Record):
    """The type of :class:`Screening`."""


@structref.register
class IterateType(_Record):
    """The type of :class:`Iterate`."""


class Screening(structref.StructRefProxy):
    """The gradient of every feature where it was last evaluated, and the dual points; see ``solvers.screening``.

    Fields:
        values: ``(p,)``, that gradient.
        slot: ``(p,)``, at which dual point: a row of ``thetas``.
        count: ``(slots,)``, how many features each row has.
        thetas: ``(slots, n)``, dual points.
        norms, weights, positive: ``(p,)``, of the features: Euclidean norm, weight in the penalty, whether only a
            negative gradient moves the feature away from zero.
        matrix, mean, scale: the data as they were given, and what centres and scales them.
        current: the row of the last dual point; −1 for none.
    """


class Iterate(structref.StructRefProxy):
    """A point of the path solver, with the problem that it solves and what is kept from step to step.

    Features of interest have a *position*; arrays ``(m,)`` are by position.

    Fields:
        code, intercept: the loss (a code of ``losses``), and whether there is an intercept.
        y, s, offset: ``(n,)``, targets, sample weights, offsets.
        eta, theta: ``(n,)``, linear predictor, and gradient of the loss in it.
        position: ``(p,)``, of every feature; −1 for those that have none.
        screening: the :class:`Screening` of the same data.
        columns: see ``columns.Columns``.
        features, x, g: ``(m,)``, which feature a position is of; its coefficient; the gradient of the loss in it.
        weights, positive: ``(m,)``, of ``screening``.
        damping: ``(m,)``, curvature that a coordinate has at least.
        level, ridge_level: what the penalty takes for a weight of 1: α ρ and α (1 − ρ).
        lam, ridge, diagonal: ``(m,)``, the same for each position; ``diagonal`` is added to the Hessian's: the ridge
            and the damping.
        curvature: ``(n,)``, second derivatives of the loss at which the Hessian was taken.
        L, order, size: its Cholesky factor, the positions of the rows, how many there are; 0 asks for a new Hessian.
        rate: the factor by which a step with this Hessian reduced the KKT residual; 0 for not known.
    """


structref.define_proxy(
    Screening,
    ScreeningType,
    ["values", "slot", "count", "thetas", "norms", "weights", "positive", "matrix", "mean", "scale", "current"],
)
structref.define_proxy(
    Iterate,
    IterateType,
    [
        *("code", "intercept", "y", "s", "offset", "eta", "theta", "position", "screening"),
        *("columns", "features", "x", "g", "weights", "positive", "damping"),
        *("level", "ridge_level", "lam", "ridge", "diagonal"),
        *("curvature", "L", "order", "size", "rate"),
    ],
)


@compiled
def new_screening(values, slot, count, thetas, norms, weights, positive, matrix, mean, scale):
    """Return a :class:`Screening` whose ``values`` are those at the first dual point."""
    return Screening(values, slot, count, thetas, norms, weights, positive, matrix, mean, scale, 0)


@compiled
def forget(screening):
    """Note that the dual point goes elsewhere than to the last one: no gradient is current any more."""
    screening.current = -1


@compiled
def new_iterate(code, intercept, y, s, offset, eta, theta, position, screening, columns):
    """Return an :class:`Iterate` without positions; ``columns`` is empty, of the type that it will have."""
    none, which, truth, square = np.empty(0), np.empty(0, np.int64), np.empty(0, np.bool_), np.empty((0, 0))
    given = (code, intercept, y, s, offset, eta, theta, position, screening, columns)
    by_position = (which, none, none, none, truth, none)
    penalty, factor = (-1.0, -1.0, none, none, none), (s.copy(), square, which, 0, 0.0)
    fields = given + by_position + penalty + factor
    return Iterate(*fields)


@compiled
def extend(iterate, columns, features, x, g):
    """Give ``iterate`` more positions: all of them anew, the old ones first. Their penalty is still to be set."""
    screening, count = iterate.screening, features.size
    weights, positive, damping = np.empty(count), np.empty(count, np.bool_), np.empty(count)
    for a in range(count):
        j = features[a]
        weights[a], positive[a] = screening.weights[j], screening.positive[j]
        damping[a] = DAMPING * screening.norms[j] ** 2 / iterate.eta.size
    iterate.columns, iterate.features, iterate.x, iterate.g = columns, features, x, g
    iterate.weights, iterate.positive, iterate.damping = weights, positive, damping
    iterate.lam, iterate.ridge, iterate.diagonal = np.empty(count), np.empty(count), np.empty(count)


@compiled
def set_penalty(iterate, level, ridge_level):
    """Set what the penalty takes for each position; another ridge asks for a new Hessian, of which it is a part."""
    if ridge_level != iterate.ridge_level:
        iterate.size = 0
    iterate.level, iterate.ridge_level = level, ridge_level
    weights, damping = iterate.weights, iterate.damping
    lam, ridge, diagonal = iterate.lam, iterate.ridge, iterate.diagonal
    for j in range(weights.size):
        lam[j], ridge[j] = level * weights[j], ridge_level * weights[j]
        diagonal[j] = ridge[j] + damping[j]


@compiled
def reserve(iterate, rows):
    """Make sure that the factor has memory for ``rows``."""
    if rows > iterate.order.size:
        size, kept = max(rows, 2 * iterate.order.size, CAPACITY), iterate.size
        L, order = np.empty((size, size)), np.empty(size, np.int64)
        copy(iterate.order[:kept], order)
        for i in range(kept):
            copy(iterate.L[i, : i + 1], L[i])
        iterate.L, iterate.order = L, order
