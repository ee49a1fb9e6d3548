"""Settings that every test shares."""

from __future__ import annotations

import os
import runpy
from pathlib import Path

from hypothesis import settings

import spred

# The same examples everywhere, so that a failure is seen again; no deadline: machines are slow at times.
settings.register_profile("spred", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("spred")

# Before anything loads a kernel: numba would take one compiled from older source for good. The process that starts the
# workers of pytest-xdist does it for them. The file is run by its path, for its package would load the kernels.
if "PYTEST_XDIST_WORKER" not in os.environ:
    package = Path(spred.__file__).parent
    caches = runpy.run_path(str(package / "linear" / "kernels" / "caches.py"))
    caches["clear_stale"](package, caches["cache_dir"]())
