"""Pretrained weights are those of the model, or a sentence says in what they differ; files run no code."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from mutations import outcomes
from safetensors.torch import save_file
from torch import nn

from spred.compress.models.weights import differences, load_weights
from spred.compress.models.zoo import Facts, build
from spred.errors import FileError

DIGITS = Facts(1, (28, 28), 10)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_pretrained_weights(suffix: str, tmp_path: Path):
    model, other = (build("lenet-300-100", {}, DIGITS) for _ in range(2))
    path = tmp_path / f"weights{suffix}"
    save = save_file if suffix == ".safetensors" else torch.save
    save(model.state_dict(), path)
    load_weights(other, path)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    with pytest.raises(FileError, match=r"weights\..*: these are not weights of this model: '1.weight' has shape"):
        load_weights(build("lenet-300-100", {}, Facts(1, (20, 20), 10)), path)
    with pytest.raises(FileError, match=r"it lacks '0\.weight'"):
        load_weights(build("lenet-5", {}, DIGITS), path)


def test_weights_that_cannot_be_read_are_named(tmp_path: Path):
    model = build("lenet-300-100", {}, DIGITS)
    for suffix in (".safetensors", ".pt"):
        (tmp_path / f"bad{suffix}").write_bytes(b"no weights")
        with pytest.raises(FileError, match="cannot be read"):
            load_weights(model, tmp_path / f"bad{suffix}")
        with pytest.raises(FileError, match="cannot be read"):
            load_weights(model, tmp_path / f"none{suffix}")


class Runs:
    """Something whose unpickling calls a function."""

    def __reduce__(self):
        return (Path.touch, (Path("ran"),))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "holds a list, and not the state_dict"),
        ({"weight": 3}, "holds 'weight': int, which is no tensor"),
        ({3: torch.ones(1)}, "holds 3: Tensor"),
        ({"weight": torch.ones(1, 2, dtype=torch.int64)}, "numbers of torch.int64 and not torch.float32"),
        ({"weight": torch.tensor([[1.0, float("nan")]])}, "'weight' has values that are not finite"),
        ({"weight\x1b[31m": torch.ones(1, 2)}, "it lacks 'weight'"),
        (Runs(), "weights"),
    ],
)
def test_a_file_that_holds_something_else_is_refused(content, message: str, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(content, tmp_path / "weights.pt")
    with pytest.raises(FileError, match=message) as caught:
        load_weights(nn.Linear(2, 1, bias=False), tmp_path / "weights.pt")
    assert str(caught.value).isprintable()
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(content))
    with pytest.raises(FileError, match="weights"):
        load_weights(nn.Linear(2, 1, bias=False), tmp_path / "plain.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_damaged_file_gives_weights_or_one_sentence(suffix: str, tmp_path: Path):
    model, path = nn.Linear(3, 2), tmp_path / f"weights{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(model.state_dict(), path)

    def load(damaged: bytes) -> None:
        path.write_bytes(damaged)
        load_weights(model, path)

    assert outcomes(path.read_bytes(), 100, load)[1] > 30


def test_eight_bits_are_taken(tmp_path: Path):
    model = nn.Linear(2, 1)
    save_file({"weight": torch.ones(1, 2).to(torch.float8_e4m3fn), "bias": torch.ones(1)}, tmp_path / "a.safetensors")
    load_weights(model, tmp_path / "a.safetensors")
    assert model.weight.tolist() == [[1.0, 1.0]]


def test_half_precision_is_taken_and_every_difference_is_named():
    model = nn.Linear(2, 1)
    assert not differences(model, {name: tensor.half() for name, tensor in model.state_dict().items()})
    assert not differences(model, {name: tensor.to(torch.float8_e5m2) for name, tensor in model.state_dict().items()})
    stored = {"weight": torch.zeros(1, 2, dtype=torch.uint8).view(torch.float8_e8m0fnu), "bias": torch.ones(1)}
    assert differences(model, stored) == ["'weight' has numbers of torch.float8_e8m0fnu and not torch.float32"]
    assert len(differences(model, {"bias": torch.ones(2), "more": torch.ones(1)})) == 3
