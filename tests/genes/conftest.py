"""Small expression data for the tests of the application: 40 samples, 30 genes, of which three matter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spred.genes import Expression, Settings, Study, read, run_study

N, P = 40, 30


@pytest.fixture(scope="session")
def frame() -> pd.DataFrame:
    """Samples in rows: a name, a class, a patient (two samples each), then the genes on a log2 scale."""
    rng = np.random.default_rng(0)
    y = np.arange(N) % 2
    values = 8 + rng.normal(size=(N, P))
    values[:, :3] += np.array([2.0, -2.0, 1.5]) * y[:, None]
    about = pd.DataFrame(
        {
            "sample": [f"s{i}" for i in range(N)],
            "class": np.where(y == 1, "tumour", "normal"),
            "patient": [f"{i // 2:03d}" for i in range(N)],
        }
    )
    genes = pd.DataFrame(values.round(4), columns=[f"G{j}" for j in range(P)])
    return pd.concat([about, genes], axis=1)


@pytest.fixture(scope="session")
def csv_file(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "small.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def expression(csv_file: Path) -> Expression:
    return read(csv_file, target="class", group="patient")


@pytest.fixture(scope="session")
def study(expression: Expression) -> Study:
    return run_study(expression, Settings(n_alphas=15, folds=4))


@pytest.fixture(scope="session")
def numbers_study(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study that predicts a number: what the first gene says, with noise."""
    path = tmp_path_factory.mktemp("data") / "dose.csv"
    noise = 0.3 * np.random.default_rng(1).normal(size=N)
    data = frame.drop(columns=["class", "patient"])
    data.insert(1, "dose", (3 * frame["G0"] - 20 + noise).round(4))
    data.to_csv(path, index=False)
    return run_study(read(path, target="dose"), Settings(n_alphas=15, folds=4))
