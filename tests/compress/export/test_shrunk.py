"""Every built-in model with random groups of zeros: shrunk, rebuilt from its files, and the same outputs."""

import json
from copy import deepcopy
from itertools import pairwise

import pytest
import torch
from mutations import outcomes
from safetensors.torch import load_file, save_file
from torch import nn

from spred.compress.export.measure import answer, multiply_adds, parameters
from spred.compress.export.onnx import save_onnx
from spred.compress.export.shrunk import load_shrunk, save_shrunk
from spred.compress.models.zoo import MODELS, Facts, build
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


SMALL = {"name": "mlp", "arguments": {"widths": [8, 8]}, "facts": {"channels": 1, "size": [4, 4], "n_classes": 2}}
FACTS = Facts(1, (4, 4), 2)


@pytest.fixture
def folder(tmp_path):
    """The files of a small perceptron that lost five neurons."""
    torch.manual_seed(0)
    model = build("mlp", {"widths": (8, 8)}, FACTS)
    with torch.no_grad():
        model[1].weight[3:] = 0.0
    save_shrunk(shrink(model, torch.randn(2, 1, 4, 4)), model, tmp_path, SMALL)
    return tmp_path


def write(folder, **changed):
    table = json.loads((folder / "shrunk.json").read_text())
    (folder / "shrunk.json").write_text(json.dumps(table | changed))


def test_a_built_in_model_is_made_from_the_files_alone_and_stays_as_it_was_read(folder):
    again = load_shrunk(folder)
    assert again[1].out_features == 3
    before = {name: tensor.clone() for name, tensor in again.state_dict().items()}
    content = (folder / "shrunk.safetensors").read_bytes()
    (folder / "shrunk.safetensors").write_bytes(content[:-400] + bytes(400))  # in place
    assert all(torch.equal(before[name], tensor) for name, tensor in again.state_dict().items())
    assert all(parameter.requires_grad for parameter in again.parameters())


@pytest.mark.parametrize("name", ["os:system", "builtins:exec", "my_nets:tiny"])
def test_a_file_does_not_say_which_function_is_called(name, folder, tmp_path, monkeypatch):
    (tmp_path / "my_nets.py").write_text("raise AssertionError('imported')")
    monkeypatch.chdir(tmp_path)
    target = tmp_path / "ran"
    write(folder, origin=SMALL | {"name": name, "arguments": {"command": f"touch {target}"}})
    with pytest.raises(InputError, match=r"which is not one of .*give it: load_shrunk\(folder, model\)"):
        load_shrunk(folder)
    assert not target.exists()
    assert load_shrunk(folder, build("mlp", {"widths": (8, 8)}, FACTS))[1].out_features == 3


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"origin": None}, "does not say how its model is made"),
        ({"modules": {"1": {"forward": 3}}}, "attribute 'forward'"),
        ({"modules": {"2": {"out_features": 3}}}, "is a ReLU, which has no out_features"),
        ({"modules": {"1.weight": {"removed": True}}}, "no module '1.weight'"),
        ({"modules": {"forward": {"removed": True}}}, "no module 'forward'"),
        ({"modules": {"1": {"out_features": 4}, "3": {"in_features": 3}}}, r"shape \(3, 16\) and not \(4, 16\)"),
        ({"modules": {"1": {"out_features": 3}, "3": {"in_features": 2}}}, "and not"),
        ({"modules": {"1": {"constant": True}}}, "the model has no '1.weight'"),
        ({"origin": SMALL | {"arguments": {"widths": [8, 10**9]}}}, r"and not \("),
        ({"origin": SMALL | {"arguments": {"widths": [10**18, 10**18]}}}, "cannot be made of these sizes"),
        ({"origin": SMALL | {"arguments": {"widths": "88"}}}, "give a list of whole numbers"),
        ({"origin": SMALL | {"arguments": {"widths": [8] * 2000}}}, "more than 1000 layers"),
        ({"origin": SMALL | {"facts": SMALL["facts"] | {"size": [40_000, 40_000]}}}, r"and not \(3, 1600000000\)"),
    ],
)
def test_a_table_that_lies_is_refused_before_anything_is_made(changed, message, folder):
    write(folder, **changed)
    with pytest.raises(InputError, match=message) as caught:
        load_shrunk(folder)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("name", ["shrunk.json", "shrunk.safetensors"])
def test_a_damaged_file_gives_a_model_that_runs_or_one_sentence(name, folder):
    content = (folder / name).read_bytes()

    def load(damaged):
        (folder / name).write_bytes(damaged)
        assert load_shrunk(folder)(torch.zeros(1, 1, 4, 4)).shape == (1, 2)

    values, refused = outcomes(content, 100, load)
    assert refused > 40
    assert values > 0  # a space more, another digit of a weight


def test_attention_that_its_heads_cannot_divide_is_refused(tmp_path):
    facts = {"channels": 1, "size": [8, 8], "n_classes": 2}
    arguments = {"width": 8, "heads": 4, "depth": 1}
    model = build("vit", arguments, Facts(1, (8, 8), 2)).eval()
    with torch.no_grad():
        model.blocks[0].attention.in_proj_weight[16:20] = 0.0
    small = shrink(model, inputs := torch.randn(2, 1, 8, 8))
    save_shrunk(small, model, tmp_path, {"name": "vit", "arguments": arguments, "facts": facts})
    assert torch.equal(load_shrunk(tmp_path)(inputs), small.eval()(inputs))
    table = json.loads((tmp_path / "shrunk.json").read_text())
    heads = table["modules"]["blocks.0.attention"]
    for number, message in ((3, "has 3 heads, into which 'q' cannot be divided"), (0, "attention cannot have")):
        write(tmp_path, modules={"blocks.0.attention": heads | {"num_heads": number}})
        with pytest.raises(InputError, match=message):
            load_shrunk(tmp_path)
    write(tmp_path, modules={"blocks.0.attention": heads})
    state = load_file(tmp_path / "shrunk.safetensors")
    save_file(state | {"blocks.0.attention.q.bias": torch.zeros(5)}, tmp_path / "shrunk.safetensors")
    with pytest.raises(InputError, match=r"'blocks.0.attention.q' has a bias of shape \(5,\)"):
        load_shrunk(tmp_path)
