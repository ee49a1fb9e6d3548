"""What is counted over the parts of a tensor; on a whole tensor it is the plain count.

Tensors in parts are in test_distributed.py: two processes, after ``fully_shard``.
"""

import math

import pytest
import torch

from spred.core.factorization import natural_scale
from spred.core.partition import SINGLES, Axes, norms
from spred.nn.sharding import (
    LARGEST_NORM,
    count,
    equal,
    is_sharded,
    number,
    size_in_use,
    typical_norm,
    whole,
)


class InParts:
    """Half of a tensor, as one of two processes holds it."""

    def __init__(self, tensor):
        self.tensor = tensor

    def full_tensor(self):
        return self.tensor


def test_a_whole_tensor_is_itself():
    tensor = torch.arange(3.0)
    assert not is_sharded(tensor)
    assert whole(tensor) is tensor
    assert number(tensor.sum()) == 3.0
    assert count(tensor) == 2


def test_a_tensor_in_parts_is_put_together():
    tensor = torch.arange(4.0)
    assert is_sharded(InParts(tensor))
    assert whole(InParts(tensor)) is tensor
    assert number(InParts(tensor.sum())) == 6.0


def test_equality_is_that_of_all_values():
    one, other = torch.zeros(3), torch.zeros(3)
    assert equal(one, other)
    other[1] = 1.0
    assert not equal(one, other)


@pytest.mark.parametrize("partition", [SINGLES, Axes((0,))])
def test_the_typical_norm_is_the_natural_scale_and_finite_where_a_tensor_has_diverged(partition):
    value = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    assert typical_norm(value, partition) == natural_scale(value, partition)
    assert typical_norm(torch.full((4, 5), 1e30), partition) == LARGEST_NORM
    assert math.isinf(natural_scale(torch.full((4, 5), 1e30), partition))


def test_groups_at_zero_do_not_count_for_the_size_in_use():
    lengths = norms(torch.tensor([[3.0, 4.0], [0.0, 0.0], [0.0, 10.0]]), Axes((0,)))
    assert size_in_use(lengths) == pytest.approx((25 + 100) / (5 + 10))
    assert size_in_use(torch.zeros(3)) == 0.0
