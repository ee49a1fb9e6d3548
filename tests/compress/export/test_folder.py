"""The folder of a run holds what it promises, and every file gives the model back."""

import gzip
import json

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import torch
from compress_outcome import lenet
from safetensors.torch import load_file
from torch import nn

from spred.compress.export.folder import FILES, write_models
from spred.compress.export.onnx import TOLERANCE
from spred.compress.export.shrunk import load_shrunk
from spred.compress.export.sparse import load_sparse


@pytest.fixture(scope="module")
def images():
    return torch.randn(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def written(outcome, dense, sparse, images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    return write_models(outcome, dense, sparse, images, folder, multiple_of=8), folder


@torch.no_grad()
def test_every_file_gives_the_model_back(written, sparse, images):
    _, folder = written
    expected = sparse(images)
    for state in (load_file(folder / "model.safetensors"), load_sparse(folder / "model.sparse.safetensors")):
        plain = lenet(5)
        plain.load_state_dict(state, strict=True)
        assert torch.equal(plain(images), expected)
    shrunk = load_shrunk(folder)
    assert sum(p.numel() for p in shrunk.parameters()) < 0.5 * sum(p.numel() for p in sparse.parameters())
    assert all(len(m.weight) % 8 == 0 for m in shrunk if isinstance(m, nn.Conv2d))
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    for n in (1, 3):  # any number of images
        outputs = session.run(None, {"input": images[:n].numpy()})[0]
        assert np.abs(outputs - expected[:n].numpy()).max() < 1e-4
        assert torch.allclose(shrunk(images[:n]), expected[:n], atol=1e-5)


def test_figures_are_those_of_the_files(written, sparse):
    outcome, folder = written
    assert {path.name for path in folder.iterdir()} == set(FILES) == set(outcome.files)
    size = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert size["model.sparse.safetensors"] < len(gzip.compress((folder / "model.safetensors").read_bytes()))
    assert len({path.stat().st_mode for path in folder.iterdir()}) == 1  # all have the rights of one
    assert outcome.sizes["sparse"].bytes_sparse == size["model.sparse.safetensors"]
    assert outcome.sizes["sparse"].bytes_dense == size["model.safetensors"]
    assert outcome.sizes["shrunk"].bytes_onnx == size["model.onnx"] < outcome.sizes["dense"].bytes_onnx
    assert outcome.sizes["dense"].parameters == outcome.sizes["sparse"].parameters == 431_080
    effective = outcome.sizes["sparse"].effective_parameters
    assert effective <= outcome.sizes["shrunk"].nonzero < outcome.sizes["sparse"].nonzero
    assert outcome.sizes["dense"].multiply_adds == outcome.sizes["sparse"].multiply_adds == 2_293_000
    assert set(outcome.checks) == {n for n in FILES if n.endswith((".safetensors", ".onnx"))}
    assert all(0 <= found <= TOLERANCE for found in outcome.checks.values())
    assert [speed.batch for speed in outcome.speeds] == [1, 32]
    assert all(speed.low <= speed.ratio <= speed.high for speed in outcome.speeds)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["sizes"]["dense"]["multiply_adds"] == 2_293_000
    assert metrics["chosen"]["validation"] == 0.989
    table = pd.read_csv(folder / "frontier.csv")
    assert len(table) == len(outcome.points)
    assert table.loc[table["chosen"], "compression"].tolist() == [20.0]


def test_onnx_can_be_left_out(outcome, dense, sparse, images, tmp_path):
    found = write_models(outcome, dense, sparse, images, tmp_path, onnx=False)
    assert found.speeds == ()
    assert found.sizes["dense"].latency_ms is None
    assert "model.onnx" not in found.files
    assert "Times were not taken" in (tmp_path / "report.html").read_text()


def test_a_model_that_cannot_be_followed_is_written_as_it_is(outcome, images, tmp_path):
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(784, 10)

        def forward(self, x):
            return self.fc(x.flatten(1)) if x.sum() > -1e9 else x

    model = Branching().eval()
    found = write_models(outcome, model, model, images, tmp_path)
    assert len(found.notes) == len(outcome.notes) + 2
    assert all("torch" in note.lower() and note.endswith(".") for note in found.notes[-2:])
    assert "model.onnx" not in found.files
    assert found.sizes["shrunk"].parameters == found.sizes["dense"].parameters
    assert torch.equal(load_shrunk(tmp_path, Branching())(images), model(images))
