"""How an optimiser's steps go with the gradient and with the weight, so that factors get the pace of the dense model.

Three kinds can be served. *Linear*: ten times the gradient is ten times the step (SGD); its gradients are divided by
the speed of the product. *Absolute*: the step does not depend on the gradient's scale (Adam, Lion, Muon); the learning
rate of the factors is divided by that speed at a typical weight. *Relative*: the step is a part of the weight, whatever
the gradient's scale (Adafactor, LAMB); D factors that each move by that part move the product D times as far.

Torch's own optimisers are known. Others are tried: a few steps on a matrix of their own, at two scales of gradient and
weight, which leave no trace in the optimiser. Where the steps are of no known kind, the optimiser is taken as it is,
and that is said.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from math import isfinite, log10
from typing import Any, Literal

import torch
from torch import Tensor

from spred.errors import InputError, SpredWarning
from spred.nn.optimizer.factored import Factored
from spred.nn.optimizer.preconditioner import Precondition, learning_rate_scale

Pace = Literal["linear", "absolute", "relative", "unknown", "curvature"]
"""Kinds of steps; ``curvature`` is LBFGS, which must see plain gradients and step as it finds right."""

KNOWN: dict[type[torch.optim.Optimizer], Pace] = {
    torch.optim.SGD: "linear",
    torch.optim.ASGD: "linear",
    torch.optim.LBFGS: "curvature",
    torch.optim.Adagrad: "absolute",
    torch.optim.Adam: "absolute",
    torch.optim.Adamax: "absolute",
    torch.optim.AdamW: "absolute",
    torch.optim.NAdam: "absolute",
    torch.optim.RAdam: "absolute",
    torch.optim.RMSprop: "absolute",
    torch.optim.Adadelta: "absolute",
    torch.optim.Rprop: "absolute",
    torch.optim.SparseAdam: "absolute",
}
"""Torch's optimisers and those derived from them."""

COORDINATES_APART = (*KNOWN,)
"""Optimisers that do not move a weight whose gradient and moments are zero: zero factors are enough for a zero to stay.
Others may mix coordinates (Muon), and their zeros are held by a mask."""

SIZE, WARMUP, N_STEPS, GROWTH = 4, 25, 5, 100.0
"""Rows of the matrix that is tried, steps on it before those that are measured, these, and how much larger gradient or
weight are the second time. A longer warm-up gets past that of more optimisers; larger growth tells kinds apart more
clearly (tests of pace)."""

TOLERANCE = 0.15
"""How far an exponent may be from 0 or 1. Smaller calls more optimisers unknown, larger takes some for what they are
not (tests of pace)."""


def pace_of(base: torch.optim.Optimizer) -> Pace:
    """Return how the steps of ``base`` go with gradient and weight.

    Warns:
        SpredWarning: it is of no known kind.
    """
    known = next((pace for kind, pace in KNOWN.items() if isinstance(base, kind)), None)
    if known is not None:
        return known
    try:
        plain = _travelled(base, 1.0, 1.0)
        by_gradient = log10(_travelled(base, GROWTH, 1.0) / plain) / log10(GROWTH)
        by_weight = log10(_travelled(base, 1.0, GROWTH) / plain) / log10(GROWTH)
    except Exception as err:  # what a stranger's optimiser raises on a small matrix can be anything
        _say_unknown(base, f"it cannot be tried on a small matrix ({type(err).__name__}: {err})")
        return "unknown"
    kinds: dict[tuple[int, int], Pace] = {(1, 0): "linear", (0, 0): "absolute", (0, 1): "relative"}
    for exponents, pace in kinds.items():
        if abs(by_gradient - exponents[0]) < TOLERANCE and abs(by_weight - exponents[1]) < TOLERANCE:
            return pace
    _say_unknown(
        base, f"its steps grow with the power {by_gradient:.2f} of the gradient and {by_weight:.2f} of the weight"
    )
    return "unknown"


def divides_gradients(precondition: Precondition, pace: Pace) -> bool:
    """Return whether the gradients for an optimiser of this pace are divided by speed and damping.

    ``"auto"`` is yes where steps are linear in the gradient. Adaptive optimisers undo it, and get
    :func:`rate_scale` instead; LBFGS must see the plain gradient, because it builds its curvature from it.

    Raises:
        InputError: something else than a bool or ``"auto"``; True for LBFGS.
    """
    if precondition not in (True, False, "auto"):
        raise InputError(f"precondition is {precondition!r}; give True, False or 'auto'")
    if precondition is True and pace == "curvature":
        raise InputError("LBFGS needs plain gradients; leave precondition at 'auto' for it")
    if pace in ("absolute", "relative"):
        return False
    return pace == "linear" if precondition == "auto" else bool(precondition)


def rate_scale(
    base: torch.optim.Optimizer, precondition: Precondition, pace: Pace
) -> Callable[[Factored], float] | None:
    """Return what gives the factor of a tensor's learning rate, for adaptive optimisers; None where it is left."""
    rated = all(group.get("lr") is not None for group in base.param_groups)
    if precondition is False or not rated:
        return None
    if pace == "absolute":
        return _absolute_scale
    return _relative_scale if pace == "relative" else None


def _absolute_scale(entry: Factored) -> float:
    gate, full = entry.factors[0], entry.factors[-1]
    return learning_rate_scale(entry.scale, len(entry.factors), full.numel() / max(gate.numel(), 1))


def _relative_scale(entry: Factored) -> float:
    return 1.0 / len(entry.factors)


def _travelled(base: torch.optim.Optimizer, gradient: float, weight: float) -> float:
    """Return how far some steps of ``base`` move a matrix, at these scales of its gradient and of itself."""
    like: Tensor = base.param_groups[0]["params"][0]
    generator = torch.Generator().manual_seed(0)
    start, slope = (torch.randn(SIZE, SIZE, generator=generator) for _ in range(2))
    matrix = torch.nn.Parameter((weight * start).to(like.device))
    group = {**base.param_groups[0], **_plain_options(base.param_groups[0]), "params": [matrix]}
    groups, state, before = list(base.param_groups), base.state, matrix.detach()
    try:
        base.param_groups[:] = [group]
        base.state = defaultdict(dict)
        with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
            warnings.simplefilter("ignore")
            for k in range(WARMUP + N_STEPS):
                if k == WARMUP:
                    before = matrix.detach().clone()
                matrix.grad = (gradient * slope).to(like.device)  # anew: some write into it
                base.step()
    finally:
        base.param_groups[:] = groups
        base.state = state
        for inner in _inside(base):
            inner.state.pop(matrix, None)
    moved = float((matrix.detach() - before).norm())
    if not (moved > 0 and isfinite(moved)):
        raise InputError(f"{N_STEPS} steps move it by {moved}")
    return moved


def _inside(base: torch.optim.Optimizer) -> Iterator[torch.optim.Optimizer]:
    """Yield the optimisers that an optimiser is wrapped around, such as that of Lookahead."""
    for value in vars(base).values():
        if isinstance(value, torch.optim.Optimizer):
            yield value
            yield from _inside(value)


def _plain_options(group: dict[str, Any]) -> dict[str, Any]:
    """Return options that would hide how steps go: decay, a rate that a warm-up has set to zero, evaluation mode."""
    rate = group.get("lr")
    options = {"weight_decay": 0.0, "train_mode": True, "lr": 1e-3 if rate is None or not float(rate) else float(rate)}
    return {key: value for key, value in options.items() if key in group}


def _say_unknown(base: torch.optim.Optimizer, reason: str) -> None:
    warnings.warn(
        f"how {type(base).__name__} moves weights is not known: {reason}; it is taken as it is, so with the dense "
        "model's learning rate factors may move too slowly for zeros to appear: look at the density, and try "
        "precondition=True or a larger learning rate",
        SpredWarning,
        stacklevel=4,
    )
