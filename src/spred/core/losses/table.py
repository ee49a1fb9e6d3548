"""The table of losses, one row each, and how a row is found."""

from __future__ import annotations

from spred.core.losses.cox import COX, COX_EFRON
from spred.core.losses.huber import EFFICIENT, huber
from spred.core.losses.logistic import LOGISTIC
from spred.core.losses.loss import Loss
from spred.core.losses.multinomial import MULTINOMIAL
from spred.core.losses.poisson import POISSON
from spred.core.losses.squared import SQUARED
from spred.errors import InputError, did_you_mean

LOSSES: dict[str, Loss] = {
    loss.name: loss for loss in (SQUARED, huber(EFFICIENT), LOGISTIC, POISSON, MULTINOMIAL, COX, COX_EFRON)
}
"""Every loss by name. A new one is a file beside this one, a row here and a row in ``tests/problems.py``."""


def get_loss(loss: str | Loss) -> Loss:
    """Return the row of :data:`LOSSES` called ``loss``, or raise with the nearest name; a :class:`Loss` is itself."""
    if isinstance(loss, Loss):
        return loss
    try:
        return LOSSES[loss]
    except KeyError:
        raise InputError(
            f"no loss is called {loss!r}{did_you_mean(loss, LOSSES)}; use one of {sorted(LOSSES)}"
        ) from None


def compiled_form(loss: Loss) -> str | None:
    """Return the name by which compiled loops know ``loss``, with or without an offset; None where they do not.

    They know a row of the table, and no copy of it with another function.
    """
    row = loss.origin or loss
    return row.compiled if row == LOSSES.get(row.name) else None
