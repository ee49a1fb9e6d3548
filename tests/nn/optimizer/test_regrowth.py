"""What noise has brought to zero and the mean gradient exceeds alpha regrows; masks and late steps do not."""

import io

import pytest
import torch
from torch import nn

from spred.nn.finalize import finalize
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.optimizer.regrowth import EVERY, REGROWN_NORM, ZERO_NORM
from spred.nn.penalties import L1, GroupL1

pytestmark = pytest.mark.filterwarnings("ignore:.*has collapsed")

SLOPE = torch.tensor([[1.0, -1.0, 0.05, 1.0], [0.1, 0.02, -1.0, 0.0]])
"""Gradient of the loss below; alpha is 0.5, so the entries of size 1 regrow and the others do not."""


REACHED = 1 - (1 - 1 / EVERY) ** EVERY
"""Part of a constant gradient that the running mean shows at the first regrowth."""


def at_zero_by_training(kind=L1, lr=1e-6, **options):
    """A weight whose factors have all but vanished, and an optimiser at a tiny rate: only regrowth can move it."""
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(2, 4))
    opt = SpredOptimizer(torch.optim.SGD([weight], lr=lr), kind([weight], 0.5), **options)
    with torch.no_grad():
        for factor in opt.factored[0].factors:
            factor.mul_(1e-4)
        opt.factored[0].write()
    return weight, opt


def push(weight, opt, n_steps):
    for _ in range(n_steps):
        opt.zero_grad()
        (weight * SLOPE).sum().backward()
        opt.step()


def test_weights_regrow_where_the_mean_gradient_exceeds_alpha_and_against_it():
    weight, opt = at_zero_by_training()
    assert weight.abs().max() < ZERO_NORM * opt.factored[0].scale
    push(weight, opt, EVERY - 1)
    assert weight.abs().max() < ZERO_NORM * opt.factored[0].scale
    push(weight, opt, 1)
    wanted = SLOPE.abs() == 1.0
    expected = -SLOPE.sign() * REGROWN_NORM * opt.factored[0].scale
    torch.testing.assert_close(weight.detach()[wanted], expected[wanted])
    assert weight.detach()[~wanted].abs().max() < 1e-6


def test_groups_regrow_along_their_mean_gradient():
    weight, opt = at_zero_by_training(lambda w, alpha: GroupL1(w, alpha, dim=1))
    push(weight, opt, EVERY)
    lengths = SLOPE.norm(dim=0)
    expected = -SLOPE / lengths * REGROWN_NORM * opt.factored[0].scale
    torch.testing.assert_close(
        weight.detach(), torch.where(lengths * (1 - (1 - 1 / EVERY) ** EVERY) > 0.5, expected, weight)
    )
    assert torch.count_nonzero(weight.norm(dim=0) > 1e-3) == 4


def test_zeros_that_were_written_stay_zero():
    weight, opt = at_zero_by_training()
    finalize(nn.ParameterList([weight]), opt, threshold=1.0)
    assert torch.count_nonzero(weight) == 0
    push(weight, opt, 2 * EVERY)
    assert torch.count_nonzero(weight) == 0


def test_nothing_regrows_when_the_learning_rate_is_below_half_of_its_peak():
    weight, opt = at_zero_by_training()
    push(weight, opt, 1)
    opt.param_groups[0]["lr"] *= 0.49
    push(weight, opt, 2 * EVERY)
    assert weight.abs().max() < 1e-6
    assert opt.regrowth.active() == []


@pytest.mark.parametrize("depth", [3, 4])
@pytest.mark.parametrize("kind", [L1, GroupL1])
def test_deeper_products_regrow_where_they_will_grow(kind, depth):
    weight, opt = at_zero_by_training(lambda w, alpha: kind(w, alpha, depth=depth))
    at = REGROWN_NORM * opt.factored[0].scale
    slope = torch.tensor(at, dtype=torch.float64).requires_grad_()
    (slope ** (2 / depth)).backward()  # the penalty of a group of norm ``at``, over alpha
    lengths = SLOPE.abs() if kind is L1 else SLOPE.norm(dim=1, keepdim=True)
    weakest = float(lengths.flatten().sort().values[-2])  # of two groups, or of four single weights of size 1
    for alpha, regrows in [(1.001, False), (0.999, True)]:
        weight, opt = at_zero_by_training(lambda w, alpha: kind(w, alpha, depth=depth))
        opt.penalties[0].alpha = alpha * weakest * REACHED / float(slope.grad)
        push(weight, opt, EVERY)
        wanted = (lengths >= weakest).expand(2, 4)
        if regrows:
            torch.testing.assert_close(weight.detach()[wanted], (-at * SLOPE / lengths)[wanted])
        else:
            assert weight.detach()[lengths.expand(2, 4) == weakest].abs().max() < 1e-6


def test_a_deep_product_that_has_regrown_grows_on_and_one_that_has_not_stays_at_zero():
    weight, opt = at_zero_by_training(lambda w, alpha: L1(w, alpha, depth=3), lr=1e-2)
    opt.penalties[0].alpha = 0.4  # 0.74 would hold a weight of the regrown size
    push(weight, opt, EVERY)
    wanted = SLOPE.abs() == 1.0
    push(weight, opt, 100)
    assert weight.detach()[wanted].abs().min() > 1.1 * REGROWN_NORM * opt.factored[0].scale
    assert weight.detach()[~wanted].abs().max() < 1e-6


def test_it_can_be_switched_off_and_is_off_for_lbfgs():
    weight, opt = at_zero_by_training(regrow=False)
    push(weight, opt, EVERY)
    assert weight.abs().max() < 1e-6
    assert SpredOptimizer(torch.optim.LBFGS([weight]), L1([weight], 0.5)).regrowth is None


def test_a_regrown_weight_has_fresh_moments_and_the_others_keep_theirs():
    weight = nn.Parameter(torch.ones(2, 4))
    opt = SpredOptimizer(torch.optim.SGD([weight], lr=1e-6, momentum=0.9), L1([weight], 0.5))
    push(weight, opt, 1)
    with torch.no_grad():
        for factor in opt.factored[0].factors:
            factor[0, :2] *= 1e-4
        opt.factored[0].write()
    push(weight, opt, EVERY - 1)
    for factor in opt.factored[0].factors:
        moment = opt.base.state[factor]["momentum_buffer"]
        assert torch.count_nonzero(moment[0, :2]) == 0
        assert torch.count_nonzero(moment) == 6


@pytest.mark.parametrize("n_steps", [EVERY // 2, EVERY + 7])
def test_resume_is_bit_for_bit_in_the_middle_of_a_running_mean(n_steps):
    weight, opt = at_zero_by_training(lr=1e-2)
    push(weight, opt, n_steps)
    buffer = io.BytesIO()
    torch.save([weight.detach(), opt.state_dict()], buffer)
    push(weight, opt, EVERY)
    buffer.seek(0)
    value, state = torch.load(buffer, weights_only=True)
    again, opt_again = at_zero_by_training(lr=1e-2)
    with torch.no_grad():
        again.copy_(value)
    opt_again.load_state_dict(state)
    push(again, opt_again, EVERY)
    assert torch.equal(weight, again)
    assert torch.equal(opt.regrowth.means[0], opt_again.regrowth.means[0])
