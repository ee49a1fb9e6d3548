"""Both forms reach the exact Lasso, group lasso and logistic solutions in full batch, and their support."""

import numpy as np
import pytest
import torch
from torch import nn

import spred
from spred.nn.finalize import finalize
from spred.nn.inspect import inspect
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.parametrize import parametrize, penalty, remove_parametrizations
from spred.nn.penalties import L1, GroupL1

ALPHA = {"lasso": 0.15, "logistic": 0.03, "group lasso": 0.3}


def problem(kind):
    """A design of 60 × 20, a target, the mean loss in torch."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(60, 20))
    signal = X[:, :4] @ np.array([2.0, -1.5, 1.0, 0.5])
    if kind == "logistic":
        y = (signal + rng.logistic(size=60) > 0).astype(float)
        return X, y, nn.functional.binary_cross_entropy_with_logits
    return X, signal + 0.3 * rng.normal(size=60), lambda out, y: 0.5 * (out - y).square().mean()


def reference(kind, X, y):
    """Coefficients of the exact engine, with its certificate; groups of five weigh 1 each."""
    groups = {"feature_groups": np.arange(20) // 5, "penalty_weights": np.ones(4)} if kind == "group lasso" else {}
    loss = "logistic" if kind == "logistic" else "squared"
    solution = spred.solve(X, y, loss=loss, alpha=ALPHA[kind], fit_intercept=False, tol=1e-12, **groups)
    assert solution.gap <= 1e-12
    return solution.coef


def objective(kind, X, y, coef):
    out = X @ coef
    if kind == "logistic":
        return np.mean(np.logaddexp(0, out) - y * out) + ALPHA[kind] * np.abs(coef).sum()
    sizes = np.linalg.norm(coef.reshape(4, 5), axis=1) if kind == "group lasso" else np.abs(coef)
    return 0.5 * np.mean((y - out) ** 2) + ALPHA[kind] * sizes.sum()


def lbfgs(params):
    return torch.optim.LBFGS(
        params, max_iter=1000, tolerance_grad=1e-11, tolerance_change=1e-15, line_search_fn="strong_wolfe"
    )


def sgd(params):
    return torch.optim.SGD(params, lr=0.2, momentum=0.9)


@pytest.mark.parametrize("form", ["optimizer", "parametrize"])
@pytest.mark.parametrize(("optimiser", "n_steps"), [(lbfgs, 2), (sgd, 3000)])
@pytest.mark.parametrize("kind", ALPHA)
def test_full_batch_reaches_the_exact_solution(kind, optimiser, n_steps, form):
    X, y, loss_fn = problem(kind)
    inputs, targets = torch.from_numpy(X), torch.from_numpy(y)[:, None]
    torch.manual_seed(0)
    model = nn.Linear(20, 1, bias=False).double()
    omega = (
        GroupL1(model.weight, ALPHA[kind], groups=torch.arange(20)[None] // 5)
        if kind == "group lasso"
        else L1(model.weight, ALPHA[kind])
    )
    if form == "parametrize":
        parametrize(model, omega)
        opt, spred_opt = optimiser(model.parameters()), None
    else:
        opt = spred_opt = SpredOptimizer(optimiser(model.parameters()), omega)

    def closure():
        opt.zero_grad()
        loss = loss_fn(model(inputs), targets) + (penalty(model) if form == "parametrize" else 0.0)
        loss.backward()
        return loss

    for _ in range(n_steps):
        opt.step(closure)

    loader = [(inputs, targets)]
    assert inspect(model, spred_opt, loader, loss_fn).rows[0].residual < 1e-3
    finalize(model, spred_opt, loader, loss_fn)
    if form == "parametrize":
        remove_parametrizations(model)
    coef = model.weight.detach().numpy()[0]
    expected = reference(kind, X, y)
    assert 0 < np.count_nonzero(expected) < 20
    assert np.array_equal(coef != 0, expected != 0)
    best = objective(kind, X, y, expected)
    assert abs(objective(kind, X, y, coef) - best) <= 1e-6 * best
