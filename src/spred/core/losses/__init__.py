"""Data terms of linear predictors, one file and one row of :data:`LOSSES` each.

table        every loss by name
loss         the record: functions and what a loss declares; offsets
squared      ``½ (y − η)²``, for one output or several
huber        the same up to ``δ``, then ``δ|y − η| − δ²/2``
logistic     ``log(1 + e^η) − y η``, y 0 or 1
multinomial  ``log Σ_k e^{η_k} − Σ_k y_k η_k``, y a one-hot row
poisson      ``e^η − y η + (y log y − y)``, y a count or a rate
cox          negative log partial likelihood of survival times, ties as Breslow or as Efron
functions    what several losses share: exponential, p log p
"""

from spred.core.losses.huber import EFFICIENT, huber
from spred.core.losses.loss import Loss, with_offset
from spred.core.losses.table import LOSSES, compiled_form, get_loss

__all__ = ["EFFICIENT", "LOSSES", "Loss", "compiled_form", "get_loss", "huber", "with_offset"]
