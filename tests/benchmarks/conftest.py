"""The benchmarks are scripts in a folder of their own; their modules import each other from there."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2] / "benchmarks"), str(Path(__file__).parent)]
