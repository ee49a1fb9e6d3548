"""Every built-in model with random groups of zeros: shrunk, rebuilt from its files, and the same outputs."""

from copy import deepcopy
from itertools import pairwise

import pytest
import torch
from torch import nn

from spred.compress.export.measure import answer, multiply_adds, parameters
from spred.compress.export.onnx import save_onnx
from spred.compress.export.shrunk import load_shrunk, save_shrunk
from spred.compress.models.zoo import MODELS
from spred.errors import FileError, InputError
from spred.nn.pruning.channels import Constant
from spred.nn.pruning.shrink import shrink

IMAGES = {"resnet-20": (3, 16, 16), "resnet-18": (3, 8, 8), "vit": (3, 16, 16)}


def a_model(name, seed=0):
    torch.manual_seed(seed)
    channels, *size = IMAGES.get(name, (1, 28, 28))
    model = MODELS[name](channels, tuple(size), 10)
    return model.eval(), torch.randn(4, channels, *size)


@torch.no_grad()
def zero_groups(model, fraction, joined):
    """Set a fraction of all filters, neurons and heads to zero; with ``joined``, their norms and biases too."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):  # constants behind it must not be simple ones
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2.0)
            module.bias.normal_()
        if isinstance(module, nn.MultiheadAttention):
            module.in_proj_bias.normal_()
            zero = torch.rand(module.num_heads) < fraction
            rows = zero.repeat_interleave(module.embed_dim // module.num_heads)
            module.in_proj_weight[2 * module.embed_dim :][rows] = 0.0
    hidden = [m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)][:-1]
    norms = norm_after(model)
    for module in hidden:
        zero = torch.rand(len(module.weight)) < fraction
        module.weight[zero] = 0.0
        for tensor in (module.bias, *(getattr(norms.get(module), key, None) for key in ("weight", "bias"))):
            if tensor is not None and joined:
                tensor[zero] = 0.0


def norm_after(model):
    leaves = [m for m in model.modules() if not list(m.children())]
    return {a: b for a, b in pairwise(leaves) if isinstance(b, nn.BatchNorm2d)}


@pytest.mark.parametrize(("joined", "multiple"), [(True, 8), (False, 1)], ids=["with their norms", "weights alone"])
@pytest.mark.parametrize("name", MODELS)
def test_outputs_stay_and_the_files_give_the_model_back(name, joined, multiple, tmp_path):
    model, inputs = a_model(name)
    zero_groups(model, 0.6, joined)
    small = shrink(model, inputs, multiple=multiple)
    expected = model(inputs).detach()
    scale = max(1.0, float(expected.abs().max()))
    assert torch.allclose(small(inputs), expected, rtol=0, atol=1e-5 * scale)
    assert parameters(small)[0] < parameters(model)[0]
    assert multiply_adds(small, inputs) < multiply_adds(model, inputs)
    save_shrunk(small, model, tmp_path)
    again = load_shrunk(tmp_path, a_model(name, seed=1)[0])
    assert torch.equal(again(inputs), small(inputs))
    assert list(again.state_dict()) == list(small.state_dict())


def test_half_of_the_filters_inside_every_block_leave_half_of_the_multiply_adds():
    model, inputs = a_model("resnet-20")
    with torch.no_grad():
        for block in (m for m in model.modules() if hasattr(m, "shortcut")):
            first, norm = block.body[0], block.body[1]
            zero = slice(len(first.weight) // 2, None)
            for tensor in (first.weight, norm.weight, norm.bias):
                tensor[zero] = 0.0
    small = shrink(model, inputs, multiple=8)
    after, before = multiply_adds(small, inputs), multiply_adds(model, inputs)
    assert 0.5 < after / before < 0.55
    assert all(m.out_channels % 8 == 0 for m in small.modules() if isinstance(m, nn.Conv2d))


@pytest.mark.parametrize("name", ["resnet-20", "vit"])
def test_blocks_of_zeros_are_removed_from_the_files_too(name, tmp_path):
    model, inputs = a_model(name)
    zero_groups(model, 0.3, joined=False)
    with torch.no_grad():
        for block in [m for m in model.modules() if hasattr(m, "body")][1::2]:
            block.body[4].weight.zero_()
        for block in [m for m in model.modules() if hasattr(m, "mlp")][1::2]:
            block.mlp[2].weight.zero_()
            block.attention.out_proj.weight.zero_()
            block.attention.out_proj.bias.normal_()
    small = shrink(model, inputs, multiple=8)
    assert sum(isinstance(m, Constant) for m in small.modules()) == 4  # of nine blocks; or of two times four
    expected = model(inputs).detach()
    assert torch.allclose(small(inputs), expected, rtol=0, atol=1e-5 * max(1.0, float(expected.abs().max())))
    assert multiply_adds(small, inputs) < 0.5 * multiply_adds(model, inputs)
    save_shrunk(small, model, tmp_path)
    again = load_shrunk(tmp_path, a_model(name, seed=1)[0])
    assert torch.equal(again(inputs), small(inputs))
    save_onnx(again, inputs, tmp_path / "model.onnx")
    assert torch.allclose(answer(tmp_path / "model.onnx", inputs), expected, rtol=0, atol=1e-4)


def test_files_of_another_model_are_refused_in_a_sentence(tmp_path):
    model, inputs = a_model("lenet-300-100")
    zero_groups(model, 0.5, joined=True)
    save_shrunk(shrink(model, inputs), model, tmp_path)
    with pytest.raises(InputError, match=r"another model|no module"):
        load_shrunk(tmp_path, nn.Sequential(nn.Linear(4, 4)))
    with pytest.raises(FileError, match="holds no shrunk model"):
        load_shrunk(tmp_path / "elsewhere", model)
    (tmp_path / "shrunk.safetensors").write_bytes(b"nothing")
    with pytest.raises(FileError, match="cannot be read"):
        load_shrunk(tmp_path, model)


def test_the_model_that_is_given_is_not_changed(tmp_path):
    model, inputs = a_model("lenet-5")
    zero_groups(model, 0.5, joined=False)
    save_shrunk(shrink(model, inputs), model, tmp_path)
    before = deepcopy(model.state_dict())
    load_shrunk(tmp_path, model)
    assert all(torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values(), strict=True))
