"""Survival in a sample table: times, and what counts as an event; Kaplan–Meier curves and the log-rank test.

The curves and the test are SciPy's; the risk groups are cut at the median risk of the training samples, so that the
group of a held-out sample does not depend on its own time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from spred.errors import InputError
from spred.genes.data.numbers import as_numbers

EVENTS = {
    **dict.fromkeys(("1", "1.0", "true", "yes", "dead", "deceased", "died", "event", "relapse", "1:deceased"), True),
    **dict.fromkeys(("0", "0.0", "false", "no", "alive", "living", "censored", "none", "0:living"), False),
}


@dataclass(frozen=True, eq=False)
class RiskGroup:
    """The survival of the held-out samples of one risk group.

    Attributes:
        name: "low risk" or "high risk".
        time: times at which the curve steps, from 0, ``(m,)``.
        alive: fraction without the event from each of them on, ``(m,)``.
        censored: times of samples that left without the event.
        n_samples: samples in the group.
        n_events: how many of them had the event.
    """

    name: str
    time: np.ndarray
    alive: np.ndarray
    censored: np.ndarray
    n_samples: int
    n_events: int


def make_survival(time: pd.Series, event: pd.Series) -> np.ndarray:
    """Return times and events as a structured array ``(n,)``.

    Raises:
        InputError: a time is no number or negative, an event is written in a way that is not known, or there is none.
    """
    from spred.core.targets import survival_target

    numbers = as_numbers(time)
    bad = numbers.isna() | (numbers < 0)
    if bad.any():
        sample = bad.idxmax()
        raise InputError(f"sample {sample!r}: {time.name!r} is {str(time[sample])!r}; give a time, 0 or more")
    happened = event.map(lambda cell: EVENTS.get(str(cell).strip().lower()))
    if happened.isna().any():
        sample = happened.isna().idxmax()
        raise InputError(
            f"sample {sample!r}: {event.name!r} is {str(event[sample])!r}; write 1 where the event happened, else 0"
        )
    if not happened.any():
        raise InputError(f"column {event.name!r} holds no event, so there is no survival to predict")
    return survival_target(happened.to_numpy(dtype=bool), numbers.to_numpy(dtype=np.float64))


def kaplan_meier(target: np.ndarray, name: str) -> RiskGroup:
    """Return the Kaplan–Meier curve of these samples.

    Source: E. L. Kaplan and P. Meier, Journal of the American Statistical Association 53, 1958; through
    :func:`scipy.stats.ecdf`.
    """
    from scipy.stats import ecdf

    curve = ecdf(censored(target)).sf
    return RiskGroup(
        name=name,
        time=np.r_[0.0, curve.quantiles],
        alive=np.r_[1.0, curve.probabilities],
        censored=np.sort(target["time"][~target["event"]]),
        n_samples=len(target),
        n_events=int(target["event"].sum()),
    )


def logrank(groups: Sequence[np.ndarray]) -> float | None:
    """Return the p-value of the log-rank test between two groups; None if one is empty or there is no event.

    Source: N. Mantel, Cancer Chemotherapy Reports 50, 1966; through :func:`scipy.stats.logrank`.
    """
    from scipy.stats import logrank as test

    if any(len(group) == 0 for group in groups) or not any(group["event"].any() for group in groups):
        return None
    p = float(test(*(censored(group) for group in groups)).pvalue)
    return p if np.isfinite(p) else None


def censored(target: np.ndarray) -> object:
    """Write a survival target as SciPy wants it."""
    from scipy.stats import CensoredData

    return CensoredData(uncensored=target["time"][target["event"]], right=target["time"][~target["event"]])
