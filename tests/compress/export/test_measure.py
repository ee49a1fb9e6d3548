"""Counts are those made by hand; times of a model beside itself are level."""

import pytest
import torch
from torch import nn

from spred.compress.export import measure
from spred.errors import FileError
from spred.nn.pruning.heads import Attention, shrink_heads


class Functional(nn.Module):
    """Attention without a module for it, weights without a layer."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6, 12))

    def forward(self, x):
        attended = nn.functional.scaled_dot_product_attention(x, x, x)
        return nn.functional.linear(attended, self.weight)


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.MultiheadAttention(16, 4, batch_first=True)

    def forward(self, x):
        return self.inner(x, x, x)[0]


def lenet5():
    convolutions = [nn.Conv2d(1, 20, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(20, 50, 5), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*convolutions, nn.Flatten(), nn.Linear(800, 500), nn.ReLU(), nn.Linear(500, 10))


BY_HAND = {
    "linear": (lambda: nn.Linear(7, 3), (7,), 7 * 3),
    "tokens": (lambda: nn.Linear(7, 3), (5, 7), 5 * 7 * 3),
    "LeNet-5": (lenet5, (1, 28, 28), 24 * 24 * 20 * 25 + 8 * 8 * 50 * 20 * 25 + 800 * 500 + 500 * 10),
    "stride and padding": (lambda: nn.Conv2d(3, 8, 3, stride=2, padding=1), (3, 8, 8), 4 * 4 * 8 * 27),
    "depthwise": (lambda: nn.Conv2d(8, 8, 3, groups=8), (8, 5, 5), 8 * 9 * 9),
    "attention": (SelfAttention, (5, 16), 5 * 16 * 16 * 4 + 2 * 5 * 5 * 16),
    "functions": (Functional, (5, 12), 2 * 5 * 5 * 12 + 5 * 12 * 6),
    "a transformer's layer": (
        lambda: nn.TransformerEncoderLayer(16, 4, 32, batch_first=True),
        (5, 16),
        5 * 16 * 16 * 4 + 2 * 5 * 5 * 16 + 2 * 5 * 16 * 32,
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_multiply_adds_are_those_counted_by_hand(name):
    make, shape, expected = BY_HAND[name]
    model = make()
    fast = torch.backends.mha.get_fastpath_enabled()
    assert measure.multiply_adds(model, torch.randn(3, *shape)) == expected
    assert model.training
    assert torch.backends.mha.get_fastpath_enabled() == fast


def test_heads_that_are_gone_are_not_counted():
    model = SelfAttention().eval()
    with torch.no_grad():
        model.inner.in_proj_weight[32:40].zero_()
    small = shrink_heads(model, (torch.randn(1, 5, 16),), {})
    assert isinstance(small.inner, Attention)
    assert measure.multiply_adds(small, torch.randn(1, 5, 16)) == 5 * 16 * 8 * 4 + 2 * 5 * 5 * 8


def test_parameters_are_counted_once_and_exact_zeros_apart():
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    model[1].weight = model[0].weight
    with torch.no_grad():
        model[0].weight.fill_(1.0)[0].zero_()
    assert measure.parameters(model) == (16, 12)


@pytest.mark.parametrize(
    ("content", "message"), [(None, "no such file"), (b"", "cannot read"), (b"no ONNX", "cannot read")]
)
def test_a_file_that_is_no_onnx_is_one_sentence(content, message, tmp_path):
    if content is not None:
        (tmp_path / "a.onnx").write_bytes(content)
    with pytest.raises(FileError, match=rf"a\.onnx: .*{message}") as caught:
        measure.answer(tmp_path / "a.onnx", torch.ones(1, 2))
    assert str(caught.value).isprintable()


def made_by_hand(path, n_inputs):
    """Write an ONNX file that adds its inputs, vectors of two."""
    onnx = pytest.importorskip("onnx")
    vectors = [onnx.helper.make_tensor_value_info(f"x{k}", onnx.TensorProto.FLOAT, [2]) for k in range(n_inputs)]
    out = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [2])
    node = onnx.helper.make_node("Sum", [f"x{k}" for k in range(n_inputs)], ["y"])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", vectors, [out]), ir_version=10)
    model.opset_import[0].version = 17
    path.write_bytes(model.SerializeToString())


def test_a_file_that_takes_something_else_is_one_sentence(tmp_path):
    made_by_hand(tmp_path / "one.onnx", 1)
    assert measure.answer(tmp_path / "one.onnx", torch.ones(2)).tolist() == [1.0, 1.0]
    with pytest.raises(FileError, match=r"cannot run it on \(3,\)"):
        measure.answer(tmp_path / "one.onnx", torch.ones(3))
    made_by_hand(tmp_path / "two.onnx", 2)
    with pytest.raises(FileError, match="has 2 inputs and 1 outputs"):
        measure.answer(tmp_path / "two.onnx", torch.ones(2))
