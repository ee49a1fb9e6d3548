"""Groups that span tensors: read as one matrix, penalised as one, zero together."""

import numpy as np
import pytest
import torch
from torch import nn

import spred
from spred.core.partition import norms
from spred.errors import InputError
from spred.nn.finalize import finalize
from spred.nn.inspect import inspect
from spred.nn.joined import join_tensors
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.parametrize import parametrize
from spred.nn.penalties import GroupL1, targets
from spred.nn.pruning.shrink import shrink

CASES = {
    "filter and batch norm": ([(4, 3, 2, 2), (4,), (4,)], (0, 0, 0), None, 4),
    "columns": ([(3, 5), (2, 5)], (1, 1), None, 5),
    "rows of one, columns of the other": ([(5, 3), (2, 5)], (0, 1), None, 5),
    "heads": ([(6, 6), (6, 6), (6, 6), (6, 6)], (0, 0, 0, 1), 3, 3),
    "heads of a packed projection": ([(18, 6), (6, 6)], (0, -1), 3, 3),
    "a whole block": ([(4, 3), (4,), (2, 4)], (0, 0, 0), 1, 1),
}


@pytest.mark.parametrize("name", CASES)
def test_the_value_has_a_row_for_each_group_and_is_written_back(name):
    shapes, dims, heads, n_groups = CASES[name]
    tensors = [torch.randn(shape) for shape in shapes]
    place = join_tensors(tensors, dims, heads, packed=(3, 1) if "packed" in name else ())
    value = place.value()
    assert value.shape == (n_groups, sum(t.numel() for t in tensors) // n_groups)
    assert torch.equal(value.flatten().sort().values, torch.cat([t.flatten() for t in tensors]).sort().values)
    before = [t.clone() for t in tensors]
    place.write_(2 * value)
    assert all(torch.equal(t, 2 * b) for t, b in zip(tensors, before, strict=True))


def test_heads_of_packed_and_plain_projections_are_the_same():
    plain = [torch.randn(6, 6) for _ in range(3)]
    out = torch.randn(6, 6)
    apart = join_tensors([*plain, out], (0, 0, 0, 1), 3).value()
    packed = join_tensors([torch.cat(plain), out], (0, 1), 3, packed=(3, 1)).value()
    assert torch.equal(apart.sort(dim=1).values, packed.sort(dim=1).values)


@pytest.mark.parametrize("name", ["SGD", "LBFGS"])
def test_full_batch_reaches_the_exact_group_lasso(name):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(60, 20))
    y = X[:, [0, 1, 10, 11]] @ np.array([2.0, -1.5, 1.0, 0.5]) + 0.3 * rng.normal(size=60)
    alpha, groups = 0.4, np.tile(np.arange(10), 2)  # feature k of the one half and of the other
    exact = spred.solve(
        X, y, alpha=alpha, fit_intercept=False, tol=1e-12, feature_groups=groups, penalty_weights=np.ones(10)
    ).coef
    one, two = (nn.Linear(10, 1, bias=False).double() for _ in range(2))
    params = [one.weight, two.weight]
    bases = {
        "SGD": lambda: torch.optim.SGD(params, lr=0.2, momentum=0.9),
        "LBFGS": lambda: torch.optim.LBFGS(
            params, max_iter=1000, tolerance_grad=1e-11, tolerance_change=1e-15, line_search_fn="strong_wolfe"
        ),
    }
    opt = SpredOptimizer(bases[name](), GroupL1(params, alpha, dim=1, join=True))
    inputs, target = torch.from_numpy(X), torch.from_numpy(y)[:, None]
    both = nn.ModuleList([one, two])
    batch = {"x": inputs, "y": target}

    def loss_fn(model, batch):
        out = model[0](batch["x"][:, :10]) + model[1](batch["x"][:, 10:])
        return 0.5 * (out - batch["y"]).square().mean()

    def closure():
        opt.zero_grad()
        loss = loss_fn(both, batch)
        loss.backward()
        return loss

    for _ in range(2 if name == "LBFGS" else 4000):
        opt.step(closure)
    report = inspect(both, opt, [batch], loss_fn)
    assert [row.name for row in report.rows] == ["0.weight + 1.weight"]
    assert report.rows[0].residual < 1e-3
    finalize(both, opt, [batch], loss_fn)
    coef = torch.cat(params, dim=1).detach().numpy()[0]
    assert 0 < np.count_nonzero(exact) < 20
    assert np.array_equal(coef != 0, exact != 0)
    np.testing.assert_allclose(coef, exact, atol=1e-5)


def conv_net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(128, 1)
    )


def fit_conv(model, opt, steps):
    for step in steps:
        x = torch.randn(32, 1, 4, 4, generator=torch.Generator().manual_seed(step))
        opt.zero_grad()
        nn.functional.mse_loss(model(x), x[:, 0, :2].relu().sum(dim=(1, 2))[:, None]).backward()
        opt.step()


@pytest.mark.filterwarnings("ignore:the decay budget")
def test_a_filter_goes_with_its_batch_norm_and_can_be_cut_out():
    model = conv_net()
    conv, norm = model[0], model[1]
    opt = SpredOptimizer(
        torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9),
        GroupL1([conv.weight, norm.weight, norm.bias], 0.1, join=True),
    )
    fit_conv(model, opt, range(400))
    record = finalize(model, opt, threshold=0.05)
    dead = norm.weight == 0
    assert 0 < int(dead.sum()) < 8
    assert torch.equal(dead, norm.bias == 0)
    assert torch.equal(dead, (conv.weight == 0).flatten(1).all(dim=1))
    assert record.rows[0].name == "0.weight + 1.weight + 1.bias"
    assert set(opt.decay_budget()) == {conv.weight, norm.weight, norm.bias}
    small = shrink(model, torch.randn(2, 1, 4, 4))
    assert small[0].out_channels == 8 - int(dead.sum())


def test_a_checkpoint_goes_on_bit_for_bit_and_a_mask_is_noticed():
    def build():
        model = conv_net()
        params = [model[0].weight, model[1].weight, model[1].bias]
        groups = [{"params": [params[0], model[4].weight, model[4].bias]}, {"params": params[1:], "lr": 0.01}]
        return model, SpredOptimizer(torch.optim.Adam(groups, lr=0.01), GroupL1(params, 0.05, join=True))

    straight, opt = build()
    fit_conv(straight, opt, range(8))
    first, opt = build()
    fit_conv(first, opt, range(4))
    second, opt_second = build()
    second.load_state_dict(first.state_dict())
    opt_second.load_state_dict(opt.state_dict())
    fit_conv(second, opt_second, range(4, 8))
    assert all(torch.equal(a, b) for a, b in zip(second.parameters(), straight.parameters(), strict=True))
    masked = [second[0].weight, second[1].weight, second[1].bias]
    with torch.no_grad():
        for tensor in masked:
            tensor[3].zero_()
    fit_conv(second, opt_second, range(8, 11))
    assert not any(tensor[3].any() for tensor in masked)
    assert all(tensor[2].any() for tensor in masked)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: GroupL1([torch.ones(4, 3), torch.ones(3, 4)], 0.1, join=True), r"have \[3, 4\] groups"),
        (lambda: GroupL1([torch.ones(4), torch.ones(4).double()], 0.1, join=True), "several dtypes"),
        (lambda: GroupL1([torch.ones(4), torch.ones(4)], 0.1, dim=(0,), join=True), r"dim is \(0,\) for 2 tensors"),
        (lambda: GroupL1([torch.ones(4), torch.ones(4)], 0.1, dim=(0, 0)), "a tuple is for join=True"),
        (lambda: GroupL1(torch.ones(4), 0.1, groups=torch.zeros(4, dtype=torch.int64), dim=0), "unless join=True"),
        (lambda: GroupL1(torch.ones(4), 0.1, groups=torch.tensor([0, 1, 1, 1]), join=True), "as often as the others"),
        (lambda: GroupL1(torch.ones(4), 0.1, groups=torch.tensor([0.0, 0, 1, 1]), join=True), "one integer label"),
        (lambda: GroupL1(torch.ones(4, 3), 0.1, groups=torch.tensor([0, 0, 1, 1]), dim=1, join=True), "of the 3 ind"),
    ],
)
def test_what_cannot_be_joined_is_refused_in_a_sentence(make, sentence):
    with pytest.raises(InputError, match=sentence):
        make()


def test_parametrize_refuses_them():
    model = conv_net()
    with pytest.raises(InputError, match=r"need spred\.SpredOptimizer"):
        parametrize(model, GroupL1([model[0].weight, model[1].weight], 0.1, join=True))


def test_labels_say_which_indices_go_together():
    weight, bias = torch.arange(12.0).reshape(4, 3), torch.tensor([1.0, 2.0, 3.0, 4.0])
    labels = torch.tensor([1, 0, 0, 1])
    (target,) = targets(GroupL1([weight, bias], 0.1, groups=labels, join=True))
    value = target.place.value()
    rows = torch.cat([weight, bias[:, None]], dim=1)
    expected = torch.stack([rows[labels == k].norm() for k in (0, 1)])
    torch.testing.assert_close(norms(value, target.partition).squeeze(), expected)
    target.place.write_(2.0 * value)
    assert torch.equal(bias, torch.tensor([2.0, 4.0, 6.0, 8.0]))
    value[0] = 0.0
    target.place.write_(value)
    assert torch.equal(weight, torch.tensor([[0.0, 1, 2], [0, 0, 0], [0, 0, 0], [9, 10, 11]]))


def test_labels_along_columns():
    weight = torch.arange(8.0).reshape(2, 4)
    (target,) = targets(GroupL1(weight, 0.1, dim=1, groups=torch.tensor([0, 1, 0, 1]), join=True))
    value = target.place.value()
    value[1] = 0.0
    target.place.write_(value)
    assert torch.equal(weight, torch.tensor([[0.0, 0, 2, 0], [4, 0, 6, 0]]))


def test_each_group_weighs_the_root_of_its_size():
    (target,) = targets(GroupL1([torch.ones(4, 8), torch.ones(4)], 0.1, join=True, group_weight="sqrt"))
    assert torch.equal(target.weights, torch.full((4, 1), 3.0))
