"""ONNX files hold the model and nothing else, and a file with other outputs is an error."""

import pytest
import torch
from compress_outcome import lenet

from spred.compress.export.onnx import difference, export_onnx, save_onnx
from spred.errors import StateError


@pytest.fixture(scope="module")
def images():
    return torch.randn(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def test_a_file_with_other_outputs_is_no_success():
    expected = torch.tensor([10.0, 0.0])
    assert difference(expected + 5e-4, expected, "model.onnx") == pytest.approx(5e-5, rel=1e-2)
    with pytest.raises(StateError, match=r"model\.onnx: loaded back, its outputs differ"):
        difference(expected + 2e-3, expected, "model.onnx")
    with pytest.raises(StateError, match="loaded back"):
        difference(expected * torch.nan, expected, "model.onnx")
    with pytest.raises(StateError, match="shape"):
        difference(expected[:1], expected, "model.onnx")


def test_an_onnx_file_holds_no_paths_of_this_machine(images, tmp_path):
    save_onnx(lenet(0), images[:1], tmp_path / "model.onnx")
    content = (tmp_path / "model.onnx").read_bytes()
    assert b"site-packages" not in content
    assert b".py" not in content
    assert len(content) < 431_080 * 4 * 1.02


def test_onnx_of_another_model_is_noticed(images, tmp_path):
    with pytest.raises(StateError, match=r"model\.onnx"):
        export_onnx(lenet(0), lenet(1), images, tmp_path / "model.onnx")
