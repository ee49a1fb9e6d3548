"""Each kind of group is the right one: what becomes zero with a group is what shrink removes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from spred import L1, SpredOptimizer, shrink
from spred.compress.models.zoo import Facts, build
from spred.compress.recipe import PenaltySection
from spred.compress.training.targets import WeightCount, find, layers, penalties, zero_followers
from spred.core.partition import norms
from spred.errors import InputError
from spred.nn.penalties import prunable_weights, targets
from spred.nn.pruning.macs import MACs


def section(*kind: str, **options) -> PenaltySection:
    return PenaltySection(kind=kind, alphas=(1e-3,), **options)


SMALL = Facts(3, (16, 16), 10)


def make(name: str, facts: Facts = SMALL) -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    model = build(name, {}, facts)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.bias.normal_()
                module.running_mean.normal_()
    return model, torch.randn(1, facts.channels, *facts.size)


def on(model: nn.Module, asked: PenaltySection, example: torch.Tensor) -> list[L1]:
    return penalties(model, find(model, asked, example), asked.depth)


def names(model: nn.Module, asked: PenaltySection, example: torch.Tensor) -> list[str]:
    return [name for bundle in find(model, asked, example) for name in bundle.names]


def group_counts(listed) -> list[int]:
    return [norms(target.place.value(), target.partition).numel() for target in targets(listed)]


def test_single_weights_are_those_of_spred_weights():
    model, example = make("lenet-5", Facts(1, (28, 28), 10))
    bundles = find(model, section("weights", depth=3), example)
    assert [bundle.names for bundle in bundles] == [("0.weight", "3.weight", "7.weight", "9.weight")]
    listed = penalties(model, bundles, depth=3, alpha=0.5)
    assert [(type(one).__name__, one.alpha, one.depth) for one in listed] == [("L1", 0.5, 3)]


def test_weights_that_have_to_stand_apart_are_a_penalty_for_each_tensor():
    model, example = make("lenet-5", Facts(1, (28, 28), 10))
    bundles = find(model, section("weights"), example)
    listed = penalties(model, bundles, apart=True)
    assert [[p.shape for p in one.params] for one in listed] == [[w.shape] for w in prunable_weights(model)]


def test_filters_that_a_residual_sum_ties_are_one_group():
    model, example = make("resnet-20")
    listed = on(model, section("filters"), example)
    # Nine inner convolutions, and one group of channels for each of the three widths of the residual stream.
    assert sorted(group_counts(listed)) == sorted([16] * 3 + [32] * 3 + [64] * 3 + [16, 32, 64])
    stream = max(listed, key=lambda one: len(one.params) if one.params[0].shape[0] == 16 else 0)
    assert len(stream.params) == 4 * 2  # the stem and three blocks: a gain and a bias each; the convolutions follow
    assert not [n for n in names(model, section("filters"), example) if n.startswith("14.")]  # the classes stay


class Norms(nn.Module):
    """A layer that its batch norm alone reads, one that is read by another too, and one whose norm comes first."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.norm_one = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.two, self.norm_two = nn.Conv2d(4, 5, 3), nn.BatchNorm2d(5)
        self.before, self.three = nn.BatchNorm2d(5), nn.Conv2d(5, 6, 3)
        self.head = nn.Linear(6, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm_one(self.one(x)))
        x = self.two(x)
        x = self.three(self.before(torch.relu(x + self.norm_two(x))))
        return self.head(torch.relu(x).mean(dim=(2, 3)))


def test_gains_are_penalised_alone_where_nothing_else_reads_what_they_scale():
    model, example = Norms(), torch.randn(1, 3, 12, 12)
    bundles = find(model, section("filters"), example)
    assert [(bundle.names, bundle.followers) for bundle in bundles] == [
        (("norm_one.weight", "norm_one.bias"), ("one.weight", "one.bias")),
        (
            ("two.weight", "two.bias", "norm_two.weight", "norm_two.bias", "before.weight", "before.bias"),
            (),
        ),
        (("three.weight", "three.bias"), ()),
    ]
    listed = penalties(model, bundles)
    kept = [(t.place, torch.ones_like(t.place.value(), dtype=torch.bool)) for one in listed for t in targets([one])]
    kept[0][1][:] = False
    n_rest = 5 * (36 + 1 + 4) + 6 * (45 + 1)
    assert WeightCount(model, bundles).share(kept) == pytest.approx(n_rest / (n_rest + 4 * (2 + 27 + 1)))
    model.norm_one.bias.requires_grad_(False)
    model.norm_one.weight.requires_grad_(False)
    assert find(model, section("filters"), example)[0].names == ("one.weight", "one.bias")


def test_what_follows_a_zero_gain_is_zero_and_is_removed_with_equal_outputs():
    model, example = make("resnet-20")
    bundles = find(model, section("filters"), example)
    inner = next(bundle for bundle in bundles if bundle.names == ("7.body.1.weight", "7.body.1.bias"))
    assert inner.followers == ("7.body.0.weight",)
    with torch.no_grad():
        model[7].body[1].weight[:20] = 0.0
        model[7].body[1].bias[:19] = 0.0  # the last of them is a constant still
    expected = model.eval()(example)
    zero_followers(model, bundles)
    rows = model[7].body[0].weight.flatten(start_dim=1).any(dim=1)
    assert rows.tolist() == [False] * 19 + [True] * 13
    torch.testing.assert_close(model(example), expected)
    small = shrink(model, example)
    assert small[7].body[0].out_channels in (12, 13)
    torch.testing.assert_close(small(example), expected, rtol=1e-4, atol=1e-4)


def test_the_cost_of_gains_is_that_of_their_filters_too():
    model, example = make("resnet-20")
    bundles = find(model, section("filters"), example)
    places = [target.place for listed in penalties(model, bundles) for target in targets([listed])]
    cost = WeightCount(model, bundles)
    kept = [(place, torch.ones_like(place.value(), dtype=torch.bool)) for place in places]
    assert cost.share(kept) == 1.0
    tensors = dict(model.named_parameters())
    sizes = [sum(tensors[name].numel() for name in (*bundle.names, *bundle.followers)) for bundle in bundles]
    for place, mask in kept[:3]:
        mask[: len(mask) // 2] = False
        assert place.tensors[0].ndim == 1
    assert cost.share(kept) == pytest.approx(1 - sum(sizes[:3]) / 2 / sum(sizes))
    assert not cost.severed(kept)
    for _, mask in kept:
        mask[:] = False
    assert not cost.severed(kept)
    assert WeightCount(model, bundles, MACs(model, example)).severed(kept)


def test_the_density_of_filters_whose_weights_are_frozen_is_controlled_by_what_is_left_of_them():
    model, example = make("lenet-5")
    model[0].weight.requires_grad_(False)
    bundles = find(model, section("filters"), example)
    assert bundles[0].names == ("0.bias",)
    listed = penalties(model, bundles)
    cost = WeightCount(model, bundles, MACs(model, example))
    opt = SpredOptimizer(
        torch.optim.SGD(model.parameters(), lr=0.1), listed, target_density=0.5, total_steps=9, cost=cost
    )
    assert opt.density_control is not None
    (controller,) = opt.density_control.controllers
    assert controller.essential == [False, True]  # without a bias the first layer is there still


def test_channels_close_by_so_many_at_once():
    model, example = make("resnet-20")
    asked = section("filters", multiple_of=8)
    assert sorted(group_counts(on(model, asked, example))) == sorted([2] * 4 + [4] * 4 + [8] * 4)
    with torch.no_grad():
        for target in targets(on(model, asked, example)):
            value = target.place.value()
            value[1::2] = 0.0
            target.place.write_(value)
    small = shrink(model.eval(), example)
    widths = [module.out_channels for module in small.modules() if isinstance(module, nn.Conv2d)]
    assert set(widths) == {8, 16, 32}
    torch.testing.assert_close(small(example), model(example), rtol=1e-4, atol=1e-4)


def test_channels_of_other_widths_become_zero_one_at_a_time():
    model, example = make("lenet-5", Facts(1, (28, 28), 10))
    assert group_counts(on(model, section("filters", "neurons", multiple_of=10), example)) == [2, 5, 50]
    assert group_counts(on(model, section("filters", "neurons", multiple_of=16), example)) == [20, 50, 500]
    tall = nn.Sequential(nn.Flatten(), nn.Linear(8, 24), nn.ReLU(), nn.Linear(24, 3))  # looks like packed heads
    assert group_counts(on(tall, section("neurons", multiple_of=8), torch.ones(1, 2, 2, 2))) == [3]


def test_the_largest_channels_are_one_group():
    model = nn.Sequential(nn.Flatten(), nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([1.0, 4.0, 2.0, 3.0])[:, None].expand(4, 3))
        model[1].bias.zero_()
    (target,) = targets(on(model, section("neurons", multiple_of=2), torch.ones(1, 3, 1, 1)))
    torch.testing.assert_close(
        norms(target.place.value(), target.partition).squeeze(), torch.tensor([75.0, 15.0]).sqrt()
    )


@pytest.mark.parametrize(
    ("name", "kinds", "facts"),
    [
        ("resnet-20", ["filters"], SMALL),
        ("lenet-5", ["filters", "neurons"], Facts(1, (28, 28), 10)),
        ("vit", ["heads", "neurons"], SMALL),
    ],
)
def test_groups_of_zeros_are_removed(name: str, kinds: list[str], facts: Facts):
    model, example = make(name, facts)
    before = sum(p.numel() for p in model.parameters())
    n_zeros = 0
    with torch.no_grad():
        for target in targets(on(model, section(*kinds), example)):
            value = target.place.value()
            value[: len(value) // 2] = 0.0
            n_zeros += value[: len(value) // 2].numel()
            target.place.write_(value)
    small = shrink(model.eval(), example)
    assert before - sum(p.numel() for p in small.parameters()) >= n_zeros  # and the inputs of what follows
    torch.testing.assert_close(small(example), model(example), rtol=1e-4, atol=1e-4)


def test_heads_share_their_part_of_the_output():
    model, example = make("vit")
    listed = on(model, section("heads"), example)
    assert group_counts(listed) == [4] * 4
    assert [tuple(p.shape) for p in listed[0].params] == [(192, 64), (64, 64)]
    assert listed[0].dims == (0, 1)


def test_blocks_are_one_group_each():
    model, example = make("resnet-20")
    listed = on(model, section("blocks"), example)
    assert group_counts(listed) == [1] * 9
    assert sum(p.numel() for p in listed[0].params) == 2 * (16 * 16 * 9 + 32)


def test_patterns_choose_modules():
    model, example = make("resnet-20")
    listed = on(model, section("filters", modules=("*.body.0",)), example)
    assert sorted(group_counts(listed)) == sorted([16] * 3 + [32] * 3 + [64] * 3)
    assert names(model, section("weights", modules=("0",)), example) == ["0.weight"]
    with pytest.raises(InputError, match=r"no filters to penalise in the modules \['nothing'\]"):
        on(model, section("filters", modules=("nothing",)), example)
    with pytest.raises(InputError, match="no heads to penalise"):
        on(model, section("heads"), example)


def test_layers_count_what_is_left():
    model = nn.Linear(4, 3)
    with torch.no_grad():
        model.weight[0] = 0.0
    (layer,) = layers(model, ["weight"])
    assert (layer.name, layer.shape, layer.weights, layer.nonzero) == ("weight", (3, 4), 12, 8)
    assert layer.density == pytest.approx(2 / 3)


def test_a_model_that_cannot_be_read_says_so():
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 2)

        def forward(self, x):
            return self.fc(x) if x.sum().item() > 0 else self.fc(-x)

    with pytest.raises(InputError, match=r"torch\.export cannot follow the model"):
        on(Odd(), section("neurons"), torch.ones(1, 4))
