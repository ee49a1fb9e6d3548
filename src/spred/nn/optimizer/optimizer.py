"""SpredOptimizer: L1 and group penalties inside any torch optimiser, while the model stays a plain module.

The penalised tensors are replaced by their factors in the base optimiser's own groups. A step pulls the
gradient of each tensor back to its factors, adds the penalty's decay there, lets the base step, and writes
the product into the model. Nothing else is new: schedules, clipping, scaling and accumulation work on the
model's own ``.grad``. The same mathematics by autograd is in :mod:`spred.nn.parametrize`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from spred.core.factorization import quadratic_penalty
from spred.errors import InputError, StateError
from spred.nn.optimizer import divergence
from spred.nn.optimizer.density import DensityControl, density_control
from spred.nn.optimizer.factored import Factored, factorise_all
from spred.nn.optimizer.fused_step import FusedStep
from spred.nn.optimizer.preconditioner import MEASURE_EVERY, WARMUP_STEPS, Precondition
from spred.nn.optimizer.regrowth import Regrowth
from spred.nn.optimizer.reweight import renewed_weights
from spred.nn.optimizer.rewriting import Rewriting
from spred.nn.optimizer.state_dict import (
    check_moments,
    check_state,
    copied_attributes,
    damaged,
    extra_attributes,
    load_state,
    saved_state,
)
from spred.nn.optimizer.wrapped.groups import Groups, check_fresh
from spred.nn.optimizer.wrapped.pace import COORDINATES_APART, divides_gradients, pace_of, rate_scale
from spred.nn.optimizer.wrapped.wrapping import check_base, factor_groups, tensor_names, transfer_state
from spred.nn.penalties import L1, targets
from spred.nn.pruning.macs import Cost
from spred.nn.sharding import whole
from spred.runtime.users_code import users_code

LEAST_FRICTION = 1e-3
"""A guard: one minus the momentum is taken to be no less when step sizes are estimated."""


class SpredOptimizer(torch.optim.Optimizer):
    """Minimises ``L(v) + Σ Ω(v)`` with any torch optimiser, by L2 on the factors of the penalised tensors v.

    L is the loss, a mean over samples, and ``Ω(v) = α Σ_g ω_g ‖v_g‖^{2/D}`` what each penalty says. The optimiser is
    used like the one that it wraps. Its ``param_groups`` hold the model's own tensors, and are those of the base: what
    a scheduler of either or a user writes there reaches the factors at the next step. A weight written from outside (a
    loaded state, an average, a mask) is noticed at the next step and split again; what was written as an exact zero
    stays zero.

    The penalty must be inside the objective, so the base's ``weight_decay`` is switched off for the penalised
    tensors; it still applies to the others.

    Args:
        base: an optimiser made on the model's parameters, before its first step. Afterwards step only this
            one. How its steps go with gradient and weight is known or tried (:mod:`~spred.nn.optimizer.wrapped.pace`).
        penalties: :class:`~spred.nn.penalties.L1`, :class:`~spred.nn.penalties.GroupL1`, or several. Move the model
            to its device first. Their ``alpha`` may be changed between steps.
        balanced: split as in :func:`spred.core.factorization.split`.
        precondition: let the dense model's learning rate work (:mod:`~spred.nn.optimizer.preconditioner`). ``"auto"``
            divides the factors' gradients by their speed for SGD, and gives each tensor's factors a learning rate of
            their own for Adam and its kin. True divides the gradients of optimisers of no known kind too; False does
            neither.
        regrow: give weights at zero another chance where their mean gradient exceeds alpha (at depth 3 and more the
            slope of the penalty), while the learning rate is at least half of the largest so far
            (:mod:`~spred.nn.optimizer.regrowth`). It takes one more copy of each tensor in that time. Never for LBFGS,
            which is for gradients without noise.
        target_density: fraction of all penalised weights to keep, between 0 and 1. The smallest are then pruned along
            a schedule (:mod:`~spred.nn.optimizer.density`), and every alpha is multiplied by one common factor: it
            begins at 0.1, rises to 1 as long as that does not leave too little, and falls where it does.
            ``penalties[k].alpha`` is what is used. A penalty can have a target of its own instead.
        total_steps: steps of the whole run; needed with a target.
        cost: what ``target_density`` is a fraction of: None for the weights, or
            :class:`~spred.nn.pruning.macs.MACs` for the work of the model that :func:`spred.shrink` leaves.
        keep_zeros: let weights stay zero that are exactly zero now, unless their whole tensor is
            (:mod:`~spred.nn.kept_zeros`): a mask, or what :func:`~spred.nn.finalize.finalize` has reached.
        compile: fuse the step, the base's own part too, into one program (:mod:`~spred.nn.optimizer.fused_step`).
            The first steps take seconds. Hooks of the base are not called. Not for LBFGS, nor after ``fully_shard``.

    Attributes:
        base: the wrapped optimiser. Its groups are these; while it steps, they are those with factors.
        penalties: the penalties, as given.
        factored: one :class:`Factored` for each penalised tensor.
        precondition: whether gradients of factors are divided by their speed.
        regrowth: running mean gradients; None where nothing regrows.
        density_control: what sets alpha and the support; None without a target density.
        n_steps: steps taken.

    Raises:
        InputError: ``base`` is not an optimiser, a penalised tensor is not in it, an argument is out of its range, or a
            gradient is sparse.
        StateError: ``base`` has already taken steps; a state that belongs to other tensors is loaded; weights or
            gradients are not finite.

    Warns:
        SpredWarning: a weight decay of ``base`` is switched off; zeros stay zero; how ``base`` steps is not known; all
            weights of a tensor are at zero; a target has switched alpha off.

    >>> model = torch.nn.Linear(3, 1)
    >>> opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.1), L1([model.weight], alpha=0.01))
    >>> model(torch.ones(2, 3)).square().mean().backward()
    >>> opt.step()

    Source: Ziyin and Wang, "spred: Solving L1 Penalty with SGD", ICML 2023, algorithm 1.
    """

    def __init__(
        self,
        base: torch.optim.Optimizer,
        penalties: L1 | Iterable[L1],
        *,
        balanced: bool = False,
        precondition: Precondition = "auto",
        regrow: bool = True,
        target_density: float | None = None,
        total_steps: int | None = None,
        cost: Cost | None = None,
        keep_zeros: bool = True,
        compile: bool = False,
    ) -> None:
        if not isinstance(base, torch.optim.Optimizer) or isinstance(base, SpredOptimizer):
            raise InputError(
                f"base is {base!r}; give an instance of a torch optimiser, "
                "for instance torch.optim.SGD(model.parameters(), lr=0.1)"
            )
        check_fresh(base)
        listed = targets(penalties)
        check_base(base, listed)
        self._groups: Groups | None = None  # while Optimizer.__init__ adds the public groups
        lists = [group["params"] for group in base.param_groups]
        super().__init__(base.param_groups, dict(base.defaults))
        base.param_groups[:] = self.param_groups
        self.param_groups = base.param_groups
        self.base = base
        self.balanced = balanced
        pace = pace_of(base)
        self.precondition = divides_gradients(precondition, pace)
        self.penalties = list(dict.fromkeys(target.penalty for target in listed))
        holds = not isinstance(base, COORDINATES_APART)
        self.factored = factorise_all(
            listed, tensor_names(base, listed), balanced=balanced, keep_zeros=keep_zeros, holds=holds
        )
        self.density_control = density_control(self.factored, self.penalties, target_density, total_steps, cost)
        regrowth = Regrowth if self.density_control is None else self.density_control.regrowth
        self.regrowth = regrowth(self.factored) if regrow and pace != "curvature" else None
        self.n_steps = 0
        transfer_state(base, self.factored)
        inner, links = factor_groups(base, lists, self.factored, rates=rate_scale(base, precondition, pace))
        self._groups = Groups(base, inner, links)
        self._checked = divergence.smallest_on_cpu(self.factored)
        self._rewriting = Rewriting(base, balanced=balanced)
        self._program = FusedStep(base, self.factored, precondition=self.precondition) if compile else None

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step of the base optimiser on the factors.

        Args:
            closure: as for any torch optimiser; it computes the loss and calls ``backward``.

        Returns:
            What the base returns: with a closure its loss, plus the penalty.

        Raises:
            StateError: a gradient or a weight is not finite. Gradients are checked before a step, on the CPU at each
                one, so that the weights are those before it; weights every so many steps.
        """
        groups = self._option_groups()
        groups.send()
        self._resplit_written()
        if self.regrowth is not None:
            self.regrowth.start_step(groups.largest_rate())
        with groups.factors():
            loss = self._step_base(closure) if self._program is None else self._step_fused(self._program, closure)
        self._regrow()
        groups.fetch()
        self.n_steps += 1
        if self.n_steps % divergence.EVERY == 0:
            for entry in self.factored:
                divergence.check_divergence(entry, self.n_steps)
        self._control_density()
        return loss

    def train(self) -> None:
        """Switch a schedule-free base to the weights that it trains; nothing for others."""
        self._switch("train")

    def eval(self) -> None:
        """Switch a schedule-free base to the weights that it has averaged; nothing for others."""
        self._switch("eval")

    @property
    def factor_groups(self) -> list[dict[str, Any]]:
        """The groups that the base has while it steps: factors in the places of penalised tensors."""
        return self._option_groups().inner

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of the model's tensors and of the factors."""
        super().zero_grad(set_to_none)
        for entry in self.factored:
            entry.attach_buffers(False)

    @torch.no_grad()
    def penalty(self) -> Tensor:
        """Return the quadratic penalty of the factors, at balance ``Σ Ω(v)``; never below it."""
        terms = [
            quadratic_penalty(e.factors, e.target.penalty.alpha, e.target.weights, e.partition) for e in self.factored
        ]
        return torch.stack([whole(term) for term in terms]).sum()

    @torch.no_grad()
    def decay_budget(self) -> dict[Tensor, float]:
        """Return the decay budget B that each penalised tensor has spent.

        ``B = (D/4)·log(Δ₀/Δ)``, where Δ is the mean of ``|u² − w²|`` over the groups that are not zero (in a
        group, gate against norm of the full factor), and Δ₀ its value at the split. It is measured from the factors,
        whatever optimiser moved them. Under SGD only the penalty moves ``u² − w²``, and to first order in the step B
        is ``Σ_t lr_t·α/(1 − momentum)`` with ``precondition=False``; else each weight has a B of its own, in which
        ``lr_t`` is divided as its gradient is, and this is that of their mean imbalance. While B is small, below 2 say,
        the run has not reached the L1 solution (docs/math.md, §6). NaN after a balanced split, which has no imbalance
        to lose.
        """
        return {tensor: entry.budget() for entry in self.factored for tensor in entry.place.tensors}

    @torch.no_grad()
    def resplit(self) -> None:
        """Take over weights that were written from outside since the last step.

        Every step does so for the tensors whose version counter has moved, or, on the CPU, some of whose values have;
        this compares all values, and so finds on any device what was written through ``.data``.

        What changed keeps its gates where they still suit, so that the optimiser's moments keep their
        meaning; else it is split anew. Groups that were written as exact zeros get all factors and moments
        zero: zero is absorbing, so a mask stays a mask.
        """
        for entry in self.factored:
            self._rewriting.resplit(entry, self.n_steps)

    @torch.no_grad()
    def reweight(self, power: float = 0.5) -> None:
        """Minimise ``L(v) + α Σ_g ω_g‖v_g‖`` from here on: large weights pay less of alpha, small ones more.

        ``ω_g`` goes by the sizes that the groups have now, in proportion to ``(‖v_g‖ + s/10)^{−power}``; a group of the
        tensor's typical size s pays alpha itself (:mod:`~spred.nn.optimizer.reweight`). That holds until the next call:
        call it every epoch, say, from where large weights stand out. What :func:`~spred.nn.inspect.inspect` reports is
        by the present ω.

        Args:
            power: 0 is the plain penalty again, 1 the logarithmic one.

        Raises:
            InputError: a power outside 0 … 1; a penalty of depth 3 or more, which is of this kind already.
        """
        if not 0.0 <= power <= 1.0:
            raise InputError(f"power is {power}; give a number from 0 to 1")
        deep = [entry for entry in self.factored if len(entry.factors) > 2]
        if deep:
            raise InputError(f"{deep[0].name} has depth {len(deep[0].factors)}; reweighting is for depth 2")
        for entry in self.factored:
            entry.target = replace(entry.target, weights=renewed_weights(entry, power))
        if self._is_lbfgs:
            self.base.state.clear()  # its history is that of another function

    @torch.no_grad()
    def zero_groups(self, entry: Factored, groups: Tensor) -> None:
        """Set groups of a tensor to zero for good: tensor, factors and the base's moments.

        Args:
            entry: one of ``factored``.
            groups: which, bool in the gate shape.
        """
        self._rewriting.zero(entry, groups)

    def state_dict(self) -> dict[str, Any]:
        """Return everything needed to go on bit for bit: tensors and plain Python values only.

        Raises:
            StateError: weights are not finite, so that an earlier checkpoint is the one to keep.
        """
        divergence.check_finite(self.factored, self.n_steps)
        groups = self._option_groups()
        groups.send()
        with groups.factors():
            own = {"base": self.base.state_dict(), "n_steps": self.n_steps}
        return super().state_dict() | own | saved_state(*self._parts_with_state())

    @torch.no_grad()
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load what :meth:`state_dict` returned; the model's own state is loaded by the model.

        Raises:
            StateError: the state is not of a SpredOptimizer with the same tensors and penalties, or was damaged.
        """
        groups = self._option_groups()
        check_state(state_dict, self.factored, self.penalties, self.density_control)
        if isinstance(self.base, COORDINATES_APART) and not self._is_lbfgs:
            check_moments(state_dict, groups.inner)
        with damaged(), groups.factors():
            self.base.load_state_dict(state_dict["base"])
        with damaged():
            super().load_state_dict({key: state_dict[key] for key in ("state", "param_groups")})
            self.param_groups = groups.replace(self.param_groups)
            self.n_steps = state_dict["n_steps"]
            load_state(state_dict, *self._parts_with_state())

    def __getstate__(self) -> dict[str, Any]:
        """Return all that a copy needs, of the base too; hooks and compiled programs are made anew."""
        own = copied_attributes(self, without=("_program",))
        return own | {"extras": extra_attributes(self.base), "compiled": self._program is not None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the attributes of a copy, or from torch the groups of a state that is loaded."""
        own = {key: value for key, value in state.items() if key not in ("extras", "compiled")}
        super().__setstate__(own)
        if "extras" in state:
            vars(self.base).update(state["extras"])
            self._option_groups().install_guard()
            fused = state["compiled"]
            self._program = FusedStep(self.base, self.factored, precondition=self.precondition) if fused else None

    def __repr__(self) -> str:
        penalties = ", ".join(repr(penalty) for penalty in self.penalties)
        return f"{type(self).__name__} of {type(self.base).__name__} with {penalties}\n{super().__repr__()}"

    @property
    def _is_lbfgs(self) -> bool:
        return isinstance(self.base, torch.optim.LBFGS)

    def _option_groups(self) -> Groups:
        if self._groups is None:
            raise StateError("the optimiser is not complete; make it anew")
        return self._groups

    @torch.no_grad()
    def _switch(self, mode: str) -> None:
        """Call a method of the base that moves its weights elsewhere, and follow them."""
        switch = getattr(self.base, mode, None)
        if switch is not None:
            groups = self._option_groups()
            groups.send()
            self._resplit_written()
            with groups.factors():
                switch()
            groups.fetch()
            self._write_products()

    def _step_base(self, closure: Callable[[], Any] | None) -> Any:
        """Let the base step on the factors' gradients, and write the products."""
        before = divergence.copies(self.factor_groups) if self._is_lbfgs else None
        try:
            if closure is None:
                self._set_gradients()
            loss: Any = self.base.step(None if closure is None else self._penalised(closure))
        finally:
            self._write_products()  # till here the tensors may hold gradients of factors
        if before is not None:  # its line search may meet what is not finite, its end may not
            divergence.check_or_take_back(self.base, self.factored, before, self.n_steps + 1)
        return loss

    def _step_fused(self, program: FusedStep, closure: Callable[[], Any] | None) -> Any:
        """Take the same step as one program."""
        loss: Any = None if closure is None else self._call(closure)
        if loss is not None:
            loss = loss + self.penalty()
        self._update_damping()
        divergence.check_gradient(self._checked, self.n_steps)
        program()
        vars(self.base)["_opt_called"] = True  # a scheduler of the base asks for it, and the program calls no method
        return loss

    def _call(self, closure: Callable[[], Any]) -> Any:
        """Call a user's closure, who must see the model's own tensors."""
        with torch.enable_grad(), self._option_groups().tensors(), users_code("the closure given to step"):
            return closure()

    def _penalised(self, closure: Callable[[], Any]) -> Callable[[], Any]:
        """Wrap a user's closure for the base: factors in, penalised loss out."""

        @torch.no_grad()  # LBFGS calls it with gradients on
        def penalised() -> Any:
            self._write_products()
            loss = self._call(closure)
            self._set_gradients()
            return None if loss is None else loss + self.penalty()

        return penalised

    def _regrow(self) -> None:
        """Take the gradients of this step into the running means, and let regrow what noise has brought to zero."""
        if self.regrowth is None:
            return
        self.regrowth.update_means()
        candidates = self.regrowth.candidates()
        if candidates and self.density_control is not None:
            candidates = self.density_control.select(candidates, self.n_steps)
        for candidate in candidates:
            self._rewriting.regrow(*candidate)

    def _control_density(self) -> None:
        """Let alpha and the support follow the target density."""
        if self.density_control is None:
            return
        for entry, groups in self.density_control.update(self.n_steps):
            self._rewriting.prune(entry, groups)
        zeros, regrown = self.density_control.hold_support(self.n_steps, self.regrowth)
        for entry, groups in zeros:
            self._rewriting.zero(entry, groups)
        for candidate in regrown:
            self._rewriting.regrow(*candidate)

    def _resplit_written(self) -> None:
        """Split again what torch's version counters and the samples show as written; to compare all would cost more."""
        for entry in self.factored:
            if entry.was_written():
                self._rewriting.resplit(entry, self.n_steps)

    def _set_gradients(self) -> None:
        if not self._is_lbfgs:
            divergence.check_gradient(self._checked, self.n_steps)
        self._update_damping()
        for entry in self.factored:
            entry.set_gradients(precondition=self.precondition)

    def _update_damping(self) -> None:
        """Let the damping follow the learning rate and the largest gradients."""
        if not self.precondition:
            return
        groups = self.param_groups
        step_size = max(float(group["lr"]) / max(1.0 - group.get("momentum", 0.0), LEAST_FRICTION) for group in groups)
        for entry in self.factored:
            if self.n_steps < WARMUP_STEPS or self.n_steps % MEASURE_EVERY == 0:
                entry.measure_gradient()
            entry.update_damping(step_size)

    def _write_products(self) -> None:
        for entry in self.factored:
            entry.write()

    def _parts_with_state(self) -> tuple[list[Factored], list[L1], DensityControl | None, Regrowth | None]:
        return self.factored, self.penalties, self.density_control, self.regrowth
