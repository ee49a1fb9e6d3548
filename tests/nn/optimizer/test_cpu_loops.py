"""The loops write what torch's own operations write, and training is the same with and without them."""

import pytest
import torch
from torch import nn

from spred.core.partition import SINGLES
from spred.nn.optimizer.gradients import LOOP_TYPES, fits_loop, loop_gradients, pair_gradients
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.penalties import L1, prunable_weights

SHAPE = (64, 32, 3, 3)


def drawn(dtype=torch.float32, arrangement=torch.contiguous_format):
    generator = torch.Generator().manual_seed(0)
    shapes = [SHAPE] * 5
    return [torch.randn(s, generator=generator, dtype=dtype).to(memory_format=arrangement) for s in shapes]


@pytest.mark.parametrize("damping", [None, 0.05])
@pytest.mark.parametrize("arrangement", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", LOOP_TYPES)
def test_a_loop_is_torch_s_operations(dtype, arrangement, damping):
    tensors = drawn(dtype, arrangement)
    assert fits_loop(tensors)
    grad, gate, full, *out = tensors
    loop_gradients(grad, (gate, full), 1e-3, damping, out)
    expected = [torch.empty_like(t) for t in (gate, full, gate)]
    pair_gradients(grad, (gate, full), SINGLES, 1e-3, damping, tuple(expected))
    for one, other in zip(out, expected, strict=False):
        assert one.stride() == gate.stride()
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("base", [torch.optim.SGD, torch.optim.Adam])
def test_training_is_the_same_with_and_without_loops(base, monkeypatch):
    x = torch.randn(16, 80, generator=torch.Generator().manual_seed(1))
    asked, results = [], []
    for looped in (True, False):
        torch.manual_seed(2)
        model = nn.Sequential(nn.Linear(80, 64), nn.Tanh(), nn.Linear(64, 80))
        opt = SpredOptimizer(base(model.parameters(), lr=1e-3), L1(prunable_weights(model), 1e-3))
        fits = fits_loop if looped else lambda tensors: False
        monkeypatch.setattr(
            "spred.nn.optimizer.factored.fits_loop",
            lambda tensors, fits=fits: asked.append(fits(tensors)) or asked[-1],
        )
        for _ in range(5):
            opt.zero_grad()
            nn.functional.mse_loss(model(x), x).backward()
            opt.step()
        results.append([p.detach().clone() for p in model.parameters()])
    assert asked == [True] * 10 + [False] * 10
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
