"""States come back as they were, whole or not at all, and without pickle's power."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch

from spred.compress.training.checkpoints import Keep, random_state, seeded, set_random_state

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


@pytest.mark.parametrize("content", [b"", b"cut short", pickle.dumps(print)])
def test_a_broken_file_counts_as_none(content: bytes, tmp_path: Path):
    keep = Keep(tmp_path)
    keep.path("dense").write_bytes(content)
    assert keep.load("dense") is None


def test_a_file_cut_short_counts_as_none(tmp_path: Path):
    keep = Keep(tmp_path)
    keep.save("dense", {"weights": torch.zeros(1000)})
    whole = keep.path("dense").read_bytes()
    keep.path("dense").write_bytes(whole[: len(whole) // 2])
    assert keep.load("dense") is None


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
