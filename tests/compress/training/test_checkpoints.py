"""States come back as they were, whole or not at all, and without pickle's power."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from mutations import outcomes

from spred.compress.training.checkpoints import Keep, random_state, seeded, set_random_state
from spred.errors import FileError

CPU = torch.device("cpu")


def test_a_state_comes_back(tmp_path: Path):
    keep = Keep(tmp_path / "work").of("recipe", 1)
    keep.save("spred, alpha 0.1", {"weights": torch.arange(3.0), "losses": [0.5, 0.25]})
    state = keep.load("spred, alpha 0.1")
    assert state is not None
    assert torch.equal(state["weights"], torch.arange(3.0))
    assert state["losses"] == [0.5, 0.25]
    assert keep.load("spred, alpha 0.2") is None
    assert Keep(tmp_path / "work").of("recipe", 2).load("spred, alpha 0.1") is None
    assert not list((tmp_path / "work").rglob("*.part"))


def packed(path: Path) -> bytes:
    """A state whose parts are compressed: a small file could fill the memory."""
    torch.save({"weights": torch.zeros(1000)}, path)
    with (
        zipfile.ZipFile(path) as archive,
        zipfile.ZipFile(path.with_suffix(".zip"), "w", zipfile.ZIP_DEFLATED) as other,
    ):
        for name in archive.namelist():
            other.writestr(name, archive.read(name))
    return path.with_suffix(".zip").read_bytes()


@pytest.mark.parametrize("content", [b"", b"cut short", pickle.dumps(print)])
def test_a_broken_file_is_told(content: bytes, tmp_path: Path):
    keep = Keep(tmp_path)
    keep.path("dense").write_bytes(content)
    with pytest.raises(FileError, match=r"dense\.pt: is damaged: File is not a zip file"):
        keep.load("dense")


def test_a_file_cut_short_changed_or_of_something_else_is_told(tmp_path: Path):
    keep = Keep(tmp_path)
    keep.save("dense", {"weights": torch.arange(1000.0)})
    whole = keep.path("dense").read_bytes()
    at = whole.index(torch.arange(5.0, 9.0).numpy().tobytes())
    for content, message in (
        (whole[: len(whole) // 2], "is damaged"),
        (whole[:at] + b"\xff" + whole[at + 1 :], r"the checksum of '.*data/0' is another"),  # torch would load it
        (packed(tmp_path / "packed.pt"), "its parts are packed"),
    ):
        keep.path("dense").write_bytes(content)
        with pytest.raises(FileError, match=message):
            keep.load("dense")
    torch.save([1, 2], keep.path("dense"))
    with pytest.raises(FileError, match="holds a list, and no state"):
        keep.load("dense")
    torch.save({"run": print}, keep.path("dense"))
    with pytest.raises(FileError, match="cannot be read"):
        keep.load("dense")


def test_a_damaged_file_gives_the_state_that_was_kept_or_one_sentence(tmp_path: Path):
    keep = Keep(tmp_path)
    keep.save("dense", {"weights": torch.arange(100.0), "losses": [0.5]})
    whole = keep.path("dense").read_bytes()

    def load(damaged: bytes) -> None:
        keep.path("dense").write_bytes(damaged)
        state = keep.load("dense")
        assert state is not None
        assert torch.equal(state["weights"], torch.arange(100.0))
        assert state["losses"] == [0.5]

    assert outcomes(whole, 120, load)[1] > 60


def test_the_callers_generator_is_left_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    with seeded(7, CPU):
        first = torch.rand(1)
        state = random_state(CPU)
        second = torch.rand(1)
        set_random_state(state, CPU)
        assert torch.equal(torch.rand(1), second)
    assert torch.equal(torch.rand(2), expected)
    with seeded(7, CPU):
        assert torch.equal(torch.rand(1), first)
