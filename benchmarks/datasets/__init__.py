"""The data sets by name, and the works each is for. A new one is a function and a row.

Real ones are read from ``SPRED_DATA`` (or ``../shared/data``); those missing are skipped. Generated ones have fixed
seeds.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from datasets.data import Data
from datasets.expression import allaml, golub, singh, tox171
from datasets.simulated import ar_tall, ar_wide, grouped, survival, types
from datasets.text import text

__all__ = ["DATASETS", "Data", "Row"]


class Row(NamedTuple):
    """A data set: how to make it, its works (of :data:`works.WORKS`), the last alpha over the first, the seed."""

    make: Callable[..., Data]
    works: tuple[str, ...]
    eps: float = 1e-2
    seed: int | None = None

    def load(self) -> Data:
        """Read the set, or generate it from its seed."""
        return self.make() if self.seed is None else self.make(seed=self.seed)


BINARY = ("lasso", "logistic")

DATASETS: dict[str, Row] = {
    "golub": Row(golub, BINARY),
    "singh": Row(singh, BINARY),
    "allaml": Row(allaml, BINARY),
    "ar-wide": Row(ar_wide, BINARY, seed=0),
    "ar-tall": Row(ar_tall, BINARY, seed=1),
    "text": Row(text, BINARY, eps=0.05, seed=4),
    "tox171": Row(tox171, ("multinomial",)),
    "types-10": Row(partial(types, n=1000, p=500, k=10), ("multinomial",), eps=0.08, seed=5),
    "types-20": Row(partial(types, n=2000, p=1000, k=20), ("multinomial",), eps=0.08, seed=6),
    "survival": Row(survival, ("cox",), eps=0.05, seed=2),
    "groups": Row(grouped, ("group-lasso",), eps=0.1, seed=3),
}
