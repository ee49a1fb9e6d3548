"""``scripts/bench structured`` runs through: dense, spred and torch-pruning, each with a row in its place."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import compress
import pytest
import record
import structured as bench
from compress_images import write_npz

METHODS = [name for name in bench.METHODS if name == "spred" or find_spec("torch_pruning") is not None]


def test_each_model_has_one_row_with_its_work_widths_and_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    data = str(write_npz(tmp_path / "bars.npz", n=64))
    work = {
        "data": {"train": data, "test": data},
        "penalty": {"densities": [0.5]},
        "train": {"epochs": 1, "sparse_epochs": 2, "refit_epochs": 1, "batch_size": 16},
    }
    for module in (record, compress, bench):
        monkeypatch.setattr(module, "RESULTS", tmp_path / "benchmarks" / "results")
    monkeypatch.setitem(compress.WORKS, bench.MODEL, work)
    for _ in range(2):  # the second time in the place of the first
        bench.run(0, METHODS)
    rows = compress.known(bench.FILE)["rows"]
    assert [row["method"] for row in rows] == ["dense", *METHODS]
    assert rows[0]["work"] == 1.0
    for row in rows[1:]:
        assert row["work"] > 1.5
        assert all(width % bench.MULTIPLES.get(row["method"], 1) == 0 for width in row["widths"])
        assert len(row["speed"]) == 2
