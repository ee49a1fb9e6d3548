"""The example runs: the network finds the product that the linear model misses."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "network_products.py"


def test_network_products(capsys: pytest.CaptureFixture[str]) -> None:
    result = runpy.run_path(str(EXAMPLE))
    assert result["network"].get_support(indices=True).tolist() == [0, 3, 8]
    assert not {3, 8} & set(result["linear"].get_support(indices=True))
    assert "KKT residual" in capsys.readouterr().out
