"""A choice out of range is one sentence, before any work."""

from __future__ import annotations

from dataclasses import asdict

import pytest

from spred.errors import InputError
from spred.genes import Settings


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"folds": 1}, "folds is 1; at least 2"),
        ({"repeats": 0}, "repeats is 0"),
        ({"normalize": "loess"}, "normalize is 'loess'"),
        ({"min_variance": 1.0}, "min_variance is 1"),
        ({"l1_ratio": 0.0}, "l1_ratio is 0.0; give a number above 0"),
    ],
)
def test_choices_out_of_range(options: dict, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Settings(**options)


def test_settings_are_plain_values_and_stand_for_themselves() -> None:
    settings = Settings(rule=3, l1_ratio=0.5)
    assert Settings(**asdict(settings)) == settings
    assert all(isinstance(value, str | int | float | None) for value in asdict(settings).values())
