"""Three real gene-expression sets, read as ``spred genes`` reads them, standardised as a whole for timing."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

import spred


def folder() -> Path:
    """Return where the real data lie: ``SPRED_DATA``, or ``shared/data`` beside the checkout."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    return Path(os.environ.get("SPRED_DATA", beside))


def _standardised(name: str, target: str | None) -> tuple[np.ndarray, np.ndarray]:
    table = spred.genes.read(folder() / "genes" / name, target=target)
    X = np.asfortranarray(table.values[:, table.values.std(axis=0) > 0])
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    return np.asfortranarray(X), (table.target == np.unique(table.target)[0]).astype(float)


def golub() -> tuple[np.ndarray, np.ndarray]:
    """72 leukaemias, two classes."""
    return _standardised("golub.csv.gz", "class")


def singh() -> tuple[np.ndarray, np.ndarray]:
    """102 prostate samples, two classes."""
    return _standardised("singh.parquet", "class")


def allaml() -> tuple[np.ndarray, np.ndarray]:
    """72 leukaemias in the preparation of the feature-selection repositories."""
    return _standardised("ALLAML.mat", None)
