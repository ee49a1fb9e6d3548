"""The example runs and finds the three genes."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "genes_in_python.py"


def test_genes_in_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    result = runpy.run_path(str(EXAMPLE))
    assert {"GENE0", "GENE1", "GENE2"} <= set(result["study"].genes["gene"])
    assert (tmp_path / "out" / "genes_in_python" / "results" / "report.html").exists()
    assert "balanced accuracy" in capsys.readouterr().out
