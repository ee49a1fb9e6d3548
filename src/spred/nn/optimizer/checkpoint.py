"""What a checkpoint of :class:`SpredOptimizer` holds, and whether it fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spred.errors import StateError
from spred.nn.optimizer.density import Steering
from spred.nn.optimizer.factored import Factored
from spred.nn.penalties import L1

SAVED = {"param_groups", "state", "base", "n_steps", "loops", "reopening"}
SAVED |= {"factors", "budgets", "scales", "steepest", "alphas", "weights"}


def check_state(
    state_dict: dict[str, Any], factored: Sequence[Factored], penalties: Sequence[L1], steering: Steering | None
) -> None:
    """Refuse a state that is not of a SpredOptimizer with these tensors, penalties and targets.

    Raises:
        StateError: it is not.
    """
    missing = SAVED - set(state_dict)
    if missing:
        raise StateError(f"the loaded state lacks {sorted(missing)}; load one that SpredOptimizer.state_dict returned")
    saved = [[tuple(factor.shape) for factor in factors] for factors in state_dict["factors"]]
    here = [[tuple(factor.shape) for factor in entry.factors] for entry in factored]
    n_loops = 0 if steering is None else len(steering.loops)
    if len(state_dict["loops"]) != n_loops:
        raise StateError("the loaded state steers other penalties; give the same target_density as when it was saved")
    if saved != here or len(state_dict["alphas"]) != len(penalties):
        raise StateError(
            f"the loaded state has factors of shapes {saved} and this optimiser {here}; "
            "load the state of the same model with the same penalties"
        )
