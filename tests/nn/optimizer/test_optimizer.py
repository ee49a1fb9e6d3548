"""SpredOptimizer is an optimiser like any other: scaling, clipping, accumulation, closures, and it keeps its bits."""

import math

import pytest
import torch
from tiny_network import X, Y, adam, net, train
from torch import nn

from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.penalties import L1, GroupL1, prunable_weights


def test_without_a_gradient_the_weights_keep_every_bit():
    model = net()
    before = model[0].weight.detach().clone()
    SpredOptimizer(adam(model), L1(prunable_weights(model), 0.01)).step()
    assert torch.equal(model[0].weight, before)


def test_clipping_and_scaling_work_on_the_models_gradients():
    scaled, plain = net(), net()
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    opts = [
        SpredOptimizer(torch.optim.SGD(m.parameters(), lr=0.1), L1(prunable_weights(m), 0.01)) for m in (scaled, plain)
    ]
    for _ in range(5):
        for model, opt in zip((scaled, plain), opts, strict=True):
            opt.zero_grad()
            loss = nn.functional.mse_loss(model(X), Y)
            (scaler.scale(loss) if model is scaled else loss).backward()
        assert scaled[0].weight.grad.norm() > 100 * plain[0].weight.grad.norm()
        scaler.unscale_(opts[0])
        for model in (scaled, plain):
            nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        before = plain[0].weight.grad.clone()
        scaler.step(opts[0])
        scaler.update()
        opts[1].step()
        assert torch.equal(plain[0].weight.grad, before)
    torch.testing.assert_close(scaled[0].weight, plain[0].weight)


def test_scaler_skips_a_step_with_an_infinite_gradient():
    model = net()
    opt = SpredOptimizer(adam(model), L1(prunable_weights(model), 0.01))
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    before = model[0].weight.detach().clone()
    scaler.scale(nn.functional.mse_loss(model(X), Y)).backward()
    model[0].weight.grad[0, 0] = math.inf
    scaler.step(opt)
    assert torch.equal(model[0].weight, before)


def test_gradient_accumulation_is_the_same_as_one_batch():
    whole, parts = net(torch.float64), net(torch.float64)
    opts = [SpredOptimizer(adam(m), L1(prunable_weights(m), 0.01)) for m in (whole, parts)]
    x, y = X.double(), Y.double()
    for _ in range(5):
        train(whole, opts[0], 1, x, y)
        opts[1].zero_grad()
        for half in (slice(0, 16), slice(16, 32)):
            (nn.functional.mse_loss(parts(x[half]), y[half]) / 2).backward()
        opts[1].step()
    torch.testing.assert_close(whole[0].weight, parts[0].weight)


def test_zero_grad_clears_tensors_and_factors():
    model = net()
    opt = SpredOptimizer(adam(model), L1(prunable_weights(model), 0.01))
    train(model, opt, 1)
    opt.zero_grad()
    assert all(p.grad is None for p in model.parameters())
    assert all(factor.grad is None for entry in opt.factored for factor in entry.factors)


def test_a_closure_gets_the_penalised_loss():
    model = net(torch.float64)
    opt = SpredOptimizer(torch.optim.LBFGS(model.parameters(), lr=0.5), L1(prunable_weights(model), 0.05))
    losses = []

    def closure():
        opt.zero_grad()
        loss = nn.functional.mse_loss(model(X.double()), Y.double())
        loss.backward()
        losses.append(float(loss.detach()))
        return loss

    with torch.no_grad():
        expected = float(nn.functional.mse_loss(model(X.double()), Y.double()) + opt.penalty())
    assert float(opt.step(closure).detach()) == pytest.approx(expected, rel=1e-12)
    first = losses[0] + float(opt.penalty())
    for _ in range(5):
        last = float(opt.step(closure).detach())
    assert last < min(first, expected)


@pytest.mark.parametrize("kind", [L1, GroupL1])
def test_a_base_that_fails_leaves_the_weights_as_they_were(kind):
    model = net()
    opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.1), kind(prunable_weights(model), 0.01))
    train(model, opt, 1)
    before = [weight.detach().clone() for weight in prunable_weights(model)]

    def fail(*_):
        raise KeyboardInterrupt

    opt.base.register_step_pre_hook(fail)
    with pytest.raises(KeyboardInterrupt):
        train(model, opt, 1)
    for weight, old in zip(prunable_weights(model), before, strict=True):
        assert torch.equal(weight, old)


@pytest.mark.parametrize("kind", [L1, GroupL1])
def test_alpha_can_be_changed_between_steps(kind):
    sizes = []
    for alpha in (0.0, 0.05):
        model = net()
        opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.1), kind(prunable_weights(model), 0.0))
        opt.penalties[0].alpha = alpha
        train(model, opt, 100)
        sizes.append(sum(w.abs().sum().item() for w in prunable_weights(model)))
    assert sizes[1] < 0.8 * sizes[0]
