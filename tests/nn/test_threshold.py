"""What counts as zero is a part of the size of the weights in use, in the penalty's own measure."""

import pytest
import torch
from torch import nn

from spred.core.penalties import Penalty
from spred.nn.penalties import GroupL1, targets
from spred.nn.threshold import SMALL, at_zero, smallness


def test_the_threshold_does_not_depend_on_how_many_are_zero_already():
    used = torch.tensor([3.0, -1.0, 0.5])
    expected = SMALL * (9.0 + 1.0 + 0.25) / (3.0 + 1.0 + 0.5)
    for n_zeros in (0, 10, 10_000):
        value = torch.cat([used, torch.zeros(n_zeros)])
        assert smallness(value, Penalty(alpha=1e-3)) == pytest.approx(expected, rel=1e-6)


def test_a_tensor_of_zeros_is_all_zero():
    value = torch.zeros(5)
    assert at_zero(value, None, Penalty(alpha=1e-3), smallness(value, Penalty(alpha=1e-3))).all()


@pytest.mark.parametrize("weight", ["none", "sqrt"])
def test_groups_of_many_weights_are_zero_by_the_same_threshold(weight):
    layer = nn.Linear(10_000, 3, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([1.0, 0.1, 1e-4])[:, None].expand(3, 10_000))
    penalty = targets(GroupL1(layer.weight, 1e-3, dim=0, group_weight=weight))[0].core()
    dead = at_zero(layer.weight.detach(), None, penalty, smallness(layer.weight.detach(), penalty))
    assert dead.flatten().tolist() == [False, False, True]
