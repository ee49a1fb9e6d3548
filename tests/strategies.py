"""What hypothesis draws: small tensors, every kind of partition over them, and both array libraries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spred.core.partition import SINGLES, Axes, Labels, Partition

WORLDS = ("numpy", "torch")

# Zero, or a size that can be squared and divided without leaving the range of float64.
numbers = st.one_of(st.just(0.0), st.floats(0.01, 10.0), st.floats(-10.0, -0.01))
nonzero = st.one_of(st.floats(0.1, 3.0), st.floats(-3.0, -0.1))
positive = st.floats(0.1, 3.0)
alphas = st.floats(0.01, 5.0)
depths = st.integers(2, 4)
seeds = st.integers(0, 2**32 - 1)


def send(world: str, x: np.ndarray) -> np.ndarray | torch.Tensor:
    """The array ``x`` in the library named ``world``; the values are copied."""
    return torch.tensor(x) if world == "torch" else np.array(x)


def arrays(shape: tuple[int, ...], elements: st.SearchStrategy = numbers) -> st.SearchStrategy[np.ndarray]:
    return hnp.arrays(np.float64, shape, elements=elements)


@dataclass(frozen=True)
class Case:
    """A tensor and a partition of it, in NumPy; ``sent`` gives both in one of the two libraries."""

    v: np.ndarray
    partition: Partition

    @property
    def gate_shape(self) -> tuple[int, ...]:
        return self.partition.gather(self.v).shape

    def sent(self, world: str) -> tuple[np.ndarray | torch.Tensor, Partition]:
        partition = self.partition
        if isinstance(partition, Labels):
            partition = Labels(send(world, partition.labels), partition.n_groups)
        return send(world, self.v), partition


@st.composite
def cases(draw: Callable, elements: st.SearchStrategy = numbers) -> Case:
    """A tensor of one to three axes, and a partition of it: singles, kept axes, or labels."""
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=4))
    v = draw(arrays(shape, elements))
    kind = draw(st.sampled_from(("singles", "axes", "labels")))
    if kind == "singles":
        return Case(v, SINGLES)
    if kind == "axes":
        kept = draw(st.sets(st.integers(-len(shape), len(shape) - 1), max_size=len(shape)))
        return Case(v, Axes(tuple(sorted(kept))))
    n_groups = draw(st.integers(1, prod(shape)))
    return Case(v, Labels(draw(hnp.arrays(np.int64, shape, elements=st.integers(0, n_groups - 1))), n_groups))
