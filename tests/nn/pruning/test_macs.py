"""A cost counts what shrink leaves, and a run that is asked for a fraction of it ends there."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from spred.errors import InputError
from spred.nn.finalize import finalize
from spred.nn.joined import Place
from spred.nn.optimizer.optimizer import SpredOptimizer
from spred.nn.penalties import L1, GroupL1, prunable_weights
from spred.nn.pruning.macs import MACs, Weights, largest
from spred.nn.pruning.shrink import shrink

X = torch.randn(64, 3, 12, 12, generator=torch.Generator().manual_seed(0))
Y = torch.randint(5, (64,), generator=torch.Generator().manual_seed(1))


class Branch(nn.Module):
    """A residual sum, a depthwise convolution and a flattened image."""

    def __init__(self):
        super().__init__()
        self.stem, self.inner, self.back = nn.Conv2d(3, 16, 3), nn.Conv2d(16, 12, 3, 1, 1), nn.Conv2d(12, 16, 3, 1, 1)
        self.depthwise, self.head = nn.Conv2d(16, 16, 3, 2, groups=16), nn.Linear(16 * 16, 5)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        x = x + self.back(torch.relu(self.inner(x)))
        return self.head(torch.relu(self.depthwise(x)).flatten(1))


class Around(nn.Module):
    """A convolution and a shortcut."""

    def __init__(self, width):
        super().__init__()
        self.body = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x):
        return x + self.body(x)


def net():
    torch.manual_seed(2)
    return Branch()


def measured(model):
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        model.eval()(X[:1])
    return counter.get_total_flops() / 2


def pruned(model, tensors, share, seed):
    """Set rows of tensors to zero at random, biases too, and return what is kept."""
    generator, kept = torch.Generator().manual_seed(seed), []
    with torch.no_grad():
        for name in tensors:
            module = model.get_submodule(name)
            rows = torch.rand(len(module.weight), generator=generator) < share
            rows[0] = True
            mask = rows.view(-1, *(1,) * (module.weight.ndim - 1)).expand_as(module.weight)
            module.weight.mul_(mask)
            module.bias.mul_(rows)
            kept.append((Place((module.weight,)), mask))
    return kept


@pytest.mark.parametrize("seed", range(5))
def test_the_fraction_is_that_of_the_shrunk_model(seed):
    model = net()
    cost = MACs(model, X[:1])
    assert cost.total == measured(model)
    kept = pruned(model, ["stem", "inner", "back"], 0.3, seed)
    small = shrink(model, X[:1])
    assert cost.share(kept) == pytest.approx(measured(small) / measured(model), rel=1e-6)
    assert cost.share(kept) < 0.9


def test_a_gain_of_zero_is_as_good_as_a_row_of_zeros():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.Flatten())
    model = model.append(nn.Linear(4 * 64, 5))
    cost = MACs(model, X[:1])
    rows = torch.arange(8) < 3
    on_gains, on_rows = [(Place((model[1].weight,)), rows)], [(Place((model[0].weight,)), rows.view(8, 1, 1, 1))]
    wide = [(place, mask.expand_as(place.value())) for place, mask in on_rows]
    assert cost.share(on_gains) == cost.share(wide) < 0.5
    both = [*on_gains, (wide[0][0], wide[0][1].flip(0))]  # what is kept by both: nothing
    assert cost.severed(both)
    assert not cost.severed(on_gains)
    of_conv, of_gain, of_bias = map(cost.relative_macs, (model[0].weight, model[1].weight, model[1].bias))
    assert of_gain == of_bias == of_conv != 1.0
    with torch.no_grad():
        model[1].weight[~rows] = 0.0
        model[1].bias[~rows] = 0.0
    assert measured(shrink(model.eval(), X[:1])) / cost.total == pytest.approx(cost.share(on_gains))


def test_a_network_is_severed_where_no_shortcut_is():
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), Around(4), nn.Flatten(), nn.Linear(64, 2))
    cost = MACs(model, torch.ones(1, 1, 4, 4))

    def without(module):
        return [(Place((module.weight,)), torch.zeros_like(module.weight, dtype=torch.bool))]

    assert cost.severed(without(model[0]))
    assert cost.severed(without(model[4]))
    assert not cost.severed(without(model[2].body))
    assert not cost.severed([])
    assert not Weights().severed(without(model[0]))


def test_of_a_tensor_without_which_the_network_is_severed_the_largest_group_stays():
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), Around(4), nn.Flatten(), nn.Linear(64, 2))
    with torch.no_grad():
        model[0].weight.mul_(0.1)  # smaller than all others
    penalties = [GroupL1(module.weight, 1e-3, group_weight="sqrt") for module in (model[0], model[2].body)]
    cost = MACs(model, torch.ones(1, 1, 4, 4))
    base = torch.optim.SGD(model.parameters(), lr=0.1)
    opt = SpredOptimizer(base, penalties, target_density=0.5, total_steps=100, cost=cost)
    (controller,) = opt.density_control.controllers
    assert controller.essential == [True, False]
    stem, body = controller.to_prune(0.2)
    norms = model[0].weight.detach().flatten(1).norm(dim=1)
    assert torch.equal(stem[1].flatten(), norms < norms.max())
    assert body[1].all()


def test_a_channel_that_no_layer_reads_is_not_counted():
    model = net()
    cost = MACs(model, X[:1])
    mask = torch.ones_like(model.back.weight, dtype=torch.bool)
    mask[:, 3:] = False
    with torch.no_grad():
        model.back.weight.mul_(mask)
    assert cost.share([(Place((model.back.weight,)), mask)]) == measured(shrink(model, X[:1])) / measured(model)


def test_prices_say_what_a_weight_costs_and_average_to_one():
    model = net()
    cost = MACs(model, X[:1])
    layers = [model.stem, model.inner, model.back, model.depthwise, model.head]
    prices = [cost.relative_macs(layer.weight) for layer in layers]
    sizes = [layer.weight.numel() for layer in layers]
    assert prices[0] / prices[-1] == pytest.approx(100.0)  # 10 × 10 pixels, and one
    assert prices[3] / prices[-1] == pytest.approx(16.0)
    assert sum(p * n for p, n in zip(prices, sizes, strict=True)) / sum(sizes) == pytest.approx(1.0)


@pytest.mark.parametrize("target", [0.2, 0.5])
def test_training_ends_at_the_multiply_adds_that_are_asked_for(target):
    model, n_steps = net(), 300
    convs = [model.stem, model.inner, model.back]
    penalty = [GroupL1([m.weight, m.bias], 1e-3, dim=(0, 0), group_weight="sqrt", join=True) for m in convs]
    base = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    cost = MACs(model, X[:1])
    opt = SpredOptimizer(base, penalty, target_density=target, total_steps=n_steps, cost=cost)
    for _ in range(n_steps):
        opt.zero_grad()
        nn.functional.cross_entropy(model(X), Y).backward()
        opt.step()
    finalize(model, opt)
    left = measured(shrink(model, X[:1])) / cost.total
    assert (
        0.75 * target <= left <= target * (1 + 1e-6)
    )  # a channel of a model this small is a tenth of its multiply-adds


def test_the_largest_groups_are_kept_as_far_as_they_fit():
    scores = [torch.tensor([5.0, 1.0, 0.0]), torch.tensor([[2.0, 4.0], [3.0, 3.0]])]
    counts = []

    def share(kept):
        counts.append(sum(int(mask.sum()) for mask in kept))
        return counts[-1] / 7

    assert largest(scores, share, 1.0) == 1.0
    assert largest(scores, share, 2 / 7) == 4.0
    assert largest(scores, share, 3 / 7) == 4.0  # the two threes go together
    assert largest(scores, share, 4 / 7) == 3.0
    assert largest(scores, share, 0.1) == float("inf")
    assert Weights().share([(Place((torch.ones(4),)), torch.tensor([True, False, False, False]))]) == 0.25


def test_what_cannot_be_counted_is_refused_in_a_sentence():
    model = net()
    sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(RuntimeError, match="conv2d"):  # the model's own, as it was raised
        MACs(model, torch.ones(1, 7))
    with pytest.raises(InputError, match="no linear layer and no convolution"):
        MACs(nn.Sequential(nn.ReLU()), X[:1])
    cost, options = MACs(model, X[:1]), {"total_steps": 9}
    with pytest.raises(InputError, match="cost in multiply-adds needs penalties on"):
        SpredOptimizer(sgd, L1([model.stem.bias], 1e-3), target_density=0.5, cost=cost, **options)
    with pytest.raises(InputError, match="give them with it"):
        SpredOptimizer(sgd, L1(prunable_weights(model), 1e-3), cost=cost)
    own = L1(prunable_weights(model), 1e-3, target_density=0.5)
    with pytest.raises(InputError, match="not for those of penalties"):
        SpredOptimizer(sgd, own, cost=cost, **options)
