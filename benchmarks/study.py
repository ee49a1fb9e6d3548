"""How long a whole study takes, and with how much memory: ``python benchmarks/study.py [golub | wide]``.

``golub`` is the real set (72 × 7,129), ``wide`` a generated one of 200 × 54,675 whose first twenty genes tell two
classes apart. The study is nested 5 × 5 with 50 permutations, 100 pairs of halves with decoys, and the report; the
baselines are timed apart. The goals on two cores: golub 45 s; wide 5 minutes and 6 GB, of all processes together
(Linux only; memory that they share counts in each).
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import Process
from pathlib import Path

import numpy as np
import pandas as pd

from spred.genes import Expression, Study, add_baselines, add_permutations, add_stability, read, run_study, write_study

FOLDER = Path(os.environ.get("SPRED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
SAMPLES, GENES, TRUE = 200, 54_675, 20


def make_wide(path: Path) -> None:
    """Write the generated table; writing parquet of many columns takes much memory, so it has its own process."""
    rng = np.random.default_rng(0)
    values = rng.normal(8, 2, size=(SAMPLES, GENES)).round(3)
    label = np.arange(SAMPLES) % 2
    values[:, :TRUE] += label[:, None]
    frame = pd.DataFrame(values, columns=[f"{j}_at" for j in range(GENES)])
    frame.insert(0, "class", np.where(label, "case", "control"))
    frame.insert(0, "sample", [f"s{i}" for i in range(SAMPLES)])
    frame.to_parquet(path, index=False)


def data(name: str, folder: Path) -> Expression:
    """Return a set by way of a file, as a user's comes."""
    if name == "golub":
        return read(FOLDER / "genes" / "golub.csv.gz", target="class")
    writer = Process(target=make_wide, args=(folder / "wide.parquet",))
    writer.start()
    writer.join()
    return read(folder / "wide.parquet", target="class")


def peaks() -> tuple[float, float]:
    """Return the peak memory of this process, and the sum of its workers' peaks, in GB."""
    own, found = os.getpid(), {}
    for status in Path("/proc").glob("[0-9]*/status"):
        text = status.read_text() if status.exists() else ""
        facts = dict(re.findall(r"^(\w+):\s+(\d+)", text, re.MULTILINE))
        if "VmHWM" in facts and own in (int(facts["Pid"]), int(facts["PPid"])):
            found[int(facts["Pid"])] = int(facts["VmHWM"]) / 2**20
    return found.pop(own, float("nan")), sum(found.values())


def main() -> None:
    """Run the study and print the seconds of each part."""
    name = sys.argv[1] if len(sys.argv) > 1 else "golub"
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        start = time.perf_counter()
        expression = data(name, folder)
        print(f"{'reading':20} {time.perf_counter() - start:7.1f} s, not counted below")
        steps: dict[str, Callable[[Study], Study]] = {
            "50 permutations": lambda study: add_permutations(study, 50, n_jobs=-1),
            "100 pairs of halves": lambda study: add_stability(study, n_pairs=100, n_jobs=-1),
            "report": lambda study: (write_study(study, folder / "out"), study)[1],
        }
        start = time.perf_counter()
        study = run_study(expression, n_jobs=-1)
        parts = {"folds and list": time.perf_counter() - start}
        for part, step in steps.items():
            before = time.perf_counter()
            study = step(study)
            parts[part] = time.perf_counter() - before
        whole = time.perf_counter() - start
        memory = peaks()
        before = time.perf_counter()
        add_baselines(study, n_jobs=-1)
        parts["baselines, apart"] = time.perf_counter() - before
    for part, seconds in parts.items():
        print(f"{part:20} {seconds:7.1f} s")
    print(f"{'the study':20} {whole:7.1f} s, {name}: {len(study.genes)} genes, {len(study.stability.genes)} stable")
    print(f"peak memory {memory[0]:.2f} GB, and {memory[1]:.2f} GB in the workers together")


if __name__ == "__main__":
    main()
