"""How long and with how much memory spred reads expression files: ``python benchmarks/reading.py [FILE ...]``.

Without files it makes a table of 54,675 probes × 200 samples, as a GEO series matrix (.gz) and as CSV with genes in
rows. Each file is read in a fresh process; the peak (Linux only) is what that process held beyond what the imports
take, over the size of the values in memory.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

PROBES, SAMPLES = 54_675, 200

CHILD = """
import json, pathlib, re, sys, time
import pyarrow.parquet
from spred.genes.io.readers import read_with_sheet
from spred.genes.io.tables import Request
status = pathlib.Path("/proc/self/status")  # ru_maxrss would count the parent too
megabytes = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]) / 1024
before, start = megabytes(), time.perf_counter()
table = read_with_sheet(sys.argv[1], Request(), None)
seconds = time.perf_counter() - start
size = table.values.nbytes / 2**20
print(json.dumps({"shape": table.values.shape, "seconds": seconds, "MB": size, "peak": (megabytes() - before) / size}))
"""


def make(folder: Path) -> list[Path]:
    """Write the generated table in two formats."""
    values = np.random.default_rng(0).normal(8, 2, size=(PROBES, SAMPLES)).round(4)
    names = [f"GSM{i}" for i in range(SAMPLES)]
    rows = [f"{i}_at\t" + "\t".join(map(str, row)) for i, row in enumerate(values.tolist())]
    series, table = folder / "made_series_matrix.txt.gz", folder / "made.csv"
    head = ['!Series_title\t"made"', "!Sample_geo_accession\t" + "\t".join(names), "!series_matrix_table_begin"]
    text = "\n".join([*head, "ID_REF\t" + "\t".join(names), *rows, "!series_matrix_table_end", ""])
    series.write_bytes(gzip.compress(text.encode(), compresslevel=1))
    table.write_text("\n".join(["probe," + ",".join(names), *(row.replace("\t", ",") for row in rows), ""]))
    return [series, table]


def measure(path: Path) -> dict[str, object]:
    """Read a file in a process of its own."""
    done = subprocess.run([sys.executable, "-c", CHILD, str(path)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main() -> None:
    """Measure the files given, or those made here."""
    with tempfile.TemporaryDirectory() as folder:
        for path in [Path(name) for name in sys.argv[1:]] or make(Path(folder)):
            found = measure(path)
            genes = "×".join(map(str, reversed(found["shape"])))
            print(
                f"{path.name}: {genes}, {found['seconds']:.2f} s, {found['MB']:.0f} MB, peak {found['peak']:.1f} × that"
            )


if __name__ == "__main__":
    main()
