"""Start a suite by its name: ``scripts/bench NAME [options]``; ``scripts/bench NAME --help`` tells its options."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

SUITES = {
    "linear": "linear:main",
    "nested": "nested:main",
    "cold-start": "cold_start:main",
    "memory": "memory:main",
    "selection": "selection.suite:main",
    "selection-paths": "selection.paths:main",
    "selection-batching": "selection.batching:main",
    "compress": "compress:main",
    "deployment": "deployment:main",
    "structured": "structured:main",
    "torch": "training:frontier",
    "torch-steps": "training:step_times",
    "torch-exactness": "training:exactness",
    "torch-memory": "training:copies",
}
"""``module:function(arguments)``, imported when asked for, so that linear models wait for no torch."""


def main() -> None:
    """Hand the rest of the command line to the suite that the first word names."""
    name, *arguments = sys.argv[1:] or [""]
    if name not in SUITES:
        sys.exit(f"{__doc__.strip()}\nNAME is one of: {', '.join(SUITES)}.")
    module, function = SUITES[name].split(":")
    getattr(import_module(module), function)(arguments)


if __name__ == "__main__":
    main()
