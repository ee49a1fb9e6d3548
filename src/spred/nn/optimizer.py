"""SpredOptimizer: L1 and group penalties inside any torch optimiser, while the model stays a plain module.

The penalised tensors are replaced by their factors in the base optimiser's own groups. A step pulls the
gradient of each tensor back to its factors, adds the penalty's decay there, lets the base step, and writes
the product into the model. Nothing else is new: schedules, clipping, scaling and accumulation work on the
model's own ``.grad``. The same mathematics by autograd is in :mod:`spred.nn.modules`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from spred.core.factors import decay, pull_back, quadratic_penalty
from spred.errors import InputError, SpredWarning, StateError
from spred.nn.factored import Factored, factorise, follow, imbalance_of
from spred.nn.groups import L1, Target, targets, zero_groups_

NOT_OPTIONS = ("params", "param_names")


class SpredOptimizer(torch.optim.Optimizer):
    """Minimises ``L(v) + Σ Ω(v)`` with any torch optimiser, by L2 on the factors of the penalised tensors.

    It is used like the optimiser it wraps. Its ``param_groups`` hold the model's own tensors; what a
    scheduler or a user writes there reaches the base optimiser at the next step. A weight written from
    outside (a loaded state, an average, a mask) is noticed at the next step and split again; what was written
    as an exact zero stays zero.

    The penalty must be inside the objective, so the base's ``weight_decay`` is switched off for the penalised
    tensors; it still applies to the others.

    Args:
        base: an optimiser made on the model's parameters, before its first step. Afterwards step only this
            one.
        penalties: :class:`~spred.nn.groups.L1`, :class:`~spred.nn.groups.GroupL1`, or several. Move the model
            to its device first. Their ``alpha`` may be changed between steps.
        balanced: split as in :func:`spred.core.factors.split`.

    Attributes:
        base: the wrapped optimiser, with factors in its groups.
        penalties: the penalties, as given.
        factored: one :class:`Factored` for each penalised tensor.

    Raises:
        InputError: ``base`` is not an optimiser, a penalised tensor is not in it, or a gradient is sparse.
        StateError: ``base`` has already taken steps; a state that belongs to other tensors is loaded.

    >>> model = torch.nn.Linear(3, 1)
    >>> opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.1), L1([model.weight], alpha=0.01))
    >>> model(torch.ones(2, 3)).square().mean().backward()
    >>> opt.step()

    Source: Ziyin and Wang, "spred: Solving L1 Penalty with SGD", ICML 2023, algorithm 1.
    """

    def __init__(self, base: torch.optim.Optimizer, penalties: L1 | Iterable[L1], *, balanced: bool = False) -> None:
        if not isinstance(base, torch.optim.Optimizer) or isinstance(base, SpredOptimizer):
            raise InputError(
                f"base is {base!r}; give an instance of a torch optimiser, "
                "for instance torch.optim.SGD(model.parameters(), lr=0.1)"
            )
        listed = targets(penalties)
        _check_members(base, listed)
        self._routes: list[tuple[int, bool]] = []  # empty while Optimizer.__init__ adds the public groups
        super().__init__([dict(group) for group in base.param_groups], dict(base.defaults))
        self.base = base
        self.balanced = balanced
        self.penalties = list(dict.fromkeys(target.penalty for target in listed))
        self.factored = [factorise(target, balanced) for target in listed]
        for entry in self.factored:
            _adopt_state(base, entry)
        self._routes = _install(base, self.factored)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step of the base optimiser on the factors.

        Args:
            closure: as for any torch optimiser; it computes the loss and calls ``backward``.

        Returns:
            What the base returns: with a closure its loss, plus the penalty.
        """
        self._send_options()
        self.resplit()
        if closure is None:
            self._pull_gradients()
            loss = self.base.step()
        else:
            loss = self.base.step(self._penalised(closure))
        self._write_products()
        self._fetch_options()
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of the model's tensors and of the factors."""
        super().zero_grad(set_to_none)
        self.base.zero_grad(set_to_none)

    @torch.no_grad()
    def penalty(self) -> Tensor:
        """Return the quadratic penalty of the factors, at balance ``Σ Ω(v)``; never below it."""
        terms = [
            quadratic_penalty(e.factors, e.target.penalty.alpha, e.target.weights, e.partition) for e in self.factored
        ]
        return torch.stack(terms).sum()

    @torch.no_grad()
    def decay_budget(self) -> dict[Tensor, float]:
        """Return the decay budget B that each penalised tensor has spent.

        ``B = (D/4)·log(Δ₀/Δ)``, where Δ is the mean of ``|u² − w²|`` over the groups that are not closed (in a
        group, gate against norm of the full factor), and Δ₀ its value at the split. Under SGD only the penalty
        moves ``u² − w²``, and B is ``Σ_t lr_t·α/(1 − momentum)``, to first order in the step; under other
        optimisers the same ratio is measured. While B is small, below 2 say, the run has not reached the L1
        solution (docs/math.md, §6). NaN after a balanced split, which has no imbalance to lose.
        """
        return {entry.tensor: entry.budget() for entry in self.factored}

    @torch.no_grad()
    def resplit(self) -> None:
        """Take over weights that were written from outside since the last step; every step begins with this.

        What changed keeps its gates where they still suit, so that the optimiser's moments keep their
        meaning; else it is split anew. Groups that were written as exact zeros get all factors and moments
        zero: zero is absorbing, so a mask stays a mask.
        """
        for entry in self.factored:
            if torch.equal(entry.tensor, entry.product()):
                continue
            spent = entry.budget()
            factors, reset = follow(entry, self.balanced)
            for factor, value in zip(entry.factors, factors, strict=True):
                factor.copy_(value)
            self._forget(entry, reset)
            entry.imbalance, entry.spent = imbalance_of(entry.factors, entry.partition), spent

    @torch.no_grad()
    def close(self, entry: Factored, dead: Tensor) -> None:
        """Set groups of a tensor to zero for good: tensor, factors and the base's moments.

        Args:
            entry: one of ``factored``.
            dead: the groups, bool in the gate shape.
        """
        spent = entry.budget()
        zero_groups_(entry.factors, dead, entry.partition)
        self._forget(entry, dead)
        entry.imbalance, entry.spent = imbalance_of(entry.factors, entry.partition), spent
        entry.tensor.copy_(entry.product())

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add unpenalised tensors, to the base too. A penalised tensor must be there from the start."""
        super().add_param_group(param_group)
        if self._routes:
            self.base.add_param_group(dict(self.param_groups[-1]))
            self._routes.append((len(self.param_groups) - 1, True))

    def state_dict(self) -> dict[str, Any]:
        """Return everything needed to go on bit for bit: tensors and plain Python values only."""
        return super().state_dict() | {
            "base": self.base.state_dict(),
            "factors": [[factor.detach() for factor in entry.factors] for entry in self.factored],
            "budgets": [[entry.imbalance, entry.spent] for entry in self.factored],
            "alphas": [penalty.alpha for penalty in self.penalties],
        }

    @torch.no_grad()
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load what :meth:`state_dict` returned; the model's own state is loaded by the model.

        Raises:
            StateError: the state is not of a SpredOptimizer with the same tensors and penalties.
        """
        _check_state(state_dict, self)
        super().load_state_dict({key: state_dict[key] for key in ("state", "param_groups")})
        self.base.load_state_dict(state_dict["base"])
        for penalty, alpha in zip(self.penalties, state_dict["alphas"], strict=True):
            penalty.alpha = alpha
        saved = zip(self.factored, state_dict["factors"], state_dict["budgets"], strict=True)
        for entry, factors, (imbalance, spent) in saved:
            entry.imbalance, entry.spent = imbalance, spent
            for factor, value in zip(entry.factors, factors, strict=True):
                factor.copy_(value)

    def __repr__(self) -> str:
        penalties = ", ".join(repr(penalty) for penalty in self.penalties)
        return f"{type(self).__name__} of {type(self.base).__name__} with {penalties}\n{super().__repr__()}"

    def _penalised(self, closure: Callable[[], Any]) -> Callable[[], Any]:
        """Wrap a user's closure for the base: factors in, penalised loss out."""

        def penalised() -> Any:
            self._write_products()
            with torch.enable_grad():
                loss = closure()
            self._pull_gradients()
            return None if loss is None else loss + self.penalty()

        return penalised

    @torch.no_grad()
    def _pull_gradients(self) -> None:
        """Give each factor its gradient: the loss's, pulled back, plus the penalty's."""
        for entry in self.factored:
            grad = entry.tensor.grad
            if grad is None:
                for factor in entry.factors:
                    factor.grad = None
                continue
            if grad.layout != torch.strided:
                raise InputError(
                    f"the gradient of a penalised tensor of shape {tuple(grad.shape)} is sparse; "
                    "make its module with sparse=False"
                )
            target = entry.target
            pulled = pull_back(grad.to(entry.factors[0].dtype), entry.factors, entry.partition)
            shrink = decay(entry.factors, target.penalty.alpha, target.weights, entry.partition)
            for factor, of_loss, of_penalty in zip(entry.factors, pulled, shrink, strict=True):
                factor.grad = of_loss + of_penalty

    @torch.no_grad()
    def _write_products(self) -> None:
        for entry in self.factored:
            entry.tensor.copy_(entry.product())

    def _forget(self, entry: Factored, groups: Tensor) -> None:
        """Drop what the base remembers about groups (bool, gate shape) whose factors were rewritten."""
        if isinstance(self.base, torch.optim.LBFGS):
            self.base.state.clear()  # its history joins all coordinates, so it ends when one is rewritten
        elif groups.any():
            *gates, full = entry.factors
            for gate in gates:
                _clear_moments(self.base.state[gate], gate, groups)
            _clear_moments(self.base.state[full], full, entry.partition.spread(groups, full))

    def _send_options(self) -> None:
        """Bring lr, momentum and the rest from the public groups to the base's."""
        for (source, decays), group in zip(self._routes, self.base.param_groups, strict=True):
            _copy_options(self.param_groups[source], group, decays=decays)

    def _fetch_options(self) -> None:
        """Bring back what a base optimiser changes in its own groups (a few adapt their lr)."""
        for (source, decays), group in zip(self._routes, self.base.param_groups, strict=True):
            _copy_options(group, self.param_groups[source], decays=decays)


def _check_members(base: torch.optim.Optimizer, listed: list[Target]) -> None:
    members = {id(tensor) for group in base.param_groups for tensor in group["params"]}
    for target in listed:
        if id(target.tensor) not in members:
            raise InputError(
                f"a penalised tensor of shape {tuple(target.tensor.shape)} is not in the optimiser; "
                "build the base optimiser on the same model's parameters"
            )


def _check_state(state_dict: dict[str, Any], opt: SpredOptimizer) -> None:
    missing = {"param_groups", "state", "base", "factors", "budgets", "alphas"} - set(state_dict)
    if missing:
        raise StateError(f"the loaded state lacks {sorted(missing)}; load one that SpredOptimizer.state_dict returned")
    saved = [[tuple(factor.shape) for factor in factors] for factors in state_dict["factors"]]
    here = [[tuple(factor.shape) for factor in entry.factors] for entry in opt.factored]
    if saved != here or len(state_dict["alphas"]) != len(opt.penalties):
        raise StateError(
            f"the loaded state has factors of shapes {saved} and this optimiser {here}; "
            "load the state of the same model with the same penalties"
        )


def _install(base: torch.optim.Optimizer, factored: list[Factored]) -> list[tuple[int, bool]]:
    """Put factors in the place of their tensors in the base's groups, in place.

    Where a group knows weight decay and has other tensors too, the factors move to a group of their own
    without it.

    Returns:
        For each group of the base: the public group it follows, and whether it follows its weight decay.
    """
    by_tensor = {entry.tensor: entry for entry in factored}
    routes: list[tuple[int, bool]] = []
    moved: list[tuple[int, dict[str, Any]]] = []
    switched_off = False
    for index, group in enumerate(base.param_groups):
        named = list(zip(group["params"], group.get("param_names", group["params"]), strict=True))
        inside = [pair for pair in named if pair[0] in by_tensor]
        outside = [pair for pair in named if pair[0] not in by_tensor]
        switched_off = switched_off or bool(inside and group.get("weight_decay"))
        if not inside or "weight_decay" not in group:
            _fill(group, named, by_tensor)
            routes.append((index, True))
        elif outside:
            twin = {**group, "params": [], "weight_decay": 0.0}
            _fill(group, outside, by_tensor)
            _fill(twin, inside, by_tensor)
            moved.append((index, twin))
            routes.append((index, True))
        else:
            group["weight_decay"] = 0.0
            _fill(group, inside, by_tensor)
            routes.append((index, False))
    for index, twin in moved:
        base.add_param_group(twin)
        routes.append((index, False))
    if switched_off:
        warnings.warn(
            "weight_decay is switched off for the penalised tensors, because their L2 must be inside the "
            "objective and spred adds it there; build the base optimiser with weight_decay=0 for them",
            SpredWarning,
            stacklevel=3,
        )
    return routes


def _fill(group: dict[str, Any], named: list[tuple[Tensor, Any]], by_tensor: dict[Tensor, Factored]) -> None:
    """Make ``named`` the content of a base group, each penalised tensor as its factors."""
    params: list[Tensor] = []
    names: list[str] = []
    for tensor, name in named:
        factors = by_tensor[tensor].factors if tensor in by_tensor else (tensor,)
        params.extend(factors)
        names.extend([f"{name}.factor{k}" for k in range(len(factors))] if tensor in by_tensor else [name])
    if "param_names" in group:
        group["param_names"] = names
    group["params"][:] = params  # in place: LBFGS holds on to this very list


def _copy_options(source: dict[str, Any], to: dict[str, Any], *, decays: bool) -> None:
    for key, value in source.items():
        if key not in NOT_OPTIONS and (decays or key != "weight_decay"):
            to[key] = value


def _adopt_state(base: torch.optim.Optimizer, entry: Factored) -> None:
    """Give the factors the state that ``base`` made for the tensor when it was built (Adagrad does).

    Such a state is constant; anything else comes from steps already taken, and has no meaning for factors.
    """
    for key, value in base.state.pop(entry.tensor, {}).items():
        per_weight = isinstance(value, Tensor) and value.ndim > 0
        if not isinstance(value, Tensor) or (per_weight and not bool((value == value.flatten()[0]).all())):
            raise StateError(
                "the base optimiser has already taken steps on a tensor of shape "
                f"{tuple(entry.tensor.shape)}; wrap it before its first step"
            )
        for factor in entry.factors:
            fill = value.flatten()[0].item()
            base.state[factor][key] = torch.full_like(factor, fill) if per_weight else value.clone()


def _clear_moments(state: dict[str, Any], factor: Tensor, where: Tensor) -> None:
    """Zero the moments of some coordinates (bool); a state that is not per coordinate is dropped whole."""
    tensors = [value for value in state.values() if isinstance(value, Tensor) and value.ndim > 0]
    if any(value.shape != factor.shape for value in tensors):
        state.clear()
        return
    for value in tensors:
        value.masked_fill_(where, 0.0)
