"""Real gene-expression sets, standardised as a whole for timing."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.io import loadmat

from datasets.data import Data, standardised


def golub() -> Data:
    """72 leukaemias, two classes."""
    return _from_table(pd.read_csv(_path("golub.csv.gz"), index_col="sample"))


def singh() -> Data:
    """102 prostate samples, two classes."""
    return _from_table(pd.read_parquet(_path("singh.parquet")))


def allaml() -> Data:
    """72 leukaemias in the preparation of the feature-selection repositories."""
    return _from_matlab("ALLAML.mat")


def tox171() -> Data:
    """171 samples of four classes."""
    return _from_matlab("TOX-171.mat")


def _path(name: str) -> Path:
    """Return where a file lies: under ``SPRED_DATA``, or ``shared/data`` beside the checkout."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    return Path(os.environ.get("SPRED_DATA", beside)) / "genes" / name


def _from_table(table: pd.DataFrame) -> Data:
    return _coded(table.drop(columns="class").to_numpy(np.float64), table["class"].to_numpy())


def _from_matlab(name: str) -> Data:
    found = loadmat(_path(name))
    return _coded(found["X"].astype(np.float64), found["Y"][:, 0])


def _coded(X: np.ndarray, classes: np.ndarray) -> Data:
    """Number the classes 0 … K − 1; of two, the first in sorted order is 1."""
    names, codes = np.unique(classes, return_inverse=True)
    return Data(standardised(X), (codes == 0 if len(names) == 2 else codes).astype(float))
