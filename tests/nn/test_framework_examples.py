"""The examples for other people's training loops run, where their packages are installed (extra ``examples``)."""

import runpy
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
NEEDS = {
    "lightning_digits": ("lightning",),
    "accelerate_digits": ("accelerate",),
    "trainer_digits": ("transformers", "accelerate"),
}


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", NEEDS)
def test_the_loop_of_a_framework_ends_with_a_sparse_network(name, monkeypatch, capsys):
    for package in NEEDS[name]:
        pytest.importorskip(package)
    monkeypatch.syspath_prepend(EXAMPLES)  # the examples share their data with torch_digits.py
    figures = runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"]()
    assert figures["accuracy"] > 0.94
    assert figures["density"] < 0.1
    assert "density of the penalised weights" in capsys.readouterr().out
