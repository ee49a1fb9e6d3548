"""Factors that are rewritten by hand: moments of the rewritten groups are void, or all of the tensor's."""

import warnings

import pytest
import torch
from tiny_network import net, train

from spred.errors import SpredWarning, StateError
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.penalties import L1, GroupL1


class EightBits(torch.optim.Optimizer):
    """Adam's first moment in 8 bits, with one scale for each tensor: zero has no code of its own."""

    def __init__(self, params, lr=0.01):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state |= {"code": torch.full_like(p, 128, dtype=torch.uint8), "span": torch.zeros(1), "step": 0}
                mean = 0.9 * (state["code"].float() - 128) / 127 * state["span"] + 0.1 * p.grad
                state["span"] = mean.abs().max().reshape(1)
                state["code"] = (mean / state["span"].clamp(min=1e-12) * 127 + 128).round().to(torch.uint8)
                state["step"] += 1
                p.add_(mean.sign(), alpha=-group["lr"])


@pytest.mark.parametrize("kind", [L1, GroupL1])
def test_a_state_in_eight_bits_is_dropped_with_a_note_and_zeros_stay(kind):
    model = net()
    opt = SpredOptimizer(EightBits(model.parameters()), kind(model[0].weight, 1e-3))
    train(model, opt, 5)
    entry = opt.factored[0]
    groups = torch.zeros_like(entry.factors[0], dtype=torch.bool)
    groups[1] = True
    with pytest.warns(SpredWarning, match="EightBits keeps code, span, which cannot be set to zero"):
        opt.zero_groups(entry, groups)
    assert not opt.base.state[entry.factors[-1]]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # said once
        train(model, opt, 5)
        opt.zero_groups(entry, groups)
    train(model, opt, 5)
    assert not model[0].weight[1].any()
    assert model[0].weight[0].all()


def test_a_write_that_is_not_finite_is_refused():
    model = net()
    opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.1), L1(model[0].weight, 1e-3))
    train(model, opt, 2)
    with torch.no_grad():
        model[0].weight[0, 0] = float("nan")
    with pytest.raises(StateError, match="not finite after step 2"):
        train(model, opt, 1)
