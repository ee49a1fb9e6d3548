"""What the tests of readers compare and expect."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spred.errors import InputError
from spred.genes import Expression, read


def assert_same(one: Expression, other: Expression) -> None:
    """Two readings hold the same samples, genes, numbers and target."""
    np.testing.assert_allclose(one.values, other.values)
    assert list(one.samples) == list(other.samples)
    assert list(one.genes) == list(other.genes)
    assert list(one.target) == list(other.target)


def genes_by_samples(frame: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The same data the other way round, and its labels file."""
    genes = frame.set_index("sample").drop(columns=["class", "patient"]).T.rename_axis("gene").reset_index()
    return genes, frame[["sample", "class", "patient"]]


def assert_fails(path: Path, sentence: str, **options: object) -> None:
    """Reading fails with this sentence, behind the name of the file."""
    with pytest.raises(InputError, match=sentence) as caught:
        read(path, **options)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)
