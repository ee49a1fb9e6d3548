"""Targets, checked: what each loss takes, and in which form the engine keeps it.

A survival target is a structured array with an event and a time for each sample, as in scikit-survival, and a stratum
if there are any.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from spred.core.cox import risk_sets
from spred.core.losses import Loss
from spred.errors import InputError


def survival_target(event: ArrayLike, time: ArrayLike, stratum: ArrayLike | None = None) -> np.ndarray:
    """Return the target of Cox's loss: a structured array ``(n,)`` with the fields event, time and perhaps stratum.

    Args:
        event: ``(n,)``, True where the event was seen, False where the sample was censored.
        time: ``(n,)``, the time of the event or of censoring, in any unit, not negative.
        stratum: ``(n,)`` labels; samples are compared within their stratum only.

    Raises:
        InputError: lengths that differ, or values that are no events or times.

    >>> y = survival_target([True, False], [3.5, 8.0])
    >>> y["time"].tolist(), y.dtype.names
    ([3.5, 8.0], ('event', 'time'))
    """
    fields = {"event": _events(np.asarray(event)), "time": np.asarray(time, dtype=np.float64)}
    if stratum is not None:
        fields["stratum"] = np.unique(np.asarray(stratum), return_inverse=True)[1].reshape(-1)
    shapes = {field.shape for field in fields.values()}
    if len(shapes) != 1 or fields["time"].ndim != 1:
        raise InputError(f"event, time and stratum have shapes {sorted(shapes)}; give one of each for every sample")
    y = np.empty(len(fields["time"]), dtype=[(name, field.dtype) for name, field in fields.items()])
    for name, field in fields.items():
        y[name] = field
    return y


def read_target(loss: Loss, y: Any, n: int) -> np.ndarray:
    """Check ``y`` and return it by sample: ``(n,)`` numbers, ``(n, K)`` one-hot rows, or a survival target.

    Raises:
        InputError: with the first thing that is wrong.
    """
    if is_survival(loss):
        return _survival(y, n)
    try:
        target = np.asarray(y, dtype=np.float64)
    except (TypeError, ValueError) as err:
        raise InputError(f"y cannot be read as numbers ({err}); the estimators take class names") from err
    if target.ndim == 2 and target.shape[1] == 1:
        target = target[:, 0]
    if target.shape[:1] != (n,) or target.ndim != 1:
        raise InputError(f"y has shape {target.shape}, and X has {n} samples; give one target for each")
    if not np.isfinite(target).all():
        raise InputError(f"y has NaN or infinity at sample {int(np.argmin(np.isfinite(target)))}; drop that sample")
    if loss.multi:
        codes = target.astype(int)
        if (codes != target).any() or codes.min() < 0:
            raise InputError("y must hold class numbers 0, 1, …, K − 1 for the multinomial loss")
        return np.eye(max(codes.max() + 1, 2))[codes]
    if loss.name == "logistic" and not np.isin(target, (0.0, 1.0)).all():
        raise InputError("y must hold 0 and 1 for the logistic loss; the estimators take class names")
    if loss.name == "poisson" and (target < 0).any():
        raise InputError(f"y is {target.min():g} at sample {int(np.argmin(target))}; counts must not be negative")
    return target


def read_offset(offset: object, n: int) -> np.ndarray:
    """Check ``offset``, the known part of each sample's linear predictor, and return it, ``(n,)``; zeros for None.

    Raises:
        InputError: a shape that disagrees, or numbers that are not finite.
    """
    if offset is None:
        return np.zeros(n)
    added = np.asarray(offset, dtype=np.float64)
    if added.shape != (n,):
        raise InputError(f"offset has shape {added.shape}, and X has {n} samples; give one number for each")
    if not np.isfinite(added).all():
        raise InputError(f"offset has NaN or infinity at sample {int(np.argmin(np.isfinite(added)))}; drop that sample")
    return added


def final_target(loss: Loss, target: np.ndarray) -> Any:
    """Return the target as ``loss`` takes it, once samples of weight zero are gone.

    Raises:
        InputError: a class without a sample, counts that are all zero, times that are all censored.
    """
    if is_survival(loss):
        if not target["event"].any():
            raise InputError("every time is censored; Cox's likelihood needs at least one event")
        stratum = target["stratum"] if "stratum" in (target.dtype.names or ()) else None
        return risk_sets(target["time"], target["event"], stratum, efron=loss.name == "cox-efron")
    if loss.name == "poisson" and not target.any():
        raise InputError("every count is zero; there is nothing to explain")
    if loss.multi or loss.name == "logistic":
        table = target if loss.multi else np.column_stack([1.0 - target, target])
        if (absent := np.flatnonzero(table.sum(axis=0) == 0)).size:
            raise InputError(f"class {absent[0]} has no sample (of positive weight); every class needs at least one")
    return target


def is_survival(loss: Loss) -> bool:
    """Whether the target is a survival time."""
    return loss.name in ("cox", "cox-efron")


def _survival(y: Any, n: int) -> np.ndarray:
    array = np.asarray(y)
    names = array.dtype.names
    if names is None or len(names) not in (2, 3):
        raise InputError(
            "y must be a structured array (event, time) or (event, time, stratum) for Cox's loss; "
            "spred.survival_target(event, time) makes one"
        )
    if array.shape != (n,):
        raise InputError(f"y has shape {array.shape}, and X has {n} samples; give one target for each")
    target = survival_target(*(array[name] for name in names))
    bad = ~np.isfinite(target["time"]) | (target["time"] < 0)
    if bad.any():
        at = int(np.argmax(bad))
        raise InputError(f"the time of sample {at} is {target['time'][at]:g}; give a finite time that is not negative")
    return target


def _events(event: np.ndarray) -> np.ndarray:
    if event.dtype != bool and not np.isin(event, (0, 1)).all():
        raise InputError("event must hold True and False; True where the event was seen")
    return event.astype(bool)
