"""Products with the columns of the data: written out, or of a sparse matrix in compressed columns."""
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np
from numba import types
from numba.extending import overload

from spred.linear.kernels.vectors import add, compiled, copy, dot, total

Columns = np.ndarray | tuple[np.ndarray, ...]
"""What the kernels take for columns; see there."""


WIDE = 1_000_000
"""Entries from which a product with many columns goes to BLAS."""


CHUNK = 4096
"""Samples whose columns are written out at a time when a Hessian is built."""


STRIPE = 96
"""Rows of a Hessian that are computed together."""


def gather(matrix, theta, features):
    """Return ``column_j · theta`` for each j of ``features``."""


@overload(gather)
def _gather(matrix, theta, features):
    if not isinstance(matrix, types.Array):

        def packed(matrix, theta, features):
            data, rows, starts = matrix
            out = np.zeros(features.size)
            for i in range(features.size):
                for at in range(starts[features[i]], starts[features[i] + 1]):
                    out[i] += data[at] * theta[rows[at]]
            return out

        return packed
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
    out, shift = gather(matrix, theta, features), total(theta)
    for i in range(features.size):
        out[i] = (out[i] - mean[features[i]] * shift) / scale[features[i]]
    return out


def along(columns, j, v):
    """Return ``column_j · v``."""


@overload(along)
def _along(columns, j, v):
    if isinstance(columns, types.Array):
        return lambda columns, j, v: dot(columns[j], v)

    def packed(columns, j, v):
        data, rows, starts, feature, scale, _ = columns
        total = 0.0
        for at in range(starts[feature[j]], starts[feature[j] + 1]):
            total += data[at] * v[rows[at]]
        return total / scale[j]

    return packed


def along_all(columns, work, count, v, out):
    """Write ``column_j · v`` into ``out[j]`` for every j of ``work``, positions below ``count``."""


@overload(along_all)
def _along_all(columns, work, count, v, out):
    if isinstance(columns, types.Array):

        def written_out(columns, work, count, v, out):
            if _is_wide(work.size, count, v.size):
                copy(np.dot(columns[:count], v), out)
            else:
                for a in range(work.size):
                    out[work[a]] = dot(columns[work[a]], v)

        return written_out

    def packed(columns, work, count, v, out):
        for a in range(work.size):
            out[work[a]] = along(columns, work[a], v)

    return packed


def combine(columns, work, d, v):
    """``v += Σ_j d_j column_j`` but for a constant, which is returned and still to be subtracted everywhere.

    ``d`` is zero outside ``work``.
    """


@overload(combine)
def _combine(columns, work, d, v):
    if isinstance(columns, types.Array):

        def written_out(columns, work, d, v):
            if _is_wide(work.size, d.size, v.size):
                add(v, 1.0, np.dot(d, columns[: d.size]))
            else:
                for start in range(0, v.size, CHUNK):
                    part = slice(start, min(start + CHUNK, v.size))
                    for j in work:
                        if d[j] != 0.0:
                            add(v[part], d[j], columns[j, part])
            return 0.0

        return written_out

    def packed(columns, work, d, v):
        data, rows, starts, feature, scale, mean = columns
        shift = 0.0
        for j in work:
            if d[j] != 0.0:
                for at in range(starts[feature[j]], starts[feature[j] + 1]):
                    v[rows[at]] += d[j] * data[at] / scale[j]
                shift += d[j] * mean[j] / scale[j]
        return shift

    return packed


@compiled
def _is_wide(wanted, count, n):
    """Whether BLAS, with its threads, is quicker on all ``count`` columns than a loop over those ``wanted``."""
    return n * wanted > WIDE and 3 * wanted > 2 * count


def weigh(columns, j, bend, intercept, out):
    """``out = bend ∘ (column_j − its weighted mean)``: what is left of a column when the intercept has moved along."""


@overload(weigh)
def _weigh(columns, j, bend, intercept, out):
    if isinstance(columns, types.Array):

        def written_out(columns, j, bend, intercept, out):
            column = columns[j]
            mean = dot(column, bend) / total(bend) if intercept else 0.0
            for i in range(out.size):
                out[i] = bend[i] * (column[i] - mean)

        return written_out

    def packed(columns, j, bend, intercept, out):
        data, rows, starts, feature, scale, mean = columns
        centre = along(columns, j, bend) / total(bend) if intercept else mean[j] / scale[j]
        for i in range(out.size):
            out[i] = -bend[i] * centre
        for at in range(starts[feature[j]], starts[feature[j] + 1]):
            out[rows[at]] += bend[rows[at]] * data[at] / scale[j]

    return packed


def products(columns, order, k, bend, intercept, H):
    """Write the lower half of the weighted inner products of the columns ``order[:k]`` into ``H``."""


@overload(products)
def _products(columns, order, k, bend, intercept, H):
    if isinstance(columns, types.Array):

        def written_out(columns, order, k, bend, intercept, H):
            whole, root, means = total(bend), np.sqrt(bend), np.zeros(k)
            if intercept:
                for i in range(k):
                    means[i] = dot(columns[order[i]], bend) / whole
            for start in range(0, bend.size, CHUNK):
                stop = min(start + CHUNK, bend.size)
                part = np.empty((k, stop - start))
                for i in range(k):
                    column = columns[order[i]]
                    for t in range(start, stop):
                        part[i, t - start] = root[t] * (column[t] - means[i])
                for top in range(0, k, STRIPE):
                    end = min(top + STRIPE, k)
                    product = np.dot(part[top:end], part[:end].T)
                    for i in range(top, end):
                        add(H[i, :end], 1.0, product[i - top])

        return written_out

    def packed(columns, order, k, bend, intercept, H):
        weighed = np.empty(bend.size)
        for j in range(k):
            weigh(columns, order[j], bend, intercept, weighed)
            for i in range(j, k):
                H[i, j] = along(columns, order[i], weighed)

    return packed


@compiled
def push(columns, work, change, eta):
    """``eta += Σ_j change_j column_j``, where ``change`` is zero outside ``work``."""
    shift = combine(columns, work, change, eta)
    if shift != 0.0:
        for i in range(eta.size):
            eta[i] -= shift
