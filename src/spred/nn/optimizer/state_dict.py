"""What a checkpoint of :class:`SpredOptimizer` holds beyond the base's own state, whether it fits, and loading it.

Copies of the whole optimiser (``copy.deepcopy``, ``pickle``, ``torch.save``) hold all that it is made of, but for hooks
and compiled programs, as those of torch's own optimisers do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from spred.errors import SpredError, StateError
from spred.nn.optimizer.density import DensityControl
from spred.nn.optimizer.factored import Factored
from spred.nn.optimizer.regrowth import Regrowth
from spred.nn.penalties import L1
from spred.nn.sharding import whole

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
        "held": [entry.held for entry in factored],
        "controllers": [] if density_control is None else [[c.fraction, c.error] for c in density_control.controllers],
        "regrowth": None if regrowth is None else regrowth.state_dict(),
    }


def check_state(
    state: State, factored: Sequence[Factored], penalties: Sequence[L1], density_control: DensityControl | None
) -> None:
    """Refuse a state that is not of a SpredOptimizer with these tensors, penalties and targets, or that was damaged.

    Raises:
        StateError: it is not.
    """
    missing = SAVED - set(state) if isinstance(state, Mapping) else SAVED
    if missing:
        raise StateError(f"the loaded state lacks {sorted(missing)}; load one that SpredOptimizer.state_dict returned")
    with damaged():
        saved = [[tuple(factor.shape) for factor in factors] for factors in state["factors"]]
        n_saved, n_alphas = len(state["controllers"]), len(state["alphas"])
    here = [[tuple(factor.shape) for factor in entry.factors] for entry in factored]
    n_controllers = 0 if density_control is None else len(density_control.controllers)
    if n_saved != n_controllers:
        raise StateError(
            "the loaded state controls the density of other penalties; give the same target_density as when it was "
            "saved"
        )
    if saved != here or n_alphas != len(penalties):
        raise StateError(
            f"the loaded state has factors of shapes {saved} and this optimiser {here}; "
            "load the state of the same model with the same penalties"
        )
    with damaged():
        _check_numbers(state, len(factored))


@contextmanager
def damaged() -> Iterator[None]:
    """Around work on a loaded state: what does not fit is the state's fault.

    Raises:
        StateError: something did not fit.
    """
    try:
        yield
    except SpredError:
        raise
    except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError) as err:
        reason = str(err).strip().split("\n")[0]
        raise StateError(
            f"the loaded state is not one that SpredOptimizer.state_dict returned ({type(err).__name__}: {reason}); "
            "load an undamaged checkpoint of the same model, penalties and optimiser"
        ) from err


def _check_numbers(state: State, n_tensors: int) -> None:
    """Refuse numbers that no training leaves behind."""
    numbers = [*state["scales"], *state["peak_gradients"], *state["alphas"], *(b[0] for b in state["budgets"])]
    numbers += [number for saved in state["controllers"] for number in saved]
    tensors = [factor for factors in state["factors"] for factor in factors]
    tensors += [weights for weights in state["weights"] if isinstance(weights, Tensor)]
    wrong = [key for key in OF_TENSORS if len(state[key]) != n_tensors]
    wrong += [] if all(isfinite(float(number)) and number >= 0 for number in state["alphas"]) else ["alphas"]
    wrong += [] if all(float(scale) > 0 for scale in state["scales"]) else ["scales"]
    wrong += [] if int(state["n_steps"]) >= 0 else ["n_steps"]
    if not all(isfinite(float(number)) for number in numbers):
        wrong.append("numbers that are not finite")
    if not all(bool(torch.isfinite(whole(tensor)).all()) for tensor in tensors):
        wrong.append("factors that are not finite")
    if wrong:
        raise StateError(f"the loaded state is damaged: {', '.join(wrong)}; load an earlier checkpoint")


def check_moments(state: State, groups: Sequence[State]) -> None:
    """Refuse moments of a base that has one for each weight, if they have not the shapes of the factors in its groups.

    Raises:
        StateError: there is one of another shape.
    """
    factors = [factor for group in groups for factor in group["params"]]
    with damaged():
        for key, moments in state["base"]["state"].items():
            shape = factors[key].shape
            for name, value in moments.items():
                if isinstance(value, Tensor) and value.ndim and value.shape != shape:
                    raise StateError(
                        f"the loaded state has {name} of shape {tuple(value.shape)} for a tensor of shape "
                        f"{tuple(shape)}; load an undamaged checkpoint of the same model"
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
    masks = state.get("held", [None] * len(factored))  # earlier versions had none
    for entry, held, factors, (imbalance, budget), scale, peak_gradient, weights in zip(
        factored, masks, *(state[key] for key in OF_TENSORS), strict=True
    ):
        if isinstance(weights, Tensor):
            weights = weights.to(entry.factors[0], copy=True)
        entry.target = replace(entry.target, weights=weights)
        entry.imbalance, entry.budget_before, entry.scale, entry.peak_gradient = imbalance, budget, scale, peak_gradient
        entry.versions = None
        entry.held = None if held is None else held.to(entry.factors[0].device)
        for factor, value in zip(entry.factors, factors, strict=True):
            factor.copy_(value)


def copied_attributes(opt: torch.optim.Optimizer, without: Sequence[str] = ()) -> State:
    """Return the attributes of an optimiser that a copy needs: no hooks, nor what schedulers put for ``step``."""
    left_out = {"step", *without}
    return {key: v for key, v in vars(opt).items() if key not in left_out and not key.startswith("_optimizer_")}


def extra_attributes(base: torch.optim.Optimizer) -> State:
    """Return the attributes of a base that torch's own copying leaves out, such as the parameters of LBFGS."""
    return copied_attributes(base, without=("defaults", "state", "param_groups"))
