"""Scores of predictions that scikit-learn does not have."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from spred.errors import InputError


def concordance(event: ArrayLike, time: ArrayLike, risk: ArrayLike, stratum: ArrayLike | None = None) -> float:
    """Return the fraction of comparable pairs in which the earlier event has the higher risk; equal risks count ½.

    A pair is comparable if the shorter time ended with an event (at equal times: if one event and one censored), and
    both are of one stratum. 0.5 is chance. Source: F. E. Harrell et al., JAMA 247, 1982.

    Raises:
        InputError: no pair is comparable.

    >>> concordance([True, True, False], [1.0, 2.0, 3.0], [0.9, 0.1, 0.5])
    0.6666666666666666
    """
    event, time, risk = np.asarray(event, dtype=bool), np.asarray(time, dtype=float), np.asarray(risk, dtype=float)
    label = np.zeros(len(time), dtype=int) if stratum is None else np.asarray(stratum)
    good = pairs = 0.0
    for i in np.flatnonzero(event):
        later = (label == label[i]) & ((time > time[i]) | ((time == time[i]) & ~event))
        pairs += later.sum()
        good += (risk[later] < risk[i]).sum() + 0.5 * (risk[later] == risk[i]).sum()
    if not pairs:
        raise InputError("no two samples can be compared: every time is censored, or the events come last")
    return float(good / pairs)
