"""SpredOptimizer: L1 and group penalties inside any torch optimiser, while the model stays a plain module.

The penalised tensors are replaced by their factors in the base optimiser's own groups. A step pulls the
gradient of each tensor back to its factors, adds the penalty's decay there, lets the base step, and writes
the product into the model. Nothing else is new: schedules, clipping, scaling and accumulation work on the
model's own ``.grad``. The same mathematics by autograd is in :mod:`spred.nn.parametrize`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from spred.core.factorization import quadratic_penalty
from spred.errors import InputError
from spred.nn.optimizer import watch
from spred.nn.optimizer.checkpoint import check_state
from spred.nn.optimizer.density import steering
from spred.nn.optimizer.factored import Factored, factorise, follow, imbalance_of
from spred.nn.optimizer.fused_step import CompiledStep
from spred.nn.optimizer.preconditioner import FIRST_LOOKS, LOOKS, Metric, wants_metric, wants_pace
from spred.nn.optimizer.regrowth import Reopening, open_groups_, put_away_
from spred.nn.optimizer.reweight import renewed
from spred.nn.optimizer.wrapping import (
    Route,
    adopt_state,
    check_direction,
    check_members,
    check_shapes,
    clear_moments,
    install,
    names,
)
from spred.nn.penalties import L1, targets, zero_groups_
from spred.nn.pruning.macs import Cost
from spred.nn.sharding import count, equal, whole


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
        penalties: :class:`~spred.nn.penalties.L1`, :class:`~spred.nn.penalties.GroupL1`, or several. Move the model
            to its device first. Their ``alpha`` may be changed between steps.
        balanced: split as in :func:`spred.core.factorization.split`.
        metric: let the dense model's learning rate work (:mod:`~spred.nn.optimizer.preconditioner`): for SGD,
            ``"auto"`` divides the
            factors' gradients by the saturating metric; for Adam and its kin it gives each tensor's factors a learning
            rate in the pace of the dense weights. Other optimisers take the metric with True.
        reopen: while the learning rate is at least half of the largest so far, weights at zero whose mean gradient
            exceeds alpha (or their price, at depth 3 and more) are opened again (:mod:`~spred.nn.optimizer.regrowth`). It takes one
            more copy of each tensor in that time. Never for LBFGS, which sees no noise.
        target_density: share of all penalised weights to keep, between 0 and 1. The smallest then go along a curve
            (:mod:`~spred.nn.optimizer.density`), and every alpha is multiplied by one common factor, which begins at 0.1, rises to 1
            as long as that does not close too much, and falls where it does;
            ``penalties[k].alpha`` is what is used. A penalty can have a target of its own instead.
        total_steps: steps of the whole run; needed with a target.
        cost: what ``target_density`` is a share of: None for the weights, or
            :class:`~spred.nn.pruning.macs.MACs` for the work of the model that :func:`spred.shrink` leaves.
        compile: fuse the step, the base's own part too, into one program (:mod:`~spred.nn.optimizer.fused_step`). The first steps
            take seconds. Hooks of the base are not called. Not for LBFGS, nor after ``fully_shard``.

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

    def __init__(
        self,
        base: torch.optim.Optimizer,
        penalties: L1 | Iterable[L1],
        *,
        balanced: bool = False,
        metric: Metric = "auto",
        reopen: bool = True,
        target_density: float | None = None,
        total_steps: int | None = None,
        cost: Cost | None = None,
        compile: bool = False,
    ) -> None:
        if not isinstance(base, torch.optim.Optimizer) or isinstance(base, SpredOptimizer):
            raise InputError(
                f"base is {base!r}; give an instance of a torch optimiser, "
                "for instance torch.optim.SGD(model.parameters(), lr=0.1)"
            )
        listed = targets(penalties)
        check_members(base, listed)
        check_direction(base)
        self._routes: list[Route] = []  # empty while Optimizer.__init__ adds the public groups
        super().__init__([dict(group) for group in base.param_groups], dict(base.defaults))
        self.base = base
        self.balanced = balanced
        self.metric = wants_metric(base, metric)
        self.penalties = list(dict.fromkeys(target.penalty for target in listed))
        called = names(base, listed)
        self.factored = [factorise(target, balanced, name) for target, name in zip(listed, called, strict=True)]
        self.steering = steering(self.factored, self.penalties, target_density, total_steps, cost)
        watching = Reopening if self.steering is None else self.steering.reopening
        self.reopening = watching(self.factored) if reopen and not isinstance(base, torch.optim.LBFGS) else None
        self.n_steps = 0
        check_shapes(base, self.factored)
        for entry in self.factored:
            adopt_state(base, entry)
        self._routes = install(base, self.factored, paced=wants_pace(base, metric))
        self._program = CompiledStep(base, self.factored, metric=self.metric) if compile else None

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step of the base optimiser on the factors.

        Args:
            closure: as for any torch optimiser; it computes the loss and calls ``backward``.

        Returns:
            What the base returns: with a closure its loss, plus the penalty.
        """
        self._send_options()
        self._take_writes()
        if self.reopening is not None:
            self.reopening.begin(max(float(group["lr"]) for group in self.param_groups))
        loss = self._step_base(closure) if self._program is None else self._step_compiled(self._program, closure)
        self._reopen()
        self._fetch_options()
        self.n_steps += 1
        if self.n_steps % watch.EVERY == 0:
            for entry in self.factored:
                watch.check(entry)
        self._steer()
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients of the model's tensors and of the factors."""
        super().zero_grad(set_to_none)
        for entry in self.factored:
            entry.lend(False)

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

        ``B = (D/4)·log(Δ₀/Δ)``, where Δ is the mean of ``|u² − w²|`` over the groups that are not closed (in a
        group, gate against norm of the full factor), and Δ₀ its value at the split. It is measured from the factors,
        whatever optimiser moved them. Under SGD only the penalty moves ``u² − w²``, and to first order in the step B
        is ``Σ_t lr_t·α/(1 − momentum)`` without the metric; with it, each weight has a B of its own, in which
        ``lr_t`` is divided by the metric, and this is that of their mean imbalance. While B is small, below 2 say,
        the run has not reached the L1 solution (docs/math.md, §6). NaN after a balanced split, which has no imbalance
        to lose.
        """
        return {tensor: entry.budget() for entry in self.factored for tensor in entry.place.tensors}

    @torch.no_grad()
    def resplit(self) -> None:
        """Take over weights that were written from outside since the last step.

        Every step does so for the tensors whose version counter has moved, or, on the CPU, some of whose values have;
        this compares all values, and so sees on any device what was written through ``.data``.

        What changed keeps its gates where they still suit, so that the optimiser's moments keep their
        meaning; else it is split anew. Groups that were written as exact zeros get all factors and moments
        zero: zero is absorbing, so a mask stays a mask.
        """
        for entry in self.factored:
            self._resplit(entry)

    @torch.no_grad()
    def reweight(self, power: float = 0.5) -> None:
        """Let large weights pay less of alpha, and small ones more, by the sizes that they have now.

        A group pays alpha times ``ω_g``, in proportion to ``(‖v_g‖ + s/10)^{−power}``; the typical size s of the tensor
        pays alpha itself (:mod:`~spred.nn.optimizer.reweight`). That holds until the next call: call it every epoch, say, from
        where large weights stand out. What :func:`~spred.nn.inspect.inspect` reports is by the present ω.

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
            entry.target = replace(entry.target, weights=renewed(entry, power))
        if isinstance(self.base, torch.optim.LBFGS):
            self.base.state.clear()  # its history is that of another function

    @torch.no_grad()
    def close(self, entry: Factored, dead: Tensor) -> None:
        """Set groups of a tensor to zero for good: tensor, factors and the base's moments.

        Args:
            entry: one of ``factored``.
            dead: the groups, bool in the gate shape.
        """
        with self._rewriting(entry, dead):
            zero_groups_(entry.factors, dead, entry.partition)
        entry.write()

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add unpenalised tensors, to the base too. A penalised tensor must be there from the start."""
        super().add_param_group(param_group)
        if self._routes:
            self.base.add_param_group(dict(self.param_groups[-1]))
            self._routes.append(Route(len(self.param_groups) - 1))

    def state_dict(self) -> dict[str, Any]:
        """Return everything needed to go on bit for bit: tensors and plain Python values only."""
        return super().state_dict() | {
            "base": self.base.state_dict(),
            "factors": [[factor.detach() for factor in entry.factors] for entry in self.factored],
            "budgets": [[entry.imbalance, entry.spent] for entry in self.factored],
            "scales": [entry.scale for entry in self.factored],
            "steepest": [entry.steepest for entry in self.factored],
            "alphas": [penalty.alpha for penalty in self.penalties],
            "weights": [entry.target.weights for entry in self.factored],
            "n_steps": self.n_steps,
            "loops": [] if self.steering is None else [[loop.share, loop.error] for loop in self.steering.loops],
            "reopening": None if self.reopening is None else self.reopening.state_dict(),
        }

    @torch.no_grad()
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load what :meth:`state_dict` returned; the model's own state is loaded by the model.

        Raises:
            StateError: the state is not of a SpredOptimizer with the same tensors and penalties.
        """
        check_state(state_dict, self.factored, self.penalties, self.steering)
        super().load_state_dict({key: state_dict[key] for key in ("state", "param_groups")})
        self.base.load_state_dict(state_dict["base"])
        for penalty, alpha in zip(self.penalties, state_dict["alphas"], strict=True):
            penalty.alpha = alpha
        self.n_steps = state_dict["n_steps"]
        if self.reopening is not None and state_dict["reopening"] is not None:
            self.reopening.load_state_dict(state_dict["reopening"])
        if self.steering is not None:
            for loop, state in zip(self.steering.loops, state_dict["loops"], strict=True):
                loop.share, loop.error = state
        keys = ("factors", "budgets", "scales", "steepest", "weights")
        for entry, factors, (imbalance, spent), scale, steepest, weights in zip(
            self.factored, *(state_dict[key] for key in keys), strict=True
        ):
            if isinstance(weights, Tensor):
                weights = weights.to(entry.factors[0], copy=True)
            entry.target = replace(entry.target, weights=weights)
            entry.imbalance, entry.spent, entry.scale, entry.steepest = imbalance, spent, scale, steepest
            entry.seen = None
            for factor, value in zip(entry.factors, factors, strict=True):
                factor.copy_(value)

    def __repr__(self) -> str:
        penalties = ", ".join(repr(penalty) for penalty in self.penalties)
        return f"{type(self).__name__} of {type(self.base).__name__} with {penalties}\n{super().__repr__()}"

    def _step_base(self, closure: Callable[[], Any] | None) -> Any:
        """Let the base step on the factors' gradients, and write the products."""
        try:
            if closure is None:
                self._pull_gradients()
            loss: Any = self.base.step(None if closure is None else self._penalised(closure))
        finally:
            self._write_products()  # till here the tensors may hold gradients of factors
        return loss

    def _step_compiled(self, program: CompiledStep, closure: Callable[[], Any] | None) -> Any:
        """Take the same step as one program."""
        loss: Any = None if closure is None else torch.enable_grad()(closure)()
        if loss is not None:
            loss = loss + self.penalty()
        self._adjust()
        program()
        return loss

    def _penalised(self, closure: Callable[[], Any]) -> Callable[[], Any]:
        """Wrap a user's closure for the base: factors in, penalised loss out."""

        @torch.no_grad()  # LBFGS calls it with gradients on
        def penalised() -> Any:
            self._write_products()
            with torch.enable_grad():
                loss = closure()
            self._pull_gradients()
            return None if loss is None else loss + self.penalty()

        return penalised

    def _reopen(self) -> None:
        """Take the gradients of this step in, and open what noise has closed."""
        if self.reopening is None:
            return
        self.reopening.take_in()
        openings = self.reopening.openings()
        if openings and self.steering is not None:
            openings = self.steering.admit(openings, self.n_steps)
        for opening in openings:
            self._open(*opening)

    def _open(self, entry: Factored, groups: Tensor, mean: Tensor) -> None:
        """Open groups along the way down; the base forgets its moments there."""
        if count(groups):
            with self._rewriting(entry, groups):
                open_groups_(entry, groups, mean)
            entry.write()

    def _put_away(self, entry: Factored, groups: Tensor) -> None:
        """Bring groups to zero, from where they can come back; the base forgets its moments there."""
        if count(groups):
            with self._rewriting(entry, groups):
                put_away_(entry, groups)
            entry.write()

    def _steer(self) -> None:
        """Let alpha follow the target density, and settle what it has left over."""
        if self.steering is None:
            return
        for entry, groups in self.steering.observe(self.n_steps):
            self._put_away(entry, groups)
        closings, openings = self.steering.settle(self.n_steps, self.reopening)
        for entry, groups in closings:
            self.close(entry, groups)
        for opening in openings:
            self._open(*opening)

    def _take_writes(self) -> None:
        """Split again what torch's version counters say was written; comparing every value would cost a step more."""
        for entry in self.factored:
            if entry.was_written():
                self._resplit(entry)

    def _resplit(self, entry: Factored) -> None:
        if not equal(entry.place.value(), entry.product()):
            factors, reset = follow(entry, self.balanced)
            with self._rewriting(entry, reset):
                for factor, value in zip(entry.factors, factors, strict=True):
                    factor.copy_(value)
        entry.agree()

    def _pull_gradients(self) -> None:
        self._adjust()
        for entry in self.factored:
            entry.take_gradient(metric=self.metric)

    def _adjust(self) -> None:
        """Let the metric keep up with the learning rate, and with how steep the loss is."""
        if not self.metric:
            return
        groups = self.param_groups
        stride = max(float(group["lr"]) / max(1.0 - group.get("momentum", 0.0), 1e-3) for group in groups)
        for entry in self.factored:
            if self.n_steps < FIRST_LOOKS or self.n_steps % LOOKS == 0:
                entry.look()
            entry.adjust(stride)

    def _write_products(self) -> None:
        for entry in self.factored:
            entry.write()

    @contextmanager
    def _rewriting(self, entry: Factored, groups: Tensor) -> Iterator[None]:
        """Around a change of factors by hand: the decay budget goes on, and the moments of ``groups`` are void."""
        spent = entry.budget()
        yield
        self._forget(entry, groups)
        entry.imbalance, entry.spent = imbalance_of(entry.factors, entry.partition), spent

    def _forget(self, entry: Factored, groups: Tensor) -> None:
        """Drop what the base remembers about groups (bool, gate shape) whose factors were rewritten."""
        if isinstance(self.base, torch.optim.LBFGS):
            self.base.state.clear()  # its history joins all coordinates, so it ends when one is rewritten
        elif count(groups):
            *gates, full = entry.factors
            for gate in gates:
                clear_moments(self.base.state[gate], gate, groups)
            clear_moments(self.base.state[full], full, entry.partition.spread(groups, full))

    def _send_options(self) -> None:
        """Bring lr, momentum and the rest from the public groups to the base's."""
        for route, group in zip(self._routes, self.base.param_groups, strict=True):
            route.send(self.param_groups, group)

    def _fetch_options(self) -> None:
        """Bring back what a base optimiser changes in its own groups."""
        for route, group in zip(self._routes, self.base.param_groups, strict=True):
            route.fetch(group, self.param_groups)
