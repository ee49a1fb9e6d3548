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
            table = file.read(use_threads=False)
        table.validate(full=True)  # text that is none would be found only where it is looked at
        frame = table.to_pandas()
    except (MemoryError, PermissionError):
        raise
    except Exception as err:  # damaged bytes end in errors of every kind: pyarrow's, pandas', of text, of JSON
        raise FileError("this is no parquet file, or it is damaged or cut short; write or copy it again") from err
    if not isinstance(frame.index, pd.RangeIndex) or frame.index.name is not None:
        frame = frame.reset_index(names=["" if n is None else str(n) for n in frame.index.names], allow_duplicates=True)
    header = [str(c) for c in frame.columns]
    return from_frame(header, frame.set_axis(range(len(header)), axis=1), request)
