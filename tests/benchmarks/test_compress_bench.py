"""``scripts/bench compress`` keeps the rows of others, goes on after a stop, and compares at equal compression."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import compress as bench
import pytest
import record
from compress_images import recipe

from spred.compress import read_recipe
from spred.compress.study import Work

METHODS = ["spred", "gradual", "subgradient"]


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "benchmarks" / "results"
    for module in (record, bench):
        monkeypatch.setattr(module, "RESULTS", folder)
    return folder


def small(folder: Path, **sections: Any) -> bench.Recipe:
    sections = {"penalty": {"alphas": [], "densities": [0.5, 0.25]}, "peers": {"subgradient": [1e-3]}} | sections
    return read_recipe(recipe(folder, **sections))


def row(density: float, test: float, **rest: Any) -> dict[str, Any]:
    same = {"measure": "frontier", "model": "resnet-20", "method": "pat", "seed": 0}
    return same | {"density": density, "test": test} | rest


def test_the_first_strengths_of_all_methods_come_first(tmp_path: Path):
    order = [(name, one.density, one.alpha) for name, one in bench.strengths(small(tmp_path), METHODS)]
    assert order == [
        *(("spred", 0.5, None), ("gradual", 0.5, None), ("subgradient", None, 1e-3)),
        *(("spred", 0.25, None), ("gradual", 0.25, None)),
    ]


def test_rows_of_others_stay_and_a_stopped_run_goes_on(
    results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    asked, states = small(tmp_path), tmp_path / "states"
    other = row(0.1, 0.5, asked=0.1, settings={})
    results.mkdir(parents=True)
    record.write("compress", {"machines": {}, "rows": [other]})
    one, trained = Work.one, []

    def stopping(work: Work, name: str, *rest: Any) -> Any:
        if len(trained) == 2:
            raise KeyboardInterrupt
        trained.append(name)
        return one(work, name, *rest)

    monkeypatch.setattr(Work, "one", stopping)
    with pytest.raises(KeyboardInterrupt):
        bench.run("compress", asked, METHODS, states)
    first = bench.known("compress")["rows"]
    assert [each["method"] for each in first] == ["pat", "dense", "dense", "spred", "gradual"]
    monkeypatch.setattr(Work, "one", one)
    bench.run("compress", asked, METHODS, states)
    rows = bench.known("compress")["rows"]
    assert rows[0] == other
    assert sorted(each["method"] for each in rows[1:]) == [
        "dense",
        "dense",
        *METHODS[1:2] * 2,
        *["spred"] * 2,
        "subgradient",
    ]
    again = {each["method"]: each for each in rows if each.get("asked") == 0.5}
    before = {each["method"]: each for each in first if each.get("asked") == 0.5}
    assert again == before  # trained once: the seconds too
    monkeypatch.setattr(Work, "one", stopping)  # which trains nothing any more
    bench.run("compress", asked, METHODS, tmp_path / "others", resume=True)
    kept = [each for each in bench.known("compress")["rows"] if each["method"] != "dense"]
    assert kept == [each for each in rows if each["method"] != "dense"]
    capsys.readouterr()
    bench.table("resnet-20", [*rows, row(0.01, 0.4)])
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["resnet-20,", "test", "at", "10×", "20×", "50×"]
    assert lines[-1].split()[0] == "pat"


def test_rows_of_other_settings_go(results: Path, tmp_path: Path):
    longer = small(tmp_path, train={"epochs": 3, "sparse_epochs": 1, "refit_epochs": 1})
    results.mkdir(parents=True)
    old = {"measure": "frontier", "model": "mlp", "asked": 0.1, "settings": {}}
    record.write("compress", {"machines": {}, "rows": [old | {"method": name, "seed": 0} for name in ("spred", "pat")]})
    bench.run("compress", replace(longer, peers=longer.peers), ["spred"], tmp_path / "states")
    rows = bench.known("compress")["rows"]
    assert [each["method"] for each in rows] == ["pat", "dense", "dense", "spred", "spred"]
    assert rows[-1]["settings"]["epochs"] == 3
    assert "mlp" in bench.known("compress")["machines"]
