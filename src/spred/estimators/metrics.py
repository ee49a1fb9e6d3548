"""Scores of predictions that scikit-learn does not have."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from spred import _checks
from spred.core.targets import survival_target
from spred.errors import InputError


def concordance(
    event: ArrayLike,
    time: ArrayLike,
    risk: ArrayLike,
    stratum: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Return the fraction of comparable pairs in which the earlier event has the higher risk; equal risks count ½.

    A pair is comparable if the shorter time ended with an event (at equal times: if one event and one censored), and
    both are of one stratum. 0.5 is chance. Source: F. E. Harrell et al., JAMA 247, 1982.

    Args:
        event: ``(n,)``, True where the event was seen, False where the sample was censored.
        time: ``(n,)``, not negative.
        risk: ``(n,)``, higher where the event is expected earlier.
        stratum: ``(n,)`` labels.
        sample_weight: ``(n,)``; a pair counts as the product of its weights, so that a weight of 2 is the sample twice.

    Raises:
        InputError: lengths that differ, values that are no events, times or numbers, or no pair that is comparable.

    >>> concordance([True, True, False], [1.0, 2.0, 3.0], [0.9, 0.1, 0.5])
    0.6666666666666666
    """
    target = survival_target(event, time, stratum)
    event, time, risk = target["event"], target["time"], np.asarray(risk, dtype=np.float64)
    if risk.shape != time.shape or not np.isfinite(risk).all():
        raise InputError(f"risk has shape {risk.shape} for {len(time)} times; give one finite number for each")
    label = np.zeros(len(time), dtype=int) if stratum is None else target["stratum"]
    weight = _checks.sample_weights(sample_weight, len(time))
    good = pairs = 0.0
    for i in np.flatnonzero(event):
        later = (label == label[i]) & ((time > time[i]) | ((time == time[i]) & ~event))
        below = (risk[later] < risk[i]) + 0.5 * (risk[later] == risk[i])
        pairs += weight[i] * weight[later].sum()
        good += weight[i] * (weight[later] @ below)
    if not pairs:
        raise InputError("no two samples can be compared: every time is censored, or the events come last")
    return float(good / pairs)
