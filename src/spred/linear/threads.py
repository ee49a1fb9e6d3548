"""How many BLAS threads a solver gets: more is not faster on small data."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache

from threadpoolctl import ThreadpoolController

SMALL, MEDIUM = 2_000_000, 100_000_000
"""Entries of ``X`` up to which one BLAS thread is faster, and one pool of threads: NumPy and SciPy bring one each, and
these disturb each other (``scripts/bench linear``)."""


def blas_threads(entries: int) -> AbstractContextManager[object]:
    """Limit BLAS while data of so many ``entries`` are worked on.

    One thread for small data, those of SciPy's BLAS alone (numba's too) for medium ones, all for large.
    """
    if entries > MEDIUM:
        return nullcontext()
    pools = _pools()
    if entries > SMALL:
        pools = pools.select(filepath=[pool.filepath for pool in pools.lib_controllers if "numpy" in pool.filepath])
    limited: AbstractContextManager[object] = pools.limit(limits=1, user_api="blas")
    return limited


@cache
def _pools() -> ThreadpoolController:
    return ThreadpoolController()
