"""The target of a problem and the known part of its predictor, made ready together.

What a loss takes as its target is declared in its row (:mod:`spred.core.targets`); an offset goes into the target
where the loss sees residuals alone, and else into the loss.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spred import _checks
from spred.core.losses import Loss, with_offset
from spred.errors import InputError


def read_offset(offset: object, n: int) -> np.ndarray:
    """Check ``offset``, the known part of each sample's linear predictor, and return it, ``(n,)``; zeros for None.

    Raises:
        InputError: a shape that disagrees, or numbers that are not finite.
    """
    if offset is None:
        return np.zeros(n)
    added = _checks.real(offset, "offset")
    if added.shape != (n,):
        raise InputError(f"offset has shape {added.shape}, and X has {n} samples; give one number for each")
    if not np.isfinite(added).all():
        raise InputError(f"offset has NaN or infinity at sample {int(np.argmin(np.isfinite(added)))}; drop that sample")
    return added


LARGEST, SMALLEST = 1e150, 1e-140
"""Range of a target whose residuals are squared, from its largest size down to its spread."""


def check_range(target: np.ndarray) -> None:
    """Raise an InputError where squares of the residuals of ``target`` have no place in float64."""
    size, spread = np.abs(target).max(), np.ptp(target)
    if not size <= LARGEST or 0 < spread < SMALLEST:
        raise InputError(
            f"y is of size {size:g} with a spread of {spread:g}, whose squares are beyond the range of float64; "
            "divide it by its scale"
        )


def take_in_offset(loss: Loss, target: Any, offset: np.ndarray) -> tuple[Loss, Any]:
    """Return loss and encoded target with ``offset`` in one of them; both as they are where it is zero."""
    within = loss.of_residual and loss.takes_offset
    if within:
        target = target - offset
        check_range(target)
    return (loss, target) if within or not offset.any() else (with_offset(loss, offset), target)
