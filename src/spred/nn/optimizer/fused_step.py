"""The step as one compiled program: from the gradients of the tensors to their new values, the base's step in between.

Taken one operation after the other, a step reads and writes each factor many times. ``torch.compile`` fuses the
operations, so that each is read and written once. Learning rates, momentum, alpha and the damping are numbers that the
program takes anew at every step, so schedules and the control of the density do not compile it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from inspect import unwrap

import torch
from torch import Tensor

from spred.errors import InputError
from spred.nn.optimizer.factored import Factored


class FusedStep:
    """A step of the base on the factors, as one program.

    The first calls compile it. A tensor that gets or loses its gradient has it compiled once more.

    Args:
        base: the wrapped optimiser, with factors in its groups.
        factored: the penalised tensors.
        precondition: as in :meth:`Factored.set_gradients`.

    Raises:
        InputError: LBFGS, which calls the model several times in a step, or tensors in parts.
    """

    def __init__(self, base: torch.optim.Optimizer, factored: Sequence[Factored], *, precondition: bool) -> None:
        if isinstance(base, torch.optim.LBFGS):
            raise InputError("LBFGS calls the model in the middle of its step; leave out compile=True for it")
        if any(entry.place.sharded for entry in factored):
            raise InputError("tensors in parts (fully_shard) are stepped on as they are; leave out compile=True")
        step = unwrap(type(base).step)  # torch's wrapper cuts a program in three, for grad modes and hooks

        def program(numbers: Tensor) -> None:
            for entry, (alpha, damping) in zip(factored, numbers, strict=True):
                entry.fill_gradients(alpha, damping if precondition else None)
            step(base)
            for entry in factored:
                fill_product(entry)

        self.factored = factored
        program.__code__ = program.__code__.replace()  # torch counts what it compiles of one code, and soon stops
        self.program = torch.compile(program)

    def __call__(self) -> None:
        """Take the step; the tensors' gradients are there. If it fails, the weights are as they were."""
        for entry in self.factored:
            entry.attach_buffers(any(tensor.grad is not None for tensor in entry.place.tensors))
        numbers = [[entry.target.penalty.alpha, entry.damping] for entry in self.factored]
        try:
            self.program(torch.tensor(numbers, dtype=torch.float64, device=self.factored[0].factors[0].device))
        except BaseException:
            for entry in self.factored:
                entry.write()
            raise
        for entry in self.factored:
            entry.after_write()


def fill_product(entry: Factored) -> None:
    """Put the product of the factors into the tensor; where memory is shared, by way of the full factor's gradient."""
    shared = entry.factors[-1].grad
    entry.hold()
    if not entry.shares_memory:
        entry.place.write_(entry.product())
    elif shared is not None:  # without a gradient nothing has moved
        shared.copy_(entry.product())
