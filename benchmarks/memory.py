"""How much memory a fit takes beside ``X``: a million float32 columns, three ways to store them, a process for each.

    scripts/bench memory [--columns 1000000] [--samples 200]

prints the peak resident memory of the process (Python, libraries, ``X`` and the fit) beside the size of ``X`` and the
limit that spred sets itself, 1.3 times that size and 500 MB, and writes ``results/memory.json``. It ends with exit
code 1 if a fit went over.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from record import machine, write

FORMS = ("columns", "rows", "map")
MB = 1e6


def matrix(form: str, n: int, p: int, folder: Path) -> np.ndarray:
    """Return Gaussian float32 columns, made a thousand at a time: by columns, by rows, or a map of a file."""
    rng = np.random.default_rng(0)
    if form == "map":
        X = np.lib.format.open_memmap(folder / "X.npy", mode="w+", dtype=np.float32, shape=(n, p), fortran_order=True)
    else:
        X = np.empty((n, p), dtype=np.float32, order="F" if form == "columns" else "C")
    for start in range(0, p, 1000):
        part = X[:, start : start + 1000]
        part[...] = rng.standard_normal(part.shape, dtype=np.float32)
    if form == "map":
        X.flush()
        del X
        return np.load(folder / "X.npy", mmap_mode="r")
    return X


def fit(form: str, loss: str, n: int, p: int) -> dict:
    """Fit one alpha in this process and return what it took."""
    import spred

    with tempfile.TemporaryDirectory() as folder:
        X = matrix(form, n, p, Path(folder))
        eta = 2.0 * X[:, 0].astype(float) - 2.0 * X[:, 1]
        noise = np.random.default_rng(1).logistic(size=n)
        y = (eta + noise > 0).astype(float) if loss == "logistic" else eta + noise
        began = time.perf_counter()
        top = spred.path(X, y, loss=loss, n_alphas=1, standardize=True).alphas[0]
        solution = spred.solve(X, y, loss=loss, alpha=0.5 * top, standardize=True)
        seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    size = 4 * n * p
    return {
        "stored": form,
        "loss": loss,
        "shape": [n, p],
        "X_mb": size / MB,
        "peak_mb": peak / MB,
        "limit_mb": 1.3 * size / MB + 500.0,
        "seconds": seconds,
        "features": len(solution.support),
        "gap": solution.gap,
    }


def main(arguments: list[str]) -> None:
    """Parse the command line, run each fit in a process of its own, write JSON."""
    parser = argparse.ArgumentParser("scripts/bench memory", description=__doc__.split("\n")[0])
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--columns", type=int, default=1_000_000)
    parser.add_argument("--one", nargs=2, metavar=("FORM", "LOSS"), help="fit here and print JSON")
    given = parser.parse_args(arguments)
    if given.one:
        print(json.dumps(fit(*given.one, given.samples, given.columns)))
        return
    rows = []
    print(f"{'X stored':9} {'loss':9} {'X':>8} {'peak':>8} {'limit':>8}  seconds  features      gap")
    for form, loss in [(form, loss) for form in FORMS for loss in ("squared", "logistic")]:
        command = [sys.executable, __file__, "--one", form, loss]
        command += ["--samples", str(given.samples), "--columns", str(given.columns)]
        row = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        rows.append(row)
        print(
            f"{form:9} {loss:9} {row['X_mb']:5.0f} MB {row['peak_mb']:5.0f} MB {row['limit_mb']:5.0f} MB "
            f"{row['seconds']:8.1f} {row['features']:9d} {row['gap']:8.0e}",
            flush=True,
        )
    write("memory", {"machine": machine(), "rows": rows})
    sys.exit(any(row["peak_mb"] > row["limit_mb"] for row in rows))


if __name__ == "__main__":
    main(sys.argv[1:])
