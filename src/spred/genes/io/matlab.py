"""MATLAB files (.mat): the largest matrix, and vectors as long as it as annotations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from spred.errors import FileError
from spred.genes.data.expression import Table
from spred.genes.io.tables import Request


def read_mat(path: Path, request: Request) -> Table:
    """Read a MATLAB file: the largest matrix is samples × genes, vectors as long are annotations."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError
    from scipy.sparse import issparse

    try:
        content = loadmat(path)
    except NotImplementedError as err:
        raise FileError("MATLAB 7.3 files are not read; save it again with the option -v7") from err
    except (MatReadError, ValueError, TypeError) as err:
        raise FileError("this is no MATLAB file, or it is damaged") from err
    arrays = {k: v.toarray() if issparse(v) else v for k, v in content.items() if not k.startswith("__")}
    matrices = {k: v for k, v in arrays.items() if v.ndim == 2 and v.dtype.kind in "fiub" and min(v.shape) > 1}
    if not matrices:
        raise FileError("no matrix of samples × genes is in this MATLAB file")
    main = max(matrices, key=lambda k: matrices[k].size)
    n, p = matrices[main].shape
    samples = [str(i + 1) for i in range(n)]
    vectors = {k: v.ravel() for k, v in arrays.items() if v.size == n and max(v.shape) == n and k != main}
    return Table(
        values=matrices[main].astype(np.float64),
        samples=samples,
        genes=[f"gene_{j + 1}" for j in range(p)],
        annotations=pd.DataFrame({k: [cell(x) for x in v] for k, v in vectors.items()}, index=samples),
        notes=[f"Matrix {main!r} holds {n} samples in rows and {p} genes, named by their position from 1."],
    )


def cell(value: object) -> object:
    """Take a string out of MATLAB's cell array."""
    return value.item() if isinstance(value, np.ndarray) and value.size == 1 else value
