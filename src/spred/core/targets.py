"""Targets: what a loss takes, checked once, and the form in which it takes it.

Reading comes before samples of weight zero are dropped, and gives something whose rows can be taken; encoding comes
after.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from spred import _checks
from spred.core.risk_sets import risk_sets
from spred.errors import InputError


@dataclass(frozen=True)
class Target:
    """What a loss takes as its target.

    Attributes:
        read: from ``y`` and the number of samples to the target by sample: numbers ``(n,)``, one-hot rows ``(n, K)``,
            or a structured array of times.
        encode: from that to the form of the loss, once samples of weight zero are gone.
        positive: whether it must not be negative.
        survival: whether it is a time until an event.
    """

    read: Callable[[Any, int], np.ndarray]
    encode: Callable[[np.ndarray], Any]
    positive: bool = False
    survival: bool = False


def survival_target(event: ArrayLike, time: ArrayLike, stratum: ArrayLike | None = None) -> np.ndarray:
    """Return the target of Cox's loss: a structured array ``(n,)`` with the fields event, time and perhaps stratum.

    scikit-survival's arrays have the same form.

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
    fields = {"event": _events(np.asarray(event)), "time": _checks.real(time, "time")}
    if stratum is not None:
        fields["stratum"] = np.unique(np.asarray(stratum), return_inverse=True)[1].reshape(-1)
    shapes = {field.shape for field in fields.values()}
    if len(shapes) != 1 or fields["time"].ndim != 1:
        raise InputError(f"event, time and stratum have shapes {sorted(shapes)}; give one of each for every sample")
    y = np.empty(len(fields["time"]), dtype=[(name, field.dtype) for name, field in fields.items()])
    for name, field in fields.items():
        y[name] = field
    return y


def read_numbers(y: Any, n: int) -> np.ndarray:
    """Return ``y`` as ``(n,)`` finite numbers."""
    try:
        target = _checks.real(y, "y")
    except InputError as err:
        if err.__cause__ is None:
            raise
        raise InputError(f"{err}; the estimators take class names") from err
    if target.ndim == 2 and target.shape[1] == 1:
        target = target[:, 0]
    if target.shape[:1] != (n,) or target.ndim != 1:
        raise InputError(f"y has shape {target.shape}, and X has {n} samples; give one target for each")
    if not np.isfinite(target).all():
        raise InputError(f"y has NaN or infinity at sample {int(np.argmin(np.isfinite(target)))}; drop that sample")
    return target


def read_binary(y: Any, n: int) -> np.ndarray:
    """Return ``y`` as ``(n,)`` zeros and ones."""
    target = read_numbers(y, n)
    if not np.isin(target, (0.0, 1.0)).all():
        raise InputError("y must hold 0 and 1 for the logistic loss; the estimators take class names")
    return target


def read_counts(y: Any, n: int) -> np.ndarray:
    """Return ``y`` as ``(n,)`` numbers of which none is negative."""
    target = read_numbers(y, n)
    if (target < 0).any():
        raise InputError(f"y is {target.min():g} at sample {int(np.argmin(target))}; counts must not be negative")
    return target


def read_classes(y: Any, n: int) -> np.ndarray:
    """Return class numbers 0, 1, …, K − 1 as one-hot rows ``(n, K)``."""
    target = read_numbers(y, n)
    codes = target.astype(int)
    if (codes != target).any() or codes.min() < 0:
        raise InputError("y must hold class numbers 0, 1, …, K − 1 for the multinomial loss")
    rows: np.ndarray = np.eye(max(codes.max() + 1, 2))[codes]
    return rows


def read_survival(y: Any, n: int) -> np.ndarray:
    """Return a structured array of two or three fields, whatever their names, as :func:`survival_target` makes it."""
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


def as_it_is(target: np.ndarray) -> np.ndarray:
    """Return ``target``: numbers need no other form."""
    return target


def encode_counts(target: np.ndarray) -> np.ndarray:
    """Return ``target``, or raise where there is nothing to explain."""
    if not target.any():
        raise InputError("every count is zero; there is nothing to explain")
    return target


def encode_classes(target: np.ndarray) -> np.ndarray:
    """Return ``target``, zeros and ones or one-hot rows, or raise where a class has no sample."""
    table = target if target.ndim == 2 else np.column_stack([1.0 - target, target])
    if (absent := np.flatnonzero(table.sum(axis=0) == 0)).size:
        raise InputError(f"class {absent[0]} has no sample (of positive weight); every class needs at least one")
    return target


def encode_survival(target: np.ndarray, *, efron: bool) -> Any:
    """Return the risk sets of a survival target, for ties as Breslow or as Efron."""
    if not target["event"].any():
        raise InputError("every time is censored; Cox's likelihood needs at least one event")
    stratum = target["stratum"] if "stratum" in (target.dtype.names or ()) else None
    return risk_sets(target["time"], target["event"], stratum, efron=efron)


NUMBERS = Target(read_numbers, as_it_is)
BINARY = Target(read_binary, encode_classes, positive=True)
COUNTS = Target(read_counts, encode_counts, positive=True)
CLASSES = Target(read_classes, encode_classes, positive=True)
SURVIVAL = Target(read_survival, partial(encode_survival, efron=False), survival=True)
SURVIVAL_EFRON = Target(read_survival, partial(encode_survival, efron=True), survival=True)
