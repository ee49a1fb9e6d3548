"""Which tensors are chosen, how they are cut, and what is refused in one sentence."""

import pytest
import torch
from torch import nn

from spred.core.factorization import merge
from spred.core.partition import SINGLES, Axes, sizes
from spred.errors import InputError
from spred.nn.penalties import L1, GroupL1, factor_dtype, prunable_weights, split_exactly, targets, zero_groups_


def test_prunable_weights_are_multiplying_weights_and_no_biases_or_norms():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 5), nn.LayerNorm(5))
    assert [w is v for w, v in zip(prunable_weights(model), [model[0].weight, model[3].weight], strict=True)] == [
        True
    ] * 2


def test_prunable_weights_are_embeddings_and_attention():
    model = nn.ModuleDict({"embed": nn.Embedding(7, 4), "attend": nn.MultiheadAttention(4, 2)})
    shapes = [tuple(w.shape) for w in prunable_weights(model)]
    assert shapes == [(7, 4), (12, 4), (4, 4)]
    apart = nn.MultiheadAttention(4, 2, kdim=3, vdim=5)
    assert sorted(tuple(w.shape) for w in prunable_weights(apart)) == [(4, 3), (4, 4), (4, 4), (4, 5)]


def test_prunable_weights_skip_frozen_and_count_tied_once():
    model = nn.Sequential(nn.Embedding(6, 4), nn.Linear(4, 6, bias=False), nn.Linear(6, 2))
    model[1].weight = model[0].weight
    model[2].requires_grad_(False)
    assert len(prunable_weights(model)) == 1


@pytest.mark.parametrize("given", ["tensor", "list", "generator"])
def test_params_may_come_in_any_form(given):
    w = nn.Parameter(torch.ones(2, 3))
    forms = {"tensor": w, "list": [w], "generator": (x for x in [w])}
    assert L1(forms[given], 0.1).params == (w,)


@pytest.mark.parametrize(
    ("dim", "shape"), [(None, (4, 1, 1, 1)), (0, (4, 1, 1, 1)), (1, (1, 3, 1, 1)), (-1, (1, 1, 1, 2))]
)
def test_dim_names_the_axis_of_the_groups(dim, shape):
    w = nn.Parameter(torch.randn(4, 3, 2, 2))
    (target,) = targets(GroupL1(w, 0.1, dim=dim))
    assert target.partition.gather(w.detach()).shape == shape


def test_a_penalty_weight_multiplies_the_weights_of_groups():
    w = nn.Parameter(torch.randn(4, 9))
    for make, expected in [
        (lambda p: L1(w, 0.1, penalty_weight=p), 1.0),
        (lambda p: GroupL1(w, 0.1, group_weight="sqrt", penalty_weight=p), 3.0),
    ]:
        (target,) = targets(make(2.5))
        assert float(torch.as_tensor(target.weights).max()) == pytest.approx(2.5 * expected)
    for wrong in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(InputError, match=r"penalty_weight is .*above 0"):
            L1(w, 0.1, penalty_weight=wrong)


def test_sqrt_weights_are_roots_of_group_sizes():
    w = nn.Parameter(torch.randn(4, 9))
    (target,) = targets(GroupL1(w, 0.1, dim=0, group_weight="sqrt"))
    assert torch.equal(target.weights, torch.full((4, 1), 3.0))
    labels = torch.tensor([[0, 1, 1], [1, 1, 2]])
    (target,) = targets(GroupL1(nn.Parameter(torch.randn(2, 3)), 0.1, groups=labels, group_weight="sqrt"))
    assert target.weights.square().tolist() == pytest.approx([1, 4, 1])


def test_heads_are_runs_of_rows_and_packed_projections_are_joined():
    attention = nn.MultiheadAttention(6, 3)
    packed = attention.in_proj_weight
    (target,) = targets(GroupL1(packed, 0.1, heads=attention))
    rows = target.partition.labels[:, 0].tolist()
    assert rows == [0, 0, 1, 1, 2, 2] * 3
    assert sizes(packed, target.partition).tolist() == [36.0] * 3
    (columns,) = targets(GroupL1(nn.Parameter(torch.randn(6, 6)), 0.1, heads=2, dim=1))
    assert columns.partition.labels[0].tolist() == [0, 0, 0, 1, 1, 1]


def test_alpha_can_be_changed_and_is_checked():
    penalty = L1(nn.Parameter(torch.ones(2)), 0.1)
    penalty.alpha = 0.2
    (target,) = targets(penalty)
    assert target.core().alpha == 0.2
    with pytest.raises(InputError, match="alpha is -1"):
        penalty.alpha = -1


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_the_split_gives_every_bit_back(depth):
    v = torch.randn(50, 40, generator=torch.Generator().manual_seed(0)) / 7
    for partition in (SINGLES, Axes((1,))):
        assert torch.equal(merge(split_exactly(v, depth, partition, balanced=False), partition), v)
    diverged = split_exactly(torch.full((3,), 1e30), depth, SINGLES, balanced=False)
    assert all(torch.isfinite(factor).all() for factor in diverged)


def test_zero_groups_sets_all_factors():
    factors = (torch.ones(2, 1), torch.ones(2, 3))
    partition = Axes((0,))
    zero_groups_(factors, torch.tensor([[True], [False]]), partition)
    assert factors[0].tolist() == [[0.0], [1.0]]
    assert factors[1].sum(dim=1).tolist() == [0.0, 3.0]


def test_factors_of_half_tensors_are_single():
    kinds = (torch.bfloat16, torch.float16, torch.float32, torch.float64)
    expected = [torch.float32, torch.float32, torch.float32, torch.float64]
    assert [factor_dtype(kind) for kind in kinds] == expected


W = nn.Parameter(torch.ones(4, 6))


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: L1([], 0.1), "no tensor"),
        (lambda: L1([W, "fc"], 0.1), "tensor 1 is of type str"),
        (lambda: L1([W, W * 2], 0.1), r"tensor 1 of shape \(4, 6\) is computed"),
        (lambda: L1([torch.ones(3, dtype=torch.int64)], 0.1), "int64"),
        (lambda: L1([torch.ones(3, dtype=torch.complex64)], 0.1), "complex64"),
        (lambda: L1(nn.LazyLinear(3).weight, 0.1), "no shape yet"),
        (lambda: L1(W, float("nan")), "alpha is nan"),
        (lambda: L1(W, "strong"), "alpha is 'strong'"),
        (lambda: L1(W, 0.1, depth=1), "depth is 1"),
        (
            lambda: GroupL1([nn.Parameter(torch.ones(3))], 0.1, dim=1),
            r"tensor 0 of shape \(3,\) has no axis 1",
        ),
        (lambda: GroupL1(W, 0.1, heads=5), "5 equal heads"),
        (lambda: GroupL1(W, 0.1, heads=0), "heads is 0"),
        (lambda: GroupL1(W, 0.1, heads="4"), "heads is '4'"),
        (lambda: GroupL1(W, 0.1, packed=3), "give heads= with it"),
        (lambda: GroupL1(W, 0.1, heads=2, packed=(1, 1)), "one for each tensor"),
        (lambda: GroupL1(W, 0.1, heads=2, packed=3), "2 equal heads in 3 parts"),
        (
            lambda: GroupL1(W, 0.1, groups=torch.zeros(3, dtype=torch.int64)),
            "integer labels in the tensor's shape",
        ),
        (lambda: GroupL1(W, 0.1, groups=torch.zeros(4, 6)), "integer labels"),
        (lambda: GroupL1(W, 0.1, groups=torch.zeros(4, 6, dtype=torch.int64), dim=0), "leave out heads="),
        (lambda: GroupL1(W, 0.1, group_weight="root"), "use one of"),
        (lambda: targets([]), "no penalty"),
        (lambda: targets([W]), "of type Parameter"),
        (lambda: targets([L1(W, 0.1), GroupL1(W, 0.1)]), "GroupL1, tensor 0 of shape .* is penalised twice"),
    ],
)
def test_bad_input_is_one_sentence(make, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        make()
    assert "\n" not in str(caught.value)
