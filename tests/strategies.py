"""What hypothesis draws: small tensors, every kind of partition over them, and both array libraries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spred.core import targets
from spred.core.losses import Loss
from spred.core.partition import SINGLES, Axes, Labels, Partition
from spred.core.risk_sets import RiskSets, risk_sets
from spred.core.targets import Target

WORLDS = ("numpy", "torch")

# Zero, or a size that can be squared and divided without leaving the range of float64.
numbers = st.one_of(st.just(0.0), st.floats(0.01, 10.0), st.floats(-10.0, -0.01))
nonzero = st.one_of(st.floats(0.1, 3.0), st.floats(-3.0, -0.1))
positive = st.floats(0.1, 3.0)
alphas = st.floats(0.01, 5.0)
depths = st.integers(2, 4)
seeds = st.integers(0, 2**32 - 1)


def send(world: str, x: np.ndarray | RiskSets) -> np.ndarray | torch.Tensor | RiskSets:
    """The array ``x`` in the library named ``world``; the values are copied. Risk sets are at home in both."""
    if isinstance(x, RiskSets):
        return x
    return torch.tensor(x) if world == "torch" else np.array(x)


def sample(loss: Loss, seed: int, n: int = 7, k: int = 3) -> tuple[np.ndarray, np.ndarray | RiskSets, np.ndarray]:
    """A random predictor, a target that suits the loss with every class present, uneven sample weights."""
    rng = np.random.default_rng(seed)
    eta = 3.0 * rng.standard_normal((n, k) if loss.multi else n)
    s = rng.uniform(0.5, 1.5, n)
    return eta, _target(loss, rng, n, k), s / s.sum()


def _target(loss: Loss, rng: np.random.Generator, n: int, k: int) -> np.ndarray | RiskSets:
    return DRAWN[loss.target](rng, n, k)


def _times(efron: bool) -> Callable:
    """Survival times with ties, two strata, and a censored sample or more."""

    def draw(rng: np.random.Generator, n: int, k: int) -> RiskSets:
        event = rng.permutation(np.arange(n) % 4 > 0)
        return risk_sets(rng.integers(1, 5, n).astype(float), event, rng.integers(0, 2, n), efron=efron)

    return draw


DRAWN: dict[Target, Callable] = {
    targets.NUMBERS: lambda rng, n, k: rng.standard_normal(n),
    targets.BINARY: lambda rng, n, k: rng.permutation(np.arange(n) % 2) * 1.0,
    targets.COUNTS: lambda rng, n, k: rng.poisson(2.0, n) + rng.permutation(np.arange(n) % 2).astype(float),
    targets.CLASSES: lambda rng, n, k: np.eye(k)[rng.permutation(np.arange(n) % k)],
    targets.SURVIVAL: _times(efron=False),
    targets.SURVIVAL_EFRON: _times(efron=True),
}
"""How a target of each kind is drawn; a new kind adds a row."""


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


def _axes(shape: tuple[int, ...]) -> st.SearchStrategy:
    kept = st.sets(st.integers(-len(shape), len(shape) - 1), max_size=len(shape))
    return kept.map(lambda axes: Axes(tuple(sorted(axes))))


@st.composite
def _labels(draw: Callable, shape: tuple[int, ...]) -> Labels:
    n_groups = draw(st.integers(1, prod(shape)))
    return Labels(draw(hnp.arrays(np.int64, shape, elements=st.integers(0, n_groups - 1))), n_groups)


PARTITIONS: dict[str, Callable[[tuple[int, ...]], st.SearchStrategy]] = {
    "singles": lambda shape: st.just(SINGLES),
    "axes": _axes,
    "labels": _labels,
    "labels of rows": lambda shape: _labels(shape[:1]),
}
"""Every kind of group, drawn for a tensor of some shape."""


@st.composite
def cases(draw: Callable, elements: st.SearchStrategy = numbers) -> Case:
    """A tensor of one to three axes, and a partition of it: singles, kept axes, or labels of coordinates or rows."""
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=4))
    v = draw(arrays(shape, elements))
    return Case(v, draw(PARTITIONS[draw(st.sampled_from(sorted(PARTITIONS)))](shape)))
