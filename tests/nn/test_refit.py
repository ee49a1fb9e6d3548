"""After a refit the support is that of the penalised solution, and its values are those of the plain loss."""

import numpy as np
import pytest
import torch
from torch import nn

from spred.errors import InputError
from spred.nn.finalize import finalize
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.parametrize import parametrize, penalty, remove_parametrizations
from spred.nn.penalties import L1, GroupL1, prunable_weights

RNG = np.random.default_rng(3)
X = RNG.normal(size=(60, 20))
Y = X[:, :4] @ np.array([2.0, -1.5, 1.0, 0.5]) + 0.3 * RNG.normal(size=60)
DATA = [(torch.from_numpy(X), torch.from_numpy(Y)[:, None])]
MSE = nn.functional.mse_loss


def lbfgs(params):
    return torch.optim.LBFGS(
        params, max_iter=500, tolerance_grad=1e-12, tolerance_change=1e-16, line_search_fn="strong_wolfe"
    )


def solved(form, omega):
    """A linear model at its penalised solution."""
    torch.manual_seed(0)
    model = nn.Linear(20, 1, bias=False).double()
    opt = None
    if form == "parametrize":
        parametrize(model, omega(model.weight))
        base = lbfgs(model.parameters())
    else:
        base = opt = SpredOptimizer(lbfgs(model.parameters()), omega(model.weight))

    def closure():
        base.zero_grad()
        loss = MSE(model(DATA[0][0]), DATA[0][1]) + (penalty(model) if form == "parametrize" else 0.0)
        loss.backward()
        return loss

    for _ in range(3):
        base.step(closure)
    return model, opt


@pytest.mark.parametrize("form", ["optimizer", "parametrize"])
@pytest.mark.parametrize("kind", ["single", "groups"])
def test_the_refit_is_least_squares_on_the_support(form, kind):
    labels = torch.arange(20)[None] // 5
    omega = (lambda w: L1(w, 0.3)) if kind == "single" else (lambda w: GroupL1(w, 0.6, groups=labels))
    model, opt = solved(form, omega)
    record = finalize(model, opt, DATA, MSE, refit=True, epochs=3, optimizer=lbfgs)
    if form == "parametrize":
        remove_parametrizations(model)
    coef = model.weight.detach().numpy()[0]
    support = coef != 0
    assert 0 < support.sum() < 20
    expected = np.zeros(20)
    expected[support] = np.linalg.lstsq(X[:, support], Y, rcond=None)[0]
    np.testing.assert_allclose(coef, expected, atol=1e-6)
    assert len(record.losses) == 3
    assert record.losses[-1] == pytest.approx(np.mean((Y - X @ expected) ** 2))


@pytest.mark.filterwarnings("ignore:the decay budget")
def test_the_default_recipe_lowers_the_loss_and_training_can_go_on():
    torch.manual_seed(0)
    data = [(x.float(), y.float()) for x, y in DATA] * 4
    model = nn.Sequential(nn.Linear(20, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 1)).eval()
    model[3].bias.requires_grad_(False)
    opt = SpredOptimizer(torch.optim.Adam(model.parameters(), lr=0.01), L1(prunable_weights(model), 0.02))

    def train(n_steps):
        for _ in range(n_steps):
            opt.zero_grad()
            MSE(model(data[0][0]), data[0][1]).backward()
            opt.step()

    train(300)
    record = finalize(model, opt, data, MSE, threshold=0.05, refit=True, epochs=20)
    zeros = [w == 0 for w in prunable_weights(model)]
    assert record.zeroed > 0
    assert sum(int(zero.sum()) for zero in zeros) == record.zeroed
    assert record.losses[-1] < record.losses[0]
    assert not model.training
    for entry in opt.factored:
        torch.testing.assert_close(entry.product(), entry.place.value())
    train(5)
    assert all(torch.equal(w == 0, zero) for w, zero in zip(prunable_weights(model), zeros, strict=True))


def test_groups_that_span_tensors_are_held_together():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(20, 4), nn.Linear(4, 1)).double()
    opt = SpredOptimizer(
        torch.optim.SGD(model.parameters(), lr=0.01), GroupL1([model[0].weight, model[0].bias], 0.0, join=True)
    )
    with torch.no_grad():
        model[0].weight[:2].zero_()
        model[0].bias[:2].zero_()
    finalize(model, opt, DATA, MSE, threshold=1e-6, refit=True, epochs=2)
    assert model[0].weight.any(dim=1).tolist() == (model[0].bias != 0).tolist() == [False, False, True, True]


def test_what_is_missing_is_said_in_a_sentence():
    model, opt = solved("optimizer", lambda w: L1(w, 0.3))
    with pytest.raises(InputError, match="refit needs data"):
        finalize(model, opt, refit=True)
    with pytest.raises(InputError, match="read a second time"):
        finalize(model, opt, iter(DATA), MSE, refit=True)
    with pytest.raises(InputError, match="epochs is 0"):
        finalize(model, opt, DATA, MSE, refit=True, epochs=0)


def test_the_plot_shows_two_modes_on_both_sides_of_the_threshold():
    model, opt = solved("optimizer", lambda w: L1(w, 0.3))
    record = finalize(model, opt)
    (row,) = record.rows
    assert sum(row.zeroed_norms) == row.zeroed
    assert sum(row.kept_norms) == row.nonzeros
    middle = len(row.kept_norms) * 6 // 10  # the threshold itself
    assert sum(row.kept_norms[:middle]) == sum(row.zeroed_norms[middle:]) == 0
    axes = record.plot().axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["set to zero", "kept"]
    assert f"{row.threshold:.2g}" in axes.texts[0].get_text()
