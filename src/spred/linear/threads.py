"""How many BLAS threads a solver gets: more is not faster on small data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import Lock
from typing import Any

from threadpoolctl import ThreadpoolController

SMALL, MEDIUM = 2_000_000, 100_000_000
"""Entries of ``X`` up to which one BLAS thread is faster, and one pool of threads: NumPy and SciPy bring one each, and
these disturb each other (``scripts/bench linear``)."""

_LOCK = Lock()
_LIMITED: set[str] = set()
"""The pools of threads that a solver limits at this moment."""


@contextmanager
def blas_threads(entries: int) -> Iterator[None]:
    """Limit BLAS while data of so many ``entries`` are worked on.

    One thread for small data, those of SciPy's BLAS alone (numba's too) for medium ones, all for large.

    The limits are the process's own: of solvers in several threads the first sets them, and puts back what was there.
    No other may: newer versions of threadpoolctl let one thread alone set them.
    """
    pools = [] if entries > MEDIUM else [pool for pool in _pools() if entries <= SMALL or "numpy" in pool.filepath]
    ours = []
    with _LOCK:
        for pool in pools:
            if pool.filepath not in _LIMITED:
                _LIMITED.add(pool.filepath)
                ours.append((pool, pool.get_num_threads()))
                pool.set_num_threads(1)
    try:
        yield
    finally:
        with _LOCK:
            for pool, before in ours:
                pool.set_num_threads(before)
                _LIMITED.discard(pool.filepath)


@cache
def _pools() -> list[Any]:
    """Return the BLAS libraries of this process, as threadpoolctl controls them."""
    return [pool for pool in ThreadpoolController().lib_controllers if pool.user_api == "blas"]
