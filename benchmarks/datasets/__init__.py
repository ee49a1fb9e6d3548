"""The data sets by name. Real ones are read from ``SPRED_DATA`` (or ``../shared/data``); those missing are skipped."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from datasets.expression import allaml, golub, singh
from datasets.simulated import ar_tall, ar_wide

Data = tuple[np.ndarray, np.ndarray]

DATASETS: dict[str, Callable[[], Data]] = {
    "golub": golub,
    "singh": singh,
    "allaml": allaml,
    "ar-wide": ar_wide,
    "ar-tall": ar_tall,
}
"""Each returns ``X`` with standardised columns and the class ``y`` as 0 and 1."""
