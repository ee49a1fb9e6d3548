"""Products with the columns of the data, dense or of a sparse matrix in compressed columns."""
# mypy: allow-untyped-defs, allow-untyped-decorators, allow-untyped-calls

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import overload

from spred.linear.kernels.vectors import add, compiled, copy, dot, total

Columns = np.ndarray | tuple[np.ndarray, ...]
"""The data matrix, or some of its columns, as the kernels take them.

The matrix as it was given: dense, one column in each *row* ``(p, n)``, of any layout, float32 or float64; or sparse,
``(data, rows, starts)`` of its compressed columns.

Columns centred and scaled, by position: dense, one in each row ``(capacity, n)``; or sparse,
``(data, rows, starts, feature, scale, mean)``, the last three by position.
"""


WIDE = 1_000_000
"""Entries from which a product with many columns goes to BLAS: its threads against what starting them costs.

Measured by ``scripts/bench linear``, on its tall problems.
"""


NEARLY_ALL = 2 / 3
"""Fraction of the columns that must be wanted before BLAS multiplies all of them: useless products against its speed.

Measured as ``WIDE`` is.
"""


CHUNK = 4096
"""Samples whose columns are copied at a time when a Hessian is built: the copy should stay in the cache.

Measured by ``scripts/bench linear``, on its tall problems.
"""


STRIPE = 96
"""Rows of a Hessian that are computed together: half of it is never needed, and small products are slower.

Measured by ``scripts/bench linear``.
"""


def matrix_dots(matrix, theta, features):
    """Return ``column_j · theta`` for each j of ``features``, of the matrix as it was given."""


@overload(matrix_dots)
def _matrix_dots(matrix, theta, features):
    if not isinstance(matrix, types.Array):

        def sparse(matrix, theta, features):
            data, rows, starts = matrix
            out = np.zeros(features.size)
            for i in range(features.size):
                for at in range(starts[features[i]], starts[features[i] + 1]):
                    out[i] += data[at] * theta[rows[at]]
            return out

        return sparse
    if matrix.layout == "C":

        def whole_columns(matrix, theta, features):
            out = np.empty(features.size)
            for i in range(features.size):
                out[i] = dot(matrix[features[i]], theta)
            return out

        return whole_columns

    def whole_rows(matrix, theta, features):
        out = np.zeros(features.size)
        for t in range(theta.size):
            for i in range(features.size):
                out[i] += matrix[features[i], t] * theta[t]
        return out

    return whole_rows


@compiled
def correlate_some(matrix, theta, features, mean, scale):
    """Return ``(column_j − mean_j) · theta / scale_j`` for each j of ``features``."""
    out, shift = matrix_dots(matrix, theta, features), total(theta)
    for i in range(features.size):
        out[i] = (out[i] - mean[features[i]] * shift) / scale[features[i]]
    return out


def column_dot(columns, j, v):
    """Return ``column_j · v``; of a sparse column, before it is centred."""


@overload(column_dot)
def _column_dot(columns, j, v):
    if isinstance(columns, types.Array):
        return lambda columns, j, v: dot(columns[j], v)

    def sparse(columns, j, v):
        data, rows, starts, feature, scale, _ = columns
        total = 0.0
        for at in range(starts[feature[j]], starts[feature[j] + 1]):
            total += data[at] * v[rows[at]]
        return total / scale[j]

    return sparse


def column_dots(columns, work, count, v, out):
    """Write ``column_j · v`` into ``out[j]`` for every j of ``work``, positions below ``count``."""


@overload(column_dots)
def _column_dots(columns, work, count, v, out):
    if isinstance(columns, types.Array):

        def dense(columns, work, count, v, out):
            if _by_blas(work.size, count, v.size):
                copy(np.dot(columns[:count], v), out)
            else:
                for a in range(work.size):
                    out[work[a]] = dot(columns[work[a]], v)

        return dense

    def sparse(columns, work, count, v, out):
        for a in range(work.size):
            out[work[a]] = column_dot(columns, work[a], v)

    return sparse


def combine(columns, work, d, v):
    """``v += Σ_j d_j column_j`` but for a constant, which is returned and still to be subtracted everywhere.

    ``d`` is zero outside ``work``.
    """


@overload(combine)
def _combine(columns, work, d, v):
    if isinstance(columns, types.Array):

        def dense(columns, work, d, v):
            if _by_blas(work.size, d.size, v.size):
                add(v, 1.0, np.dot(d, columns[: d.size]))
            else:
                for start in range(0, v.size, CHUNK):
                    part = slice(start, min(start + CHUNK, v.size))
                    for j in work:
                        if d[j] != 0.0:
                            add(v[part], d[j], columns[j, part])
            return 0.0

        return dense

    def sparse(columns, work, d, v):
        data, rows, starts, feature, scale, mean = columns
        shift = 0.0
        for j in work:
            if d[j] != 0.0:
                for at in range(starts[feature[j]], starts[feature[j] + 1]):
                    v[rows[at]] += d[j] * data[at] / scale[j]
                shift += d[j] * mean[j] / scale[j]
        return shift

    return sparse


@compiled
def _by_blas(wanted, count, n):
    """Whether BLAS, with its threads, is quicker on all ``count`` columns than a loop over those ``wanted``."""
    return n * wanted > WIDE and wanted > NEARLY_ALL * count


def weighted_column(columns, j, curvature, intercept, out):
    """``out = curvature ∘ (column_j − its mean weighted by curvature)``.

    That is what remains of a column when the intercept has moved along with it.
    """


@overload(weighted_column)
def _weighted_column(columns, j, curvature, intercept, out):
    if isinstance(columns, types.Array):

        def dense(columns, j, curvature, intercept, out):
            column = columns[j]
            mean = dot(column, curvature) / total(curvature) if intercept else 0.0
            for i in range(out.size):
                out[i] = curvature[i] * (column[i] - mean)

        return dense

    def sparse(columns, j, curvature, intercept, out):
        data, rows, starts, feature, scale, mean = columns
        centre = column_dot(columns, j, curvature) / total(curvature) if intercept else mean[j] / scale[j]
        for i in range(out.size):
            out[i] = -curvature[i] * centre
        for at in range(starts[feature[j]], starts[feature[j] + 1]):
            out[rows[at]] += curvature[rows[at]] * data[at] / scale[j]

    return sparse


def gram(columns, order, k, curvature, intercept, H):
    """Write the lower half of the inner products of the columns ``order[:k]``, weighted by curvature, into ``H``."""


@overload(gram)
def _gram(columns, order, k, curvature, intercept, H):
    if isinstance(columns, types.Array):

        def dense(columns, order, k, curvature, intercept, H):
            whole, root, means = total(curvature), np.sqrt(curvature), np.zeros(k)
            if intercept:
                for i in range(k):
                    means[i] = dot(columns[order[i]], curvature) / whole
            for start in range(0, curvature.size, CHUNK):
                end = min(start + CHUNK, curvature.size)
                part = np.empty((k, end - start))
                for i in range(k):
                    column = columns[order[i]]
                    for t in range(start, end):
                        part[i, t - start] = root[t] * (column[t] - means[i])
                for top in range(0, k, STRIPE):
                    bottom = min(top + STRIPE, k)
                    product = np.dot(part[top:bottom], part[:bottom].T)
                    for i in range(top, bottom):
                        add(H[i, :bottom], 1.0, product[i - top])

        return dense

    def sparse(columns, order, k, curvature, intercept, H):
        weighted = np.empty(curvature.size)
        for j in range(k):
            weighted_column(columns, order[j], curvature, intercept, weighted)
            for i in range(j, k):
                H[i, j] = column_dot(columns, order[i], weighted)

    return sparse


@compiled
def move_predictor(columns, work, change, eta):
    """``eta += Σ_j change_j column_j``, where ``change`` is zero outside ``work``."""
    shift = combine(columns, work, change, eta)
    if shift != 0.0:
        for i in range(eta.size):
            eta[i] -= shift
