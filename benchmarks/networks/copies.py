"""What a penalty holds in memory: every tensor that is alive after some steps, over the size of the penalised weights.

The dense run holds the weights, their gradients and the base optimiser's moments. What spred holds beyond that is the
figure. Tensors are found by Python's garbage collector, so nothing is counted by those who made it. What lives only
within a step does not show.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import cache

import torch
from torch import nn

import spred

N_IN, N_OUT, N_STEPS = 1024, 2048, 3

Wrap = Callable[[torch.optim.Optimizer, nn.Parameter], torch.optim.Optimizer]

BASES = {
    "SGD, momentum": lambda params: torch.optim.SGD(params, lr=0.01, momentum=0.9),
    "Adam": lambda params: torch.optim.Adam(params, lr=0.001),
}

PENALTIES = {
    "L1": lambda weight: spred.L1(weight, 1e-4),
    "L1, depth 3": lambda weight: spred.L1(weight, 1e-4, depth=3),
    "rows": lambda weight: spred.GroupL1(weight, 1e-4),
}


def beyond_dense(base: str, penalty: str, *, regrow: bool) -> float:
    """Return how many copies of the weights a penalised run holds more than the dense run with the same base."""

    def wrapped(opt: torch.optim.Optimizer, weight: nn.Parameter) -> torch.optim.Optimizer:
        return spred.SpredOptimizer(opt, PENALTIES[penalty](weight), regrow=regrow)

    return copies(base, wrapped) - dense(base)


@cache
def dense(base: str) -> float:
    """Return the copies of the dense run."""
    return copies(base, lambda opt, weight: opt)


def copies(base: str, wrap: Wrap) -> float:
    """Return the bytes of all tensors after training steps, over those of the weights."""
    before = alive()
    model = nn.Linear(N_IN, N_OUT, bias=False)
    opt = wrap(BASES[base](model.parameters()), model.weight)
    x = torch.randn(2, N_IN)
    for _ in range(N_STEPS):
        opt.zero_grad()
        model(x).square().mean().backward()
        opt.step()
    found = alive()
    return sum(size for address, size in found.items() if address not in before) / model.weight.nbytes


def alive() -> dict[int, int]:
    """Return address and bytes of every storage that a tensor of Python holds."""
    gc.collect()
    tensors = [thing for thing in gc.get_objects() if type(thing) in (torch.Tensor, nn.Parameter)]
    tensors += [tensor.grad for tensor in tensors if tensor.is_leaf and tensor.grad is not None]
    storages = [tensor.untyped_storage() for tensor in tensors]
    return {storage.data_ptr(): storage.nbytes() for storage in storages}
