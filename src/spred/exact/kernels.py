"""The compiled inner loops of the exact engine: Newton on the support for one output and single coefficients.

Everything here is plain loops over float64 arrays, compiled by numba on first use and cached on disk. ``newton`` is the
door; the rest are its parts. The tests hold each of them against the NumPy code of ``core`` and ``newton``.

They share one file because numba looks at a function's own file alone to see whether its cached code is still good.
"""
# mypy: allow-untyped-defs

from __future__ import annotations

import numpy as np
from numba import njit, types
from numba.extending import intrinsic, overload

SQUARED, LOGISTIC, POISSON = 0, 1, 2
"""Losses with a compiled value, gradient and curvature."""

Columns = np.ndarray | tuple[np.ndarray, ...]
"""What the kernels take for columns; see there."""

CODES = {"squared": SQUARED, "logistic": LOGISTIC, "poisson": POISSON}

FLAT = 1e-10
"""Share of a column's own curvature below which what the others leave of it counts as this much, not less."""

HIGHEST = 700.0
"""As in ``core.losses``: where an exponential link is cut."""

HORIZON = 10.0
"""How many alphas a Hessian is taken to serve when its price is weighed."""

BLOCK = 64
"""Terms of a sum that are added up by themselves first: less rounding, which the line search would take for a rise."""

LOG_2, LOG_2_HIGH, LOG_2_LOW = 0.6931471805599453, float.fromhex("0x1.62e42feep-1"), 1.9082149292705877e-10
"""The logarithm of 2, and in two parts, the first with so few digits that its small multiples are exact."""

LOG2_E, SQRT_2 = 1.4426950408889634, 1.4142135623730951

WIDE = 1_000_000
"""Entries from which a product with many columns goes to BLAS."""

CHUNK = 4096
"""Samples whose columns are written out at a time when a Hessian is built."""

STRIPE = 96
"""Rows of a Hessian that are computed together."""

FEW = 100
"""Features that may join a working set at once, if its support is not larger."""

SLACK = 1e-9
"""Relative room for rounding: a bound this close to the level counts as above it."""

BATCH = 16
"""Features added to the factor in one sweep over it: the larger, the fewer sweeps; their columns should stay cached."""

# ``fastmath`` is said, for a function that leaves it open takes over what the first to call it has.
_compiled = njit(cache=True, nogil=True, error_model="numpy", fastmath=False)
# Compiled as a part of its one caller, and not once more by itself.
_inlined = njit(cache=True, nogil=True, error_model="numpy", fastmath=False, inline="always")
# Sums may be reordered, which lets them run in vector registers; NaN and infinity keep their meaning.
_reordered = njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz", "arcp"})


@_reordered
def dot(a, b):
    """Return ``a · b``."""
    total = 0.0
    for i in range(a.size):
        total += a[i] * b[i]
    return total


@_reordered
def total(a):
    """Return the sum of ``a``."""
    out = 0.0
    for i in range(a.size):
        out += a[i]
    return out


@_reordered
def extent(a):
    """Return the sum of the absolute values of ``a``."""
    out = 0.0
    for i in range(a.size):
        out += abs(a[i])
    return out


@_reordered
def add(a, t, b):
    """``a += t b``."""
    for i in range(a.size):
        a[i] += t * b[i]


@_reordered
def distance(a, t, b):
    """Return ``‖a − t b‖``."""
    square = 0.0
    for i in range(a.size):
        square += (a[i] - t * b[i]) ** 2
    return np.sqrt(square)


@_compiled
def _copy(a, b):
    for i in range(a.size):
        b[i] = a[i]


# --- the matrix ---------------------------------------------------------------------------------------------
#
# As it was given, in one of two forms: transposed, so that columns are rows; or, of a sparse matrix in compressed
# columns, the tuple (data, rows, starts).


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


@_compiled
def correlate_some(matrix, theta, features, mean, scale):
    """Return ``(column_j − mean_j) · theta / scale_j`` for each j of ``features``."""
    out, shift = gather(matrix, theta, features), total(theta)
    for i in range(features.size):
        out[i] = (out[i] - mean[features[i]] * shift) / scale[features[i]]
    return out


# --- columns ------------------------------------------------------------------------------------------------
#
# Two forms: an array whose rows they are, centred and scaled; or, of a sparse matrix, the tuple (data, rows, starts,
# feature, scale, mean) with the feature of each position, centred and scaled on the fly. A vector that a column is
# multiplied with sums to zero wherever the mean is not zero, so that products need no mean.


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
                _copy(np.dot(columns[:count], v), out)
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


@_compiled
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


@_compiled
def push(columns, work, change, eta):
    """``eta += Σ_j change_j column_j``, where ``change`` is zero outside ``work``."""
    shift = combine(columns, work, change, eta)
    if shift != 0.0:
        for i in range(eta.size):
            eta[i] -= shift


# --- bounds --------------------------------------------------------------------------------------------------


@_compiled
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


@_compiled
def pull(value, positive):
    """Return by how much a gradient of ``value`` pulls a coordinate away from zero."""
    return -value if positive else abs(value)


@_compiled
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


@_compiled
def update(matrix, mean, scale, values, slot, count, thetas, norms, weights, positive, theta, level, known, grad):
    """``settle``, and evaluate the features that no bound settles."""
    now, unsettled = settle(values, slot, count, thetas, norms, weights, positive, theta, level, known, grad)
    evaluated = correlate_some(matrix, theta, unsettled, mean, scale)
    for a in range(unsettled.size):
        values[unsettled[a]] = evaluated[a]
    return now, unsettled


# --- elementary functions --------------------------------------------------------------------------------------
#
# Those of the C library are calls, one number at a time; these are a few products, and a loop over them runs in vector
# registers: three to four times as fast, and right to two units in the last place.


@intrinsic
def _as_float(typing, bits):
    """The number whose 64 bits these are."""

    def codegen(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], context.get_value_type(types.float64))

    return types.float64(types.int64), codegen


@_compiled
def exp(x):
    """Return ``eˣ``; below −708, where it is next to nothing, as at −708.

    ``x = n log 2 + r`` with ``|r| ≤ ½ log 2``, and Taylor's series for ``eʳ``.
    """
    x = min(max(x, -708.0), 709.0)
    n = np.floor(x * LOG2_E + 0.5)
    r = (x - n * LOG_2_HIGH) - n * LOG_2_LOW
    series = 1.0 / 6227020800.0
    series = series * r + 1.0 / 479001600.0
    series = series * r + 1.0 / 39916800.0
    series = series * r + 1.0 / 3628800.0
    series = series * r + 1.0 / 362880.0
    series = series * r + 1.0 / 40320.0
    series = series * r + 1.0 / 5040.0
    series = series * r + 1.0 / 720.0
    series = series * r + 1.0 / 120.0
    series = series * r + 1.0 / 24.0
    series = series * r + 1.0 / 6.0
    series = series * r + 0.5
    return (1.0 + (r + r * r * series)) * _as_float((np.int64(n) + 1023) << 52)


@_compiled
def log1p(u):
    """Return ``log(1 + u)`` for ``0 ≤ u ≤ 1``: twice the series of ``artanh(w / (2 + w))``, ``w`` near 0."""
    upper = u > SQRT_2 - 1.0
    w = 0.5 * (u - 1.0) if upper else u
    t = w / (2.0 + w)
    q = t * t
    series = 1.0 / 23.0
    series = series * q + 1.0 / 21.0
    series = series * q + 1.0 / 19.0
    series = series * q + 1.0 / 17.0
    series = series * q + 1.0 / 15.0
    series = series * q + 1.0 / 13.0
    series = series * q + 1.0 / 11.0
    series = series * q + 1.0 / 9.0
    series = series * q + 1.0 / 7.0
    series = series * q + 1.0 / 5.0
    series = series * q + 1.0 / 3.0
    value = 2.0 * (t + t * q * series)
    return value + LOG_2 if upper else value


# --- losses -------------------------------------------------------------------------------------------------


@_compiled
def _poisson_value(eta, y):
    if y <= 0.0:
        return np.exp(eta)
    d = eta - np.log(y)
    return y * (np.expm1(d) - d)


@_reordered
def _part_of_value(code, eta, y, s):
    part = 0.0
    if code == SQUARED:
        for i in range(eta.size):
            part += 0.5 * s[i] * (y[i] - eta[i]) ** 2
    elif code == LOGISTIC:
        for i in range(eta.size):
            part += s[i] * (log1p(exp(-abs(eta[i]))) + max(eta[i], 0.0) - y[i] * eta[i])
    else:
        for i in range(eta.size):
            part += s[i] * _poisson_value(min(eta[i], HIGHEST), y[i])
    return part


@_compiled
def loss_value(code, eta, y, s):
    """Return ``Σ s ℓ(η, y)``."""
    whole = 0.0
    for start in range(0, eta.size, BLOCK):
        part = slice(start, min(start + BLOCK, eta.size))
        whole += _part_of_value(code, eta[part], y[part], s[part])
    return whole


@_compiled
def _xlogx(p):
    return p * np.log(p) if p > 0.0 else (0.0 if p == 0.0 else np.inf)


@_compiled
def conjugate(code, theta, y, s, offset):
    """Return the Fenchel conjugate of the loss at ``theta``, with ``offset`` taken out of η again."""
    total = 0.0
    for i in range(theta.size):
        mean = theta[i] / s[i] + y[i]
        if code == SQUARED:
            total += theta[i] * (y[i] + 0.5 * theta[i] / s[i])
        elif code == LOGISTIC:
            total += s[i] * (_xlogx(mean) + _xlogx(1.0 - mean))
        else:
            total += s[i] * (_xlogx(mean) - mean - _xlogx(y[i]) + y[i])
        total -= theta[i] * offset[i]
    return total


@_reordered
def slopes(code, eta, y, s, theta, bend):
    """Write the gradient and the curvature of the loss in ``eta`` into ``theta`` and ``bend``."""
    if code == SQUARED:
        for i in range(eta.size):
            theta[i], bend[i] = s[i] * (eta[i] - y[i]), s[i]
    elif code == LOGISTIC:
        for i in range(eta.size):
            small = exp(-abs(eta[i]))
            larger = 1.0 / (1.0 + small)
            p = larger if eta[i] >= 0 else small * larger
            theta[i], bend[i] = s[i] * (p - y[i]), s[i] * small * larger * larger
    else:
        for i in range(eta.size):
            mean = exp(min(eta[i], HIGHEST))
            theta[i], bend[i] = s[i] * (mean - y[i]), s[i] * mean


@_compiled
def centre(code, eta, y, s, theta, bend):
    """Add to ``eta`` the constant at which the loss is lowest; fill ``theta`` and ``bend`` there; return the constant.

    Newton's method between bounds: the slope in the constant rises from below zero to above.
    """
    moved, low, high = 0.0, -np.inf, np.inf
    for _ in range(100):
        slopes(code, eta, y, s, theta, bend)
        slope, size, curvature = total(theta), extent(theta), total(bend)
        if abs(slope) <= 2e-16 * size or not high - low > 4e-16 * abs(moved):
            break
        if slope > 0:
            high = moved
        else:
            low = moved
        step = -slope / curvature if curvature > 0 else -np.sign(slope)
        step = min(max(step, -4.0), 4.0)
        if not low < moved + step < high:
            if not (high < np.inf and low > -np.inf):
                break
            step = 0.5 * (low + high) - moved
        if moved + step == moved:
            break
        moved += step
        for i in range(eta.size):
            eta[i] += step
    return moved


# --- the factor of the support's Hessian --------------------------------------------------------------------


@_compiled
def _border(columns, new, ridge, bend, intercept, L, order, k, alone, scratch):
    """Add the features ``new`` to the factor in one sweep over the rows it has; return how many rows it has then.

    A feature that the others explain (a twin) is left out, unless it is the first and enters ``alone``.
    """
    old = k
    for b in range(new.size):
        weigh(columns, new[b], bend, intercept, scratch[b])
    for i in range(old):
        for b in range(new.size):
            row = L[old + b]
            row[i] = (along(columns, order[i], scratch[b]) - dot(L[i, :i], row[:i])) / L[i, i]
    for b in range(new.size):
        row = L[k]
        if k < old + b:
            _copy(L[old + b, :old], row[:old])
        for i in range(old, k):
            row[i] = (along(columns, order[i], scratch[b]) - dot(L[i, :i], row[:i])) / L[i, i]
        own = along(columns, new[b], scratch[b]) + ridge[new[b]]
        left = own - dot(row[:k], row[:k])
        if left > FLAT * own or (alone and b == 0):
            row[k] = np.sqrt(max(left, FLAT * own)) if own > 0.0 else 1.0
            order[k] = new[b]
            k += 1
    return k


@_compiled
def _drop(L, order, k, at):
    """Take row ``at`` out of the factor: rows move up and rotations make them triangular again, row by row."""
    cosine, sine = np.empty(k), np.empty(k)
    for r in range(at + 1, k):
        order[r - 1] = order[r]
        for c in range(r + 1):
            L[r - 1, c] = L[r, c]
        row = L[r - 1]
        for c in range(at, r - 1):
            a, b = row[c], row[c + 1]
            row[c] = cosine[c] * a + sine[c] * b
            row[c + 1] = cosine[c] * b - sine[c] * a
        size = np.hypot(row[r - 1], row[r])
        cosine[r - 1], sine[r - 1] = row[r - 1] / size, row[r] / size
        row[r - 1] = size


@_compiled
def _build(columns, work, active, ridge, bend, intercept, L, order):
    """Factorise the Hessian of the ``active`` coordinates from nothing; return how many they are."""
    k = 0
    for a in range(work.size):
        if active[a]:
            order[k] = work[a]
            k += 1
    if k == 0:
        return 0
    H = np.zeros((k, k))
    products(columns, order, k, bend, intercept, H)
    for i in range(k):
        own = H[i, i] + ridge[order[i]]
        H[i, i] = own * (1.0 + FLAT) if own > 0 else 1.0
    lower = np.linalg.cholesky(H)
    for i in range(k):
        for j in range(i + 1):
            L[i, j] = lower[i, j]
    return k


@_compiled
def _solve(L, k, right, d):
    """Solve ``L Lᵀ d = right``."""
    for i in range(k):
        d[i] = (right[i] - dot(L[i, :i], d[:i])) / L[i, i]
    for i in range(k - 1, -1, -1):
        d[i] /= L[i, i]
        add(d[:i], -d[i], L[i, :i])


# --- the quadratic model ------------------------------------------------------------------------------------


@_compiled
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


@_compiled
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
        _solve(L, k, right, d)
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


@_compiled
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


@_compiled
def _leave(L, order, k, at, sign, right):
    _drop(L, order, k, at)
    for i in range(at, k - 1):
        sign[i], right[i] = sign[i + 1], right[i + 1]
    return k - 1


# --- Newton's method ----------------------------------------------------------------------------------------


@_compiled
def _penalty(x, lam, ridge, work):
    """Return ``Σ λ|x| + ½ ridge x²`` over ``work``."""
    total = 0.0
    for a in range(work.size):
        j = work[a]
        total += lam[j] * abs(x[j]) + 0.5 * ridge[j] * x[j] * x[j]
    return total


@_compiled
def residual(x, g, lam, positive):
    """Return the KKT residual of one coordinate; negative for one at rest at zero."""
    if lam == 0.0:
        return abs(g)
    if x != 0.0:
        return abs(g + lam * np.sign(x))
    return pull(g, positive) - lam


@_compiled
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


@_compiled
def _synchronise(columns, active, work, ridge, bend, intercept, L, order, k, scratch):
    """Make the factor that of the ``active`` coordinates: rows that are not wanted go, missing ones are added."""
    wanted = np.zeros(ridge.size, np.bool_)
    for a in range(work.size):
        wanted[work[a]] = active[a]
    for i in range(k - 1, -1, -1):
        if wanted[order[i]]:
            wanted[order[i]] = False
        else:
            _drop(L, order, k, i)
            k -= 1
    new, count, first = np.empty(len(scratch), np.int64), 0, k
    for a in range(work.size):
        if wanted[work[a]]:
            new[count] = work[a]
            count += 1
        if count == new.size or (a == work.size - 1 and count > 0):
            k = _border(columns, new[:count], ridge, bend, intercept, L, order, k, k == first, scratch)
            count = 0
    return k


@_compiled
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


@_compiled
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
        _copy(trial, x)
        return 1.0, -shift
    here = _penalty(x, lam, ridge, work)
    promised += _penalty(trial, lam, ridge, work) - here
    before = loss_value(code, eta, y, s) + here
    step, there, between = 1.0, np.empty(eta.size), x.copy()
    while step > 1e-9:
        for i in range(eta.size):
            there[i] = eta[i] + step * change[i]
        for a in range(work.size):
            j = work[a]
            between[j] = trial[j] if step == 1.0 else x[j] + step * (trial[j] - x[j])
        after = loss_value(code, there, y, s) + _penalty(between, lam, ridge, work)
        if after <= before + 1e-4 * step * promised + 1e-14 * abs(before):
            _copy(there, eta)
            _copy(between, x)
            return step, -step * shift
        step *= 0.5
    return 0.0, 0.0


@_compiled
def extrapolate(x, last, ahead):
    """Return ``x + ahead (x − last)`` of the coordinates inside at both, without a change of sign."""
    out = x.copy()
    for j in range(last.size):
        there = x[j] + ahead * (x[j] - last[j])
        if last[j] != 0.0 and there * x[j] > 0.0:
            out[j] = there
    return out


@_inlined
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
            _copy(now, bend)
            k, rate = _build(columns, work, inside, stiffness, bend, intercept, L, order), 0.0
        k = _synchronise(columns, active, work, stiffness, bend, intercept, L, order, k, scratch)
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


# --- around it ----------------------------------------------------------------------------------------------


@_compiled
def collect(columns, values, slot, now, features, work, theta, g):
    """Write the gradient at ``theta`` in ``work`` into ``g``: what is booked under the slot ``now``, or else anew."""
    for a in range(work.size):
        j = work[a]
        at = features[j]
        g[j] = values[at] if slot[at] == now else along(columns, j, theta)


@_compiled
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
    return data, data + _penalty(x, lam, ridge, work), dual


@_compiled
def _largest(excess):
    """Return the largest of ``excess``, and 0 if none is above."""
    out = 0.0
    for a in range(excess.size):
        out = max(out, excess[a])
    return out


@_compiled
def _level_of(excess, most):
    """Return a number that at most ``most`` of ``excess`` are above, and hardly fewer."""
    low, high = 0.0, _largest(excess)
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


@_compiled
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


@_compiled
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
    _copy(known, seen[: known.size])
    _copy(unsettled, seen[known.size :])
    outside, excess = above(values, weights, positive, unsettled, level, near)
    return moved, steps, worst, now, seen, outside, excess, _largest(excess)
