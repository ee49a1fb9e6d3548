"""Small expression data for the tests of the commands: 30 samples, 12 genes, of which one matters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    y = np.arange(30) % 2
    values = 8 + rng.normal(size=(30, 12))
    values[:, 0] += 3 * y
    frame = pd.DataFrame(values, columns=[f"[red]G{j}" for j in range(12)])
    frame.insert(0, "sample", [f"s{i}" for i in range(30)])
    frame.insert(1, "disease state", np.where(y, "tumour", "normal"))
    path = tmp_path_factory.mktemp("data") / "small.csv"
    frame.to_csv(path, index=False)
    return path
