"""What users bring, checked as scikit-learn checks it; times and complex numbers are refused by their column."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from spred._checks import TIMES, dated_column
from spred.errors import InputError
from spred.estimators.cross_validation import is_missing

UNUSED = "no_validation"
"""What ``validate_data`` takes for a target that is not to be looked at; None is one that is lacking."""

FLOATS = [np.float64, np.float32]

COMPLEX = "Complex data not supported: X or y has complex numbers; give real ones"
"""The first words are those that scikit-learn's tests ask for."""

NO_NUMBER = ("could not convert", "float() argument", "must be real number", "Cannot cast")
"""How Python and NumPy begin what they say of a cell that is no number."""


class CellError(InputError, TypeError):
    """A cell of a table is no number and no text: scikit-learn's tests ask for a TypeError."""


def check_table(estimator: Any, X: Any, *, y: Any = UNUSED, reset: bool, **options: Any) -> Any:
    """Return ``X`` as numbers, and ``y`` beside it where it is given, after scikit-learn's own checks.

    Values that are not finite are let through: the engine names their column. ``options`` are those of
    ``sklearn.utils.validation.validate_data``.

    Raises:
        InputError: in one sentence, whatever scikit-learn refuses; and times and complex numbers.
    """
    refuse_times(X)
    try:
        return validate_data(estimator, X, y, reset=reset, dtype=FLOATS, ensure_all_finite=False, **options)
    except (TypeError, ValueError) as err:
        kind = CellError if isinstance(err, TypeError) else InputError
        raise kind(_sentence(str(err)) if reset else str(err)) from err  # where names differ, each has a line


def _sentence(said: str) -> str:
    """Return what scikit-learn or NumPy said of an input in one line, without the data."""
    if said.startswith(COMPLEX[:26]):
        return COMPLEX
    said = " ".join(said.split())
    return f"X cannot be read as numbers ({said}); encode text columns first" if said.startswith(NO_NUMBER) else said


def refuse_times(X: Any) -> None:
    """Raise an InputError that names the first column of times, dates or time spans: they are no numbers."""
    if getattr(getattr(X, "dtype", None), "kind", None) in TIMES:
        raise InputError("X holds times, which are no numbers; give differences from a date, in days say")
    if (dated := dated_column(X)) is not None:
        name, dtype = dated
        raise InputError(f"column {name!r} holds times ({dtype}), which are no numbers; drop it or give differences")


def refuse_missing(y: Any) -> None:
    """Raise an InputError if labels, which may be of any type, have one that is missing."""
    labels = np.asarray(y)
    if labels.dtype == object and labels.ndim and any(is_missing(label) for label in labels.ravel()):
        raise InputError("y has samples without a class (None or NaN); leave them out")


def numbers_of(y: Any) -> Any:
    """Return a target of numbers in float64; one that is lacking (None) as it is."""
    if y is None:
        return None
    values = np.asarray(y)
    if values.dtype.kind in TIMES:
        raise InputError("y holds times, which are no numbers; give differences from a date, in days say")
    if values.dtype.kind == "c":
        raise InputError(COMPLEX)
    try:
        return values.astype(np.float64)
    except (TypeError, ValueError) as err:
        kind = CellError if isinstance(err, TypeError) else InputError
        raise kind(f"y cannot be read as numbers ({err}); a classifier takes classes") from err
