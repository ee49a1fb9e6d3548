"""Parquet tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from spred.errors import FileError
from spred.genes.data.expression import Table
from spred.genes.io.tables import Request, from_frame


def read_parquet(path: Path, request: Request) -> Table:
    """Read a parquet table; a named or textual index counts as the first column."""
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path, pre_buffer=False) as file:  # buffers of many columns outweigh them
            frame = file.read(use_threads=False).to_pandas()
    except pyarrow.ArrowInvalid as err:
        raise FileError("this is no parquet file, or it is cut short; write or copy it again") from err
    if frame.index.name is not None or not isinstance(frame.index, pd.RangeIndex):
        frame = frame.reset_index(names=str(frame.index.name or ""))
    header = [str(c) for c in frame.columns]
    return from_frame(header, frame.set_axis(range(len(header)), axis=1), request)
