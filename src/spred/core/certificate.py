"""How far a claimed solution is from the optimum: KKT residual and duality gap, made into one record.

For ``P(v, b) = f(Xv + Zb) + Ω(v)`` with free columns ``Z`` (the intercept, unpenalised features) every ``θ``
with ``Zᵀθ = 0`` gives the lower bound ``D(θ) = −f*(θ) − Ω*(−Xᵀθ)``; the gap is ``P − D``. We take ``θ = ∇f``
at the solution, project it on ``Zᵀθ = 0`` by one Newton step of the free coefficients (near a solution this
keeps probabilities inside their domain), and scale it into the dual ball (docs/math.md, §4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isfinite

from array_api_compat import array_namespace

from spred.core.curvature import OutputCurvature
from spred.core.losses import Loss
from spred.core.partition import Array
from spred.core.penalties import Penalty
from spred.core.risk_sets import Coupled

ROUNDING = 4.0
"""Units of rounding of ``‖z‖‖θ‖`` up to which ``Zᵀθ`` is zero, so that a projection would add no more than it takes.

Smaller, and solutions exact to the last digit are projected for nothing; larger, and the bound is off by that many
units. The gaps of 1e-14 in ``tests/core/test_certificate.py`` and those of ``scripts/bench linear`` measure it.
"""

FLAT = 1e6
"""The same after a projection, above which it has failed, since the loss is flat along a free column.

One that works ends within a few units, one that fails is off by up to 1e16 of them. Smaller, and badly scaled free
columns lose their bound; larger, and the bound is off by that much.
"""

EXPLAINED = 1e-12
"""How far, relative to the two objectives and the unit of the gap, rounding may push the dual above the primal.

Sums of a few thousand terms are right to some 1e-14. A dual further above is no lower bound but a mistake; smaller, and
sums of many terms are accused of one (``tests/core/test_certificate.py``).
"""


@dataclass(frozen=True)
class Certificate:
    """What is known about a solution.

    Attributes:
        gap: duality gap over the objective of the null model; an upper bound of the relative suboptimality.
        kkt: largest KKT residual over alpha.
        primal: the penalised objective.
        dual: the best lower bound found (``-inf`` where none was).
    """

    gap: float
    kkt: float
    primal: float
    dual: float


def certify(
    loss: Loss,
    penalty: Penalty,
    v: Array,
    eta: Array,
    y: Array,
    s: Array,
    *,
    correlate: Callable[[Array], Array],
    free: Array | None,
    null_objective: float,
    grad: Array | None = None,
) -> Certificate:
    """Return the :class:`Certificate` of coefficients ``v`` with linear predictor ``eta``.

    Args:
        loss: the data term.
        penalty: Ω.
        v: penalised coefficients, ``(p,)`` or ``(p, K)``.
        eta: linear predictor at the solution, ``(n,)`` or ``(n, K)``.
        y: target in the shape of ``eta``.
        s: sample weights, sum 1.
        correlate: ``θ ↦ Xᵀθ``, in the shape of ``v``.
        free: columns of the unpenalised coefficients, ``(n, q)``, or None.
        null_objective: objective of the null model; the unit of the gap.
        grad: ``Xᵀ∇f(η)``, where the caller has it already.
    """
    theta = loss.gradient(eta, y, s)
    grad = correlate(theta) if grad is None else grad
    primal = float(loss.value(eta, y, s) + penalty.value(v))
    kkt = float(array_namespace(v).max(penalty.kkt_residual(v, grad))) if v.shape[0] else 0.0
    kkt = max(kkt, _largest(theta, free))
    if free is not None and not is_admissible(theta, free) and loss.has_curvature:
        shift = free_newton_step(loss, theta, eta, y, s, free)
        theta, grad = theta + shift, grad + correlate(shift)
    if not is_admissible(theta, free, FLAT):  # a flat curvature cannot be stepped along; θ = 0 is always allowed
        theta, grad = 0.0 * theta, 0.0 * grad
    dual = best_dual(loss, penalty, theta, grad, y, s)
    gap = relative_gap(primal, dual, null_objective)
    return Certificate(gap=gap, kkt=kkt / penalty.alpha if penalty.alpha > 0 else kkt, primal=primal, dual=dual)


def relative_gap(primal: float, dual: float, null_objective: float) -> float:
    """Return the duality gap over the objective of the null model.

    A dual above the primal by no more than rounding counts by its size; further above, or not finite, it bounds
    nothing, and the gap is infinite: such a solution has not converged.

    >>> relative_gap(1.0, 0.75, 2.0), relative_gap(1.0, 1.1, 2.0)
    (0.125, inf)
    """
    unit = null_objective if null_objective > 0 else 1.0
    gap = primal - dual
    if not isfinite(gap) or gap < -EXPLAINED * (abs(primal) + abs(dual) + unit):
        return inf
    return abs(gap) / unit


def best_dual(loss: Loss, penalty: Penalty, theta: Array, grad: Array, y: Array, s: Array) -> float:
    """Return the best lower bound ``D(cθ)``: with ``c ≤ 1`` that puts ``Xᵀθ`` into the dual ball, or a ridge and c = 1.

    Where both are infinite, far from any solution, ``D(0) = −f*(0)`` keeps the gap a number.
    """
    norm = float(penalty.dual_norm(-grad)) if grad.shape[0] else 0.0
    inside = 1.0 if norm <= penalty.alpha else penalty.alpha / norm
    scales = {inside, 1.0} if penalty.l1_ratio < 1 else {inside}
    best = max(_dual(loss, penalty, c * theta, c * grad, y, s) for c in scales)
    return best if isfinite(best) else _dual(loss, penalty, 0.0 * theta, 0.0 * grad, y, s)


def _dual(loss: Loss, penalty: Penalty, theta: Array, grad: Array, y: Array, s: Array) -> float:
    return float(-loss.conjugate(theta, y, s) - penalty.conjugate(-grad))


def free_newton_step(loss: Loss, theta: Array, eta: Array, y: Array, s: Array, free: Array) -> Array:
    """Return the first-order change of ``θ = ∇f(η)`` that a Newton step of the free coefficients makes.

    ``θ`` plus this satisfies ``Zᵀθ = 0`` exactly for any loss: the step solves ``(ZᵀHZ) c = −Zᵀθ``. Where the system
    is singular (Huber's curvature may vanish, free columns may repeat) it is the least step, of columns of length 1:
    their units make no difference.
    """
    xp = array_namespace(theta)
    lengths = xp.sqrt(xp.sum(free * free, axis=0))
    free = free / xp.where(lengths > 0, lengths, xp.ones_like(lengths))
    curvature = loss.curvature(eta, y, s)
    if not isinstance(curvature, OutputCurvature):
        if isinstance(curvature, Coupled):
            weighted = curvature.times(free)
        else:
            true = xp.where(curvature > loss.stand_in * s, curvature, xp.zeros_like(s))
            weighted = true[:, None] * free
        return weighted @ (xp.linalg.pinv(free.T @ weighted) @ -(free.T @ theta))
    # Softmax ignores a shift common to all classes, so the system is singular; the least step has none of it.
    q, k = free.shape[1], theta.shape[1]
    each = xp.arange(q * k)
    blocks = curvature.form(free, each // k, each % k)
    step = xp.reshape(xp.linalg.pinv(blocks) @ xp.reshape(-(free.T @ theta), (q * k,)), (q, k))
    return curvature.times(free @ step)


def is_admissible(theta: Array, free: Array | None, slack: float = ROUNDING) -> bool:
    """Whether ``Zᵀθ`` is zero but for ``slack`` units of rounding, as it must be at a dual point."""
    if free is None or not free.shape[1]:
        return True
    xp = array_namespace(theta)
    lengths = xp.sqrt(xp.sum(free * free, axis=0))
    rounding = slack * float(xp.finfo(theta.dtype).eps) * lengths * float(xp.sqrt(xp.sum(theta * theta)))
    off = xp.abs(free.T @ theta)
    return bool(xp.all(off <= (rounding if theta.ndim == 1 else rounding[:, None])))


def _largest(theta: Array, free: Array | None) -> float:
    if free is None or not free.shape[1]:
        return 0.0
    xp = array_namespace(theta)
    return float(xp.max(xp.abs(free.T @ theta)))
