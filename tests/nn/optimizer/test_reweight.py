"""Reweighted L1: each stage is a weighted Lasso, the end a stationary point of the concave penalty."""

import io

import pytest
import torch
from sklearn.linear_model import Lasso
from torch import nn

from spred.errors import InputError
from spred.nn.inspect import inspect
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.optimizer.regrowth import EVERY
from spred.nn.optimizer.reweight import OFFSET
from spred.nn.penalties import L1, GroupL1

ALPHA = 0.05


def slope(lengths, power):
    """ω by hand, in NumPy."""
    size = (lengths**2).sum() / lengths.sum()
    return ((1 + OFFSET) * size / (lengths + OFFSET * size)) ** power


def regression(n=80, p=12):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, p, generator=generator, dtype=torch.float64)
    coef = torch.tensor([2.0, -1.0, 0.5, 0.25] + [0.0] * (p - 4), dtype=torch.float64)
    return x, x @ coef + 0.1 * torch.randn(n, generator=generator, dtype=torch.float64)


def linear(n_features, base=torch.optim.SGD, **options):
    torch.manual_seed(0)
    model = nn.Linear(n_features, 1, bias=False, dtype=torch.float64)
    return model, SpredOptimizer(base(model.parameters(), **options), L1(model.weight, ALPHA))


def newton(n_features):
    """A model and an optimiser that minimises in full batch."""
    return linear(n_features, torch.optim.LBFGS, max_iter=300, tolerance_change=0, line_search_fn="strong_wolfe")


def half_squares(prediction, target):
    return 0.5 * (prediction.squeeze(1) - target).square().mean()


def train(model, opt, x, y, n_steps=1):
    def closure():
        opt.zero_grad()
        loss = half_squares(model(x), y)
        loss.backward()
        return loss

    for _ in range(n_steps):
        opt.step(closure)


def test_the_weights_follow_the_sizes():
    model, opt = linear(6)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[0.0, 0.1, -0.2, 1.0, -2.0, 4.0]]))
    opt.resplit()
    opt.reweight(power=0.7)
    expected = slope(model.weight.detach().abs().numpy(), 0.7)
    torch.testing.assert_close(opt.factored[0].target.weights, torch.as_tensor(expected))
    opt.reweight(power=0.0)
    assert opt.factored[0].target.weights == 1.0


def test_a_stage_is_a_weighted_lasso():
    x, y = regression()
    model, opt = newton(x.shape[1])
    train(model, opt, x, y)
    opt.reweight()
    omega = opt.factored[0].target.weights.squeeze(0).numpy()
    train(model, opt, x, y)
    lasso = Lasso(alpha=ALPHA, fit_intercept=False, tol=1e-12, max_iter=100_000).fit(x.numpy() / omega, y.numpy())
    coef = torch.as_tensor(lasso.coef_ / omega)
    torch.testing.assert_close(model.weight.detach().squeeze(0), coef, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("power", [0.5, 1.0])
def test_renewed_to_the_end_it_is_stationary_for_the_concave_penalty(power):
    x, y = regression()
    model, opt = newton(x.shape[1])
    train(model, opt, x, y)
    for _ in range(20):
        opt.reweight(power)
        train(model, opt, x, y)
    coef = model.weight.detach().squeeze(0)
    gradient = x.T @ (x @ coef - y) / len(y)
    pays = ALPHA * torch.as_tensor(slope(coef.abs().numpy(), power))
    support = coef.abs() > 1e-5
    assert 0 < support.sum() < len(coef)
    torch.testing.assert_close(gradient[support], -(pays * coef.sign())[support], atol=1e-5, rtol=0.0)
    assert (gradient.abs() < pays)[~support].all()


def test_the_report_goes_by_the_present_weights():
    x, y = regression()
    model, opt = newton(x.shape[1])
    train(model, opt, x, y)
    opt.reweight()
    train(model, opt, x, y)
    pays = ALPHA * opt.factored[0].target.weights * model.weight.detach().abs()
    assert float(opt.penalty()) == pytest.approx(float(pays.sum()), rel=1e-6)
    assert inspect(model, opt, [(x, y)], half_squares).rows[0].residual < 1e-4
    opt.reweight(0.0)
    assert inspect(model, opt, [(x, y)], half_squares).rows[0].residual > 0.1


def test_groups_keep_the_weights_of_their_own():
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(3, 5, dtype=torch.float64))
    opt = SpredOptimizer(torch.optim.SGD([weight], lr=0.1), GroupL1(weight, 0.1, dim=0, group_weight="sqrt"))
    opt.reweight()
    expected = 5**0.5 * slope(weight.detach().norm(dim=1).numpy(), 0.5)
    torch.testing.assert_close(opt.factored[0].target.weights.flatten(), torch.as_tensor(expected))


def test_a_weight_at_zero_regrows_where_its_gradient_exceeds_what_it_would_pay():
    weight = nn.Parameter(torch.tensor([1.0, 1.0, 1.0]))
    opt = SpredOptimizer(torch.optim.SGD([weight], lr=1e-6), L1(weight, 0.1))
    with torch.no_grad():
        for factor in opt.factored[0].factors:
            factor[1:] *= 1e-4
        opt.factored[0].write()
    opt.reweight()
    highest = 0.1 * (1 + 1 / OFFSET) ** 0.5
    slopes = torch.tensor([0.0, 0.5 * highest, 2.0 * highest])  # both above alpha
    for _ in range(EVERY):
        opt.zero_grad()
        (weight * slopes).sum().backward()
        opt.step()
    assert weight[1].abs() < 1e-6
    assert weight[2] < -0.01


def test_it_resumes_bit_for_bit():
    x, y = regression()

    model, opt = linear(x.shape[1], momentum=0.9)
    train(model, opt, x, y, 50)
    opt.reweight()
    saved = io.BytesIO()
    torch.save((model.state_dict(), opt.state_dict()), saved)
    train(model, opt, x, y, 50)
    saved.seek(0)
    again, other = linear(x.shape[1], momentum=0.9)
    of_model, of_opt = torch.load(saved, weights_only=True)
    again.load_state_dict(of_model)
    other.load_state_dict(of_opt)
    train(again, other, x, y, 50)
    assert torch.equal(again.weight, model.weight)
    other.reweight()
    opt.reweight()
    assert torch.equal(other.factored[0].target.weights, opt.factored[0].target.weights)


def test_a_tensor_of_zeros_keeps_its_weights():
    weight = nn.Parameter(torch.zeros(2, 3))
    opt = SpredOptimizer(torch.optim.SGD([weight], lr=0.1), L1(weight, 0.1))
    opt.zero_groups(opt.factored[0], torch.ones(2, 3, dtype=torch.bool))
    opt.reweight()
    assert opt.factored[0].target.weights == 1.0


def test_lbfgs_forgets_the_function_before():
    x, y = regression()
    model, opt = newton(x.shape[1])
    train(model, opt, x, y)
    assert opt.base.state
    opt.reweight()
    assert not opt.base.state


@pytest.mark.parametrize("power", [-0.1, 1.5, float("nan")])
def test_a_power_that_is_none_is_refused(power):
    _, opt = linear(3)
    with pytest.raises(InputError, match="power is"):
        opt.reweight(power)


def test_depth_three_is_refused_and_nothing_is_changed():
    first, second = (nn.Parameter(torch.randn(2, 2)) for _ in range(2))
    opt = SpredOptimizer(torch.optim.SGD([first, second], lr=0.1), [L1(first, 0.1), L1(second, 0.1, depth=3)])
    with pytest.raises(InputError, match="depth 3"):
        opt.reweight()
    assert opt.factored[0].target.weights == 1.0
