"""examples/torch_digits.py runs, and shows what it says: far fewer weights at nearly the same accuracy."""

import runpy
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "torch_digits.py"


def test_the_example_shows_a_sparse_network_beside_a_dense_one(capsys):
    figures = runpy.run_path(str(EXAMPLE))["main"]()
    assert figures["dense_accuracy"] > 0.95
    assert figures["sparse_accuracy"] > figures["dense_accuracy"] - 0.02
    assert figures["density"] < 0.15
    assert "density of the penalised weights" in capsys.readouterr().out
