"""The figures of a report mean what docs/torch.md says, and taking them changes nothing."""

import pytest
import torch
from torch import nn

from spred.core.penalties import Penalty
from spred.errors import InputError, StateError
from spred.nn.inspect import COLUMNS, inspect, residuals
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.parametrize import parametrize
from spred.nn.penalties import L1, GroupL1, prunable_weights

X = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
Y = X[:, :2] - X[:, 2:4]
LOADER = [(X[:32], Y[:32]), (X[32:], Y[32:])]


def net():
    torch.manual_seed(2)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2))


def sgd(model, penalties):
    return SpredOptimizer(torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), penalties)


def train(model, opt, n_steps):
    for _ in range(n_steps):
        opt.zero_grad()
        nn.functional.mse_loss(model(X), Y).backward()
        opt.step()


def test_a_plain_model_has_counts_only():
    model = net()
    with torch.no_grad():
        model[0].weight[0] = 0.0
    report = inspect(model)
    assert [(row.name, row.nonzeros) for row in report.rows] == [("0.weight", 42), ("2.weight", 16)]
    assert report.density == pytest.approx(58 / 64)
    assert report.rows[0].alpha is None
    assert report.undecided is None


def test_balance_and_budget_rise_with_training():
    model = net()
    opt = sgd(model, L1(prunable_weights(model), 0.01))
    early = inspect(model, opt).rows[0]
    train(model, opt, 1500)
    late = inspect(model, opt).rows[0]
    assert early.budget == 0.0
    assert early.balance < 0.9
    assert late.budget > 5
    assert late.balance == pytest.approx(1.0, abs=1e-3)


def test_residual_and_undecided_fall_to_zero_with_training():
    model = net()
    opt = sgd(model, L1(prunable_weights(model), 0.01))
    early = inspect(model, opt, LOADER, nn.functional.mse_loss)
    train(model, opt, 1500)
    late = inspect(model, opt, LOADER, nn.functional.mse_loss)
    assert early.undecided > 50
    assert late.undecided <= 3
    assert all(row.residual > 0.5 for row in early.rows)


def test_residual_is_zero_at_a_known_solution():
    # min ½(v − c)² + α|v| has the solution c − α·sign(c) where |c| > α, and 0 elsewhere.
    c, alpha = torch.tensor([2.0, -1.0, 0.05]), 0.1
    v = torch.tensor([1.9, -0.9, 0.0])
    assert residuals(v, v - c, Penalty(alpha), 0.01).max() < 1e-5
    moved = v + torch.tensor([0.1, 0.0, 0.0])
    assert residuals(moved, moved - c, Penalty(alpha), 0.01)[0] == pytest.approx(1.0, rel=1e-3)
    # Depth 3: g + (2α/3)·sign(v)|v|^{−1/3} = 0 on the support, and anything off it.
    w = torch.tensor([8.0, 0.0])
    grad = torch.tensor([-(2 * alpha / 3) / 2, 5.0])
    assert residuals(w, grad, Penalty(alpha, depth=3), 0.01).max() < 1e-5


def test_the_mean_gradient_counts_batches_by_size_and_leaves_no_trace():
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 2))
    opt = sgd(model, L1(prunable_weights(model), 0.01))
    model[0].weight.grad = torch.ones_like(model[0].weight)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    parts = inspect(model, opt, LOADER, nn.functional.mse_loss)
    whole = inspect(model, opt, [(X, Y)], nn.functional.mse_loss)
    assert parts.rows[0].residual == pytest.approx(whole.rows[0].residual, rel=1e-4)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(model[0].weight.grad, torch.ones_like(model[0].weight))
    assert model.training
    assert model[2].training


def test_notes_name_what_limits_the_figures():
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4), nn.Linear(4, 2))
    opt = sgd(model, L1(prunable_weights(model), 0.01))
    with torch.no_grad():
        model[3].weight.zero_()
    model[4].weight.requires_grad_(False)
    notes = [row.notes for row in inspect(model, opt).rows]
    assert notes == [
        ("followed by batch norm: scale-invariant", "B is small: train longer"),
        ("every weight is zero", "B is small: train longer"),
        ("frozen",),
    ]


def test_both_forms_report_the_same():
    plain, written = net(), net()
    opt = sgd(plain, GroupL1(plain[0].weight, 0.01, dim=1))
    parametrize(written, GroupL1(written[0].weight, 0.01, dim=1))
    fast = inspect(plain, opt, LOADER, nn.functional.mse_loss).rows
    slow = inspect(written, None, LOADER, nn.functional.mse_loss).rows
    assert [row.name for row in fast] == [row.name for row in slow]
    assert fast[0].residual == pytest.approx(slow[0].residual)
    assert fast[0].balance == pytest.approx(slow[0].balance)
    assert fast[0].undecided == slow[0].undecided
    assert slow[0].budget is None


def test_the_table_is_readable():
    model = net()
    text = str(inspect(model, sgd(model, L1(model[0].weight, 0.01)), LOADER, nn.functional.mse_loss))
    lines = text.splitlines()
    assert lines[0].split() == list(COLUMNS)
    assert lines[1].split()[:6] == ["0.weight", "8×6", "48", "1.0000", "0.01", "0.00"]
    assert lines[2].split()[4:] == ["–"] * 5
    assert lines[-1] == "density of all: 1.0000"


def test_wrong_calls_are_refused_in_a_sentence():
    model = net()
    opt = sgd(model, L1(prunable_weights(model), 0.01))
    with pytest.raises(InputError, match="needs a loss_fn"):
        inspect(model, opt, LOADER)
    with pytest.raises(InputError, match="no batches"):
        inspect(model, opt, [], nn.functional.mse_loss)
    with pytest.raises(StateError, match="that the model lacks"):
        inspect(net(), opt)
