"""What every result keeps beside its numbers: machine, threads, versions; and where it is written."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"
PACKAGES = ("torch-spred", "numpy", "scipy", "numba", "scikit-learn", "torch", "onnxruntime")
PACKAGES += ("torchao", "torch-pruning")


def machine(**versions: str) -> dict:
    """Return what a reader needs to place the seconds; ``versions`` are those of the peers."""
    found = {dist.name for dist in importlib.metadata.distributions()}
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS", "as each library chooses"),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES if name in found} | versions,
    }


def write(name: str, content: dict) -> Path:
    """Write ``results/NAME.json`` and return its path."""
    RESULTS.mkdir(exist_ok=True)
    out = RESULTS / f"{name}.json"
    out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(f"written to {out.relative_to(RESULTS.parents[1])}")
    return out


def read(name: str) -> dict:
    """Return what ``results/NAME.json`` holds."""
    return json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*:\s*(.+)", facts.read_text()) if facts.exists() else None
    return named[1] if named else platform.processor() or platform.machine()
