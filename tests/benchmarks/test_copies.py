"""What a penalised run holds in memory beyond the dense run, counted by the benchmark's own command."""

import pytest
from networks.copies import BASES, beyond_dense

MOMENTS = {"SGD, momentum": 1, "Adam": 2}

SLACK = 0.1
"""For masks, probes and the metric of one block."""


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("regrow", [False, True])
def test_single_weights_take_two_factors_their_moments_and_one_gradient(base, regrow):
    limit = 2 + MOMENTS[base] + 1 + regrow  # the dense run has one set of moments itself
    assert limit - SLACK < beyond_dense(base, "L1", regrow=regrow) < limit + SLACK


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("regrow", [False, True])
def test_three_factors_take_their_moments_and_two_gradients(base, regrow):
    limit = 3 + 2 * MOMENTS[base] + 2 + regrow
    assert limit - SLACK < beyond_dense(base, "L1, depth 3", regrow=regrow) < limit + SLACK


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("regrow", [False, True])
def test_groups_take_one_copy_and_their_gates(base, regrow):
    limit = 1 + regrow
    assert limit - SLACK < beyond_dense(base, "rows", regrow=regrow) < limit + SLACK
