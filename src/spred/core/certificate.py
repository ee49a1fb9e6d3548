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

from spred.core.losses import Loss
from spred.core.partition import Array
from spred.core.penalties import Penalty


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
    if free is not None and free.shape[1]:
        shift = free_newton_step(loss, theta, eta, y, s, free)
        theta, grad = theta + shift, grad + correlate(shift)
    dual = best_dual(loss, penalty, theta, grad, y, s)
    unit = null_objective if null_objective > 0 else 1.0
    gap = max(primal - dual, 0.0) / unit if isfinite(dual) else inf
    return Certificate(gap=gap, kkt=kkt / penalty.alpha if penalty.alpha > 0 else kkt, primal=primal, dual=dual)


def best_dual(loss: Loss, penalty: Penalty, theta: Array, grad: Array, y: Array, s: Array) -> float:
    """Return the largest of ``D(θ)``, ``D(cθ)`` with ``c ≤ 1`` that puts ``Xᵀθ`` into the dual ball, and ``D(0)``.

    ``D(0) = −f*(0)`` is finite whatever θ is; it keeps the gap a number far from any solution.
    """
    norm = float(penalty.dual_norm(grad)) if grad.shape[0] else 0.0
    inside = 1.0 if norm <= penalty.alpha else penalty.alpha / norm
    return max(float(-loss.conjugate(c * theta, y, s) - penalty.conjugate(c * grad)) for c in {1.0, inside, 0.0})


def free_newton_step(loss: Loss, theta: Array, eta: Array, y: Array, s: Array, free: Array) -> Array:
    """Return the first-order change of ``θ = ∇f(η)`` that a Newton step of the free coefficients makes.

    ``θ`` plus this satisfies ``Zᵀθ = 0`` exactly for any loss: the step solves ``(ZᵀHZ) c = −Zᵀθ``.
    """
    xp = array_namespace(theta)
    curvature = loss.curvature(eta, y, s)
    if curvature.ndim == 1:
        hessian = free.T @ (curvature[:, None] * free)
        step = xp.linalg.solve(hessian, -(free.T @ theta)[:, None])[:, 0]
        return curvature * (free @ step)
    # Softmax ignores a shift common to all classes, so the system is singular; pinv takes the least step.
    q, k = free.shape[1], theta.shape[1]
    blocks = xp.sum(
        curvature[:, None, :, None, :] * free[:, :, None, None, None] * free[:, None, None, :, None], axis=0
    )
    right = xp.reshape(-(free.T @ theta), (q * k,))
    step = xp.reshape(xp.linalg.pinv(xp.reshape(blocks, (q * k, q * k))) @ right, (q, k))
    return xp.sum(curvature * (free @ step)[:, None, :], axis=2)


def _largest(theta: Array, free: Array | None) -> float:
    if free is None or not free.shape[1]:
        return 0.0
    xp = array_namespace(theta)
    return float(xp.max(xp.abs(free.T @ theta)))
