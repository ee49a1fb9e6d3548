"""Tensors come back from a file, those that share memory too."""

import pytest
import torch

from spred.compress.export.safetensors import read_tensors, write_tensors
from spred.errors import FileError


def test_tensors_come_back_and_others_may_read_them(tmp_path):
    whole = torch.arange(6.0).view(2, 3)
    given = {"whole": whole, "tied": whole, "turned": whole.T, "count": torch.tensor(3)}
    write_tensors(given, tmp_path / "a.safetensors", {"format": "test"})
    found, metadata = read_tensors(tmp_path / "a.safetensors")
    assert metadata == {"format": "test"}
    assert set(found) == set(given)
    assert all(torch.equal(found[name], given[name]) for name in given)
    (tmp_path / "text").write_text("as other files")
    assert (tmp_path / "a.safetensors").stat().st_mode == (tmp_path / "text").stat().st_mode


def test_a_file_without_metadata_has_none(tmp_path):
    write_tensors({"a": torch.ones(2)}, tmp_path / "a.safetensors")
    assert read_tensors(tmp_path / "a.safetensors")[1] == {}


@pytest.mark.parametrize("content", [None, b"", b"no tensors"])
def test_what_cannot_be_read_is_said_in_a_sentence(content, tmp_path):
    if content is not None:
        (tmp_path / "a").write_bytes(content)
    with pytest.raises(FileError, match="cannot be read as safetensors"):
        read_tensors(tmp_path / "a")
