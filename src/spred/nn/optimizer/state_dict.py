"""What a checkpoint of :class:`SpredOptimizer` holds beyond the base's own state, whether it fits, and loading it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from spred.errors import StateError
from spred.nn.optimizer.density import DensityControl
from spred.nn.optimizer.factored import Factored
from spred.nn.optimizer.regrowth import Regrowth
from spred.nn.penalties import L1

State = dict[str, Any]

OF_TORCH = {"param_groups", "state", "base", "n_steps"}
"""Keys of the state that :class:`SpredOptimizer` saves itself."""

OF_TENSORS = ("factors", "budgets", "scales", "peak_gradients", "weights")
"""Keys with one item for each penalised tensor."""

SAVED = {*OF_TORCH, *OF_TENSORS, "alphas", "controllers", "regrowth"}


def saved_state(
    factored: Sequence[Factored],
    penalties: Sequence[L1],
    density_control: DensityControl | None,
    regrowth: Regrowth | None,
) -> State:
    """Return the state of the factors, of alpha, of the control of the density and of regrowth."""
    return {
        "factors": [[factor.detach() for factor in entry.factors] for entry in factored],
        "budgets": [[entry.imbalance, entry.budget_before] for entry in factored],
        "scales": [entry.scale for entry in factored],
        "peak_gradients": [entry.peak_gradient for entry in factored],
        "alphas": [penalty.alpha for penalty in penalties],
        "weights": [entry.target.weights for entry in factored],
        "controllers": [] if density_control is None else [[c.fraction, c.error] for c in density_control.controllers],
        "regrowth": None if regrowth is None else regrowth.state_dict(),
    }


def check_state(
    state: State, factored: Sequence[Factored], penalties: Sequence[L1], density_control: DensityControl | None
) -> None:
    """Refuse a state that is not of a SpredOptimizer with these tensors, penalties and targets.

    Raises:
        StateError: it is not.
    """
    missing = SAVED - set(state)
    if missing:
        raise StateError(f"the loaded state lacks {sorted(missing)}; load one that SpredOptimizer.state_dict returned")
    saved = [[tuple(factor.shape) for factor in factors] for factors in state["factors"]]
    here = [[tuple(factor.shape) for factor in entry.factors] for entry in factored]
    n_controllers = 0 if density_control is None else len(density_control.controllers)
    if len(state["controllers"]) != n_controllers:
        raise StateError(
            "the loaded state controls the density of other penalties; give the same target_density as when it was "
            "saved"
        )
    if saved != here or len(state["alphas"]) != len(penalties):
        raise StateError(
            f"the loaded state has factors of shapes {saved} and this optimiser {here}; "
            "load the state of the same model with the same penalties"
        )


def load_state(
    state: State,
    factored: Sequence[Factored],
    penalties: Sequence[L1],
    density_control: DensityControl | None,
    regrowth: Regrowth | None,
) -> None:
    """Load what :func:`saved_state` returned, in place; :func:`check_state` has approved of it."""
    for penalty, alpha in zip(penalties, state["alphas"], strict=True):
        penalty.alpha = alpha
    if regrowth is not None and state["regrowth"] is not None:
        regrowth.load_state_dict(state["regrowth"])
    if density_control is not None:
        for controller, saved in zip(density_control.controllers, state["controllers"], strict=True):
            controller.fraction, controller.error = saved
    for entry, factors, (imbalance, budget), scale, peak_gradient, weights in zip(
        factored, *(state[key] for key in OF_TENSORS), strict=True
    ):
        if isinstance(weights, Tensor):
            weights = weights.to(entry.factors[0], copy=True)
        entry.target = replace(entry.target, weights=weights)
        entry.imbalance, entry.budget_before, entry.scale, entry.peak_gradient = imbalance, budget, scale, peak_gradient
        entry.versions = None
        for factor, value in zip(entry.factors, factors, strict=True):
            factor.copy_(value)
