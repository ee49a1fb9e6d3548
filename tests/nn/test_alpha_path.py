"""A warm path ends, at every alpha, where a cold solver ends."""

import numpy as np
import pytest
import torch
from torch import nn

import spred
from spred.errors import InputError
from spred.nn.alpha_path import alpha_path
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.penalties import L1, prunable_weights

RNG = np.random.default_rng(3)
X = RNG.normal(size=(60, 20))
Y = X[:, :4] @ np.array([2.0, -1.5, 1.0, 0.5]) + 0.3 * RNG.normal(size=60)
INPUTS, TARGETS = torch.from_numpy(X), torch.from_numpy(Y)[:, None]
ALPHAS = [0.02, 0.1, 0.5]


def half_square(outputs, targets):
    return 0.5 * (outputs - targets).square().mean()


def test_each_point_is_the_lasso_at_its_alpha():
    torch.manual_seed(0)
    model = nn.Linear(20, 1, bias=False).double()
    base = torch.optim.LBFGS(
        model.parameters(), max_iter=2000, tolerance_grad=1e-11, tolerance_change=1e-15, line_search_fn="strong_wolfe"
    )
    opt = SpredOptimizer(base, L1(model.weight, 0.01))

    def closure():
        opt.zero_grad()
        loss = half_square(model(INPUTS), TARGETS)
        loss.backward()
        return loss

    points = list(alpha_path(model, opt, ALPHAS, lambda: opt.step(closure), [(INPUTS, TARGETS)], half_square))
    assert [point.alpha for point in points] == ALPHAS
    for point in points:
        exact = spred.solve(X, Y, alpha=point.alpha, fit_intercept=False, tol=1e-12).coef
        coef = point.model.weight.detach().numpy()[0]
        assert np.array_equal(coef != 0, exact != 0)
        np.testing.assert_allclose(coef, exact, atol=1e-4)
    assert points[0].report.density > points[-1].report.density


@pytest.mark.filterwarnings("ignore:the decay budget")
def test_no_zero_is_final_and_ratios_are_kept():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    one, two = prunable_weights(model)
    opt = SpredOptimizer(torch.optim.Adam(model.parameters(), lr=0.02), [L1(one, 0.01), L1(two, 0.03)])

    def train():
        for _ in range(50):
            opt.zero_grad()
            half_square(model(INPUTS), TARGETS).backward()
            opt.step()

    for point in alpha_path(model, opt, [0.02, 0.2], train):
        assert opt.penalties[1].alpha == pytest.approx(3 * point.alpha)
        assert torch.count_nonzero(model[0].weight) == 160
        assert torch.equal(point.model[0].weight != 0, (point.model[0].weight * model[0].weight) != 0)
    assert point.report.zeroed > 0


def test_what_cannot_be_a_path_is_said_in_a_sentence():
    model = nn.Linear(3, 1)
    opt = SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.1), L1(model.weight, 0.0))
    with pytest.raises(InputError, match="alpha of the first penalty is 0"):
        next(alpha_path(model, opt, [0.1], lambda: None))
    base = torch.optim.SGD(model.parameters(), lr=0.1)
    opt = SpredOptimizer(base, L1(model.weight, 0.1), target_density=0.5, total_steps=10)
    with pytest.raises(InputError, match="target_density controls alpha already"):
        next(alpha_path(model, opt, [0.1], lambda: None))
