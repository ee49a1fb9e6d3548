"""``scripts/bench structured`` runs through: the dense model and each method have a row in its place."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import compress
import pytest
import record
import structured as bench
from compress_images import write_npz

METHODS = ["spred", "gradual", *(["torch-pruning"] if find_spec("torch_pruning") is not None else [])]
"""One-shot pruning is a row of the same function as these two."""


@pytest.mark.parametrize("model", bench.RECIPES)
def test_each_method_has_one_row_with_its_multiply_adds_widths_and_times(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    data = str(write_npz(tmp_path / "bars.npz", n=64))
    short = {"epochs": 1, "sparse_epochs": 2, "refit_epochs": 1, "batch_size": 16}
    for module in (record, compress, bench):
        monkeypatch.setattr(module, "RESULTS", tmp_path / "benchmarks" / "results")
    monkeypatch.setattr(bench, "RUNS", {1: 2, 32: 2})
    work = bench.RECIPES[model]
    changed = {"data": {"train": data, "test": data}, "train": work["train"] | short | {"precision": "float32"}}
    monkeypatch.setitem(bench.RECIPES, model, work | changed)
    methods = [name for name in METHODS if name != "torch-pruning" or name in bench.STRENGTHS[model]]
    methods = methods if model == "resnet-20" else methods[:1]  # each method once is enough
    bench.run(model, 0, methods)
    if model == "resnet-20":
        bench.run(model, 0, methods[-1:])  # in the place of its first row
    rows = compress.known(bench.FILE)["rows"]
    assert sorted(row["method"] for row in rows) == sorted(["dense", *methods])
    for row in rows:
        assert row["macs_ratio"] == 1.0 if row["method"] == "dense" else row["macs_ratio"] > 1.5
        assert len(row.get("speed", [])) == (0 if row["method"] == "dense" else 2)
