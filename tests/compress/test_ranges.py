"""Each check lets through what a run can use, and names what it cannot."""

from __future__ import annotations

import pytest

from spred.compress import ranges
from spred.errors import InputError


def test_what_can_be_used_passes():
    ranges.whole(1, epochs=1, batch_size=None, seed=2**63 - 1)
    ranges.number(above=0, lr=1e-300)
    ranges.number(least=0, momentum=0.0, lr=None)
    ranges.text("train", "bilder/äö *.parquet")
    ranges.plain("arguments", {"a": [1, "b", {"c": (True, 0.5)}]})
    ranges.strengths("alphas", (1e-3, 1.00001e-3))


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: ranges.whole(1, epochs=0), "epochs is 0; give at least 1"),
        (lambda: ranges.whole(1, epochs=2.5), "epochs is 2.5"),
        (lambda: ranges.whole(0, crop=2**11), "give at most 1,024"),
        (lambda: ranges.number(above=0, lr=0.0), "give a number above 0"),
        (lambda: ranges.number(lr=-float("inf")), "give a finite number"),
        (lambda: ranges.text("train", "\n"), "give a name"),
        (lambda: ranges.plain("a", {1: 2}), "a has the key 1"),
        (lambda: ranges.plain("a", {"b": [float("nan")]}), "a.b is nan"),
        (lambda: ranges.plain("a", {"b": object}), "a.b is <class 'object'>"),
        (lambda: ranges.strengths("alphas", (1.0, 1.0)), "alphas has 1 twice"),
    ],
)
def test_what_cannot_is_named(check, message: str):
    with pytest.raises(InputError, match=message):
        check()


def test_lists_in_lists_end_somewhere():
    deep: list[object] = []
    deep.append(deep)
    with pytest.raises(InputError, match=r"give texts, numbers"):
        ranges.plain("a", deep)
