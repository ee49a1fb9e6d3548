"""Cox's partial likelihood: the one loss whose samples interact, each event with all who were at risk.

With ``R_k`` the samples at risk at the k-th event time and ``T_k ⊂ R_k`` those who have their event then,

    f(η) = Σ_k Σ_l q_kl log( Σ_{R_k} s_j e^{η_j} − φ_kl Σ_{T_k} s_j e^{η_j} ) − Σ_events s_i (η_i + log s_i).

Breslow's form of ties has one term for each time, ``φ = 0`` and ``q_k = Σ_{T_k} s_i``; Efron's has one for each tied
event, ``φ = 0, 1/d, …, (d−1)/d``, with equal parts of ``q_k``. For equal weights f is the negative logarithm of the
partial likelihood over n. Risk sets are nested, so every sum over them is a cumulative one, and the conjugate has a
closed form (docs/math.md, §4).

Source: D. R. Cox, JRSS B 34, 1972; N. Breslow, Biometrics 30, 1974; B. Efron, JASA 72, 1977.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from array_api_compat import array_namespace, device

from spred.core.losses.functions import HIGHEST, exp, xlogx
from spred.core.losses.loss import Loss
from spred.core.partition import Array
from spred.core.risk_sets import Coupled, RiskSets
from spred.core.targets import SURVIVAL, SURVIVAL_EFRON

SLACK = 1e-12
"""How far rounding may push a dual point out of the conjugate's domain (weights sum to 1)."""

LEAST = 1e-300
"""Keeps a quotient finite where risks are next to nothing beside others of their stratum: times in perfect order."""

MOST_STEPS, CONVERGED = 100, 1e-15
"""Newton steps at most, and the step at which it ends, for the fraction that tied events have: it converges
quadratically from one side, in under ten steps, to the last digit; the conjugate's test against a numerical maximum
measures it."""


@dataclass(frozen=True, eq=False)
class _Terms:
    """The parts of f at one η: ``s e^η`` scaled within strata, its sums at risk, the logarithms' arguments, q and φ."""

    risk: Array
    everyone: Array
    inner: Array
    q: Array
    phi: Array


def cox_value(eta: Array, y: RiskSets, s: Array) -> Array:
    """Return f(η), ``(n,)`` to a number; each event against its risk set, so a good fit is a sum of small terms."""
    xp = array_namespace(eta)
    terms = _terms(eta, y, s)
    event = xp.asarray(y.event, device=device(eta))
    odds = xp.where(event, y.own(terms.everyone), terms.risk) / terms.risk
    value = xp.sum(_events(y, s) * xp.log(odds))
    return value + xp.sum(terms.q * xp.log(terms.inner / terms.everyone[:, None])) if y.efron else value


def cox_gradient(eta: Array, y: RiskSets, s: Array) -> Array:
    """Return ∇f(η): the cumulative hazard that each sample was exposed to, less its own event (martingale residual)."""
    return _explained(_terms(eta, y, s), y) - _events(y, s)


def cox_curvature(eta: Array, y: RiskSets, s: Array) -> Coupled:
    """Return the second derivative as a :class:`Coupled`."""
    xp = array_namespace(eta)
    terms = _terms(eta, y, s)
    steep = terms.q / xp.clip(terms.inner**2, LEAST, None)
    powers = (xp.sum(steep, axis=1), xp.sum(terms.phi * steep, axis=1), xp.sum(terms.phi**2 * steep, axis=1))
    return Coupled(_explained(terms, y), y, terms.risk, powers)


def cox_conjugate(theta: Array, y: RiskSets, s: Array) -> Array:
    """Return f*(θ), an entropy; infinite outside its domain (docs/math.md, §4).

    With ``r = θ + s·event`` and ``z_k = Σ_{R_k} θ``, which must not be negative and must vanish for the largest risk
    set, Breslow's is ``Σ r log(r/s) + Σ_events s log s + Σ_k (z_k log z_k − (z_k + q_k) log(z_k + q_k))``.
    """
    xp = array_namespace(theta)
    events = _events(y, s)
    q, phi = _weights(y, s)
    total = xp.sum(q, axis=1)
    r, z = theta + events, y.at_risk(theta)
    nowhere = xp.max(xp.abs(xp.where(xp.asarray(y.never, device=device(z)), theta, xp.zeros_like(theta))))
    overflow = xp.max(xp.abs(xp.where(xp.asarray(y.whole, device=device(z)), z, xp.zeros_like(z))))
    outside = (xp.min(z) < -SLACK) | (overflow > SLACK) | (nowhere > SLACK)
    z = xp.clip(z, 0.0, None)
    tau = y.tied(r)
    t = _tied_fraction(z, tau, q, phi)
    thin = 1.0 - phi * t[:, None]
    everyone, tied = z + xp.sum(q / thin, axis=1), z + xp.sum(q * (1.0 - phi) / thin, axis=1)
    times = xlogx(z) - (z + total - tau) * xp.log(everyone) - tau * xp.log(tied) - xp.sum(q * xp.log(thin), axis=1)
    value = xp.sum(xlogx(r) + (events - r) * xp.log(s)) + xp.sum(times)
    return xp.where(outside, xp.full_like(value, float("inf")), value)


def cox_null(y: RiskSets, s: Array) -> Array:
    """Return 0: a shift common to all samples changes nothing."""
    return array_namespace(s).sum(0.0 * s)


def _events(y: RiskSets, s: Array) -> Array:
    return s * array_namespace(s).asarray(y.event, dtype=s.dtype, device=device(s))


def _weights(y: RiskSets, s: Array) -> tuple[Array, Array]:
    """Return q and φ of every term, ``(m, d)``, in the library of ``s``."""
    xp = array_namespace(s)
    part, phi = (xp.asarray(x, dtype=s.dtype, device=device(s)) for x in (y.part, y.phi))
    return y.tied(s)[:, None] * part, phi


def _terms(eta: Array, y: RiskSets, s: Array) -> _Terms:
    xp = array_namespace(eta)
    top = xp.max(y.rows.spread(eta, -float("inf")), axis=1)[y.rows.position // y.rows.shape[1]]
    risk = s * xp.exp(xp.clip(eta - top, -HIGHEST, None))
    q, phi = _weights(y, s)
    everyone = y.at_risk(risk)
    inner = everyone[:, None] - phi * y.tied(risk)[:, None] if y.efron else everyone[:, None]
    return _Terms(risk, everyone, inner, q, phi)


def _explained(terms: _Terms, y: RiskSets) -> Array:
    """Return ``Σ_e q_e p_e``: how much of the events each sample explains."""
    xp = array_namespace(terms.risk)
    hazard = terms.q / terms.inner
    exposed = y.over_time(xp.sum(hazard, axis=1))
    return terms.risk * (exposed - y.own(xp.sum(terms.phi * hazard, axis=1)) if y.efron else exposed)


def _tied_fraction(z: Array, tau: Array, q: Array, phi: Array) -> Array:
    """Return ``t ∈ [0, 1]`` with ``t (z + Σ_l q_l (1 − φ_l)/(1 − φ_l t)) = τ``: the fraction of e^η that tied events
    have.

    The left side is convex and rising, so Newton's method from 1 comes down to the root and never passes it.
    """
    xp = array_namespace(z)
    t = xp.ones_like(z)
    if phi.shape[1] == 1:  # Breslow, or no ties: the conjugate does not depend on it
        return t
    for _ in range(MOST_STEPS):
        thin = 1.0 - phi * t[:, None]
        excess = t * (z + xp.sum(q * (1.0 - phi) / thin, axis=1)) - tau
        step = excess / (z + xp.sum(q * (1.0 - phi) / thin**2, axis=1))
        t = xp.clip(t - step, 0.0, 1.0)
        if float(xp.max(xp.abs(step))) <= CONVERGED:
            break
    return t


COX = Loss(
    name="cox",
    value=cox_value,
    gradient=cox_gradient,
    curvature=cox_curvature,
    conjugate=cox_conjugate,
    mean=exp,
    null=cox_null,
    target=SURVIVAL,
    intercept=False,
)

COX_EFRON = replace(COX, name="cox-efron", target=SURVIVAL_EFRON)
"""The rows differ in the targets that are made for them."""
