"""Plain data are of the types that a record declares, or the first that is not is named."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import pytest

from spred.runtime.files.typed import conforms, misfit


@dataclass
class Inner:
    size: int


@dataclass
class Outer:
    name: str
    kind: Literal["a", "b"]
    rows: list[list[float]]
    pair: tuple[str, list[str]]
    inner: Inner | None


WHOLE = asdict(Outer("x", "a", [[1, 2.5], []], ("y", ["z"]), Inner(3)))


def test_a_record_as_plain_data_conforms() -> None:
    assert misfit(Outer, WHOLE) is None
    assert misfit(Outer, WHOLE | {"inner": None, "pair": ["y", []], "more": 1}) is None


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"name": None}, "'name' is no str"),
        ({"kind": "c"}, "'kind' is no "),
        ({"kind": []}, "'kind' is no "),
        ({"rows": [1.0]}, "'rows' is no "),
        ({"rows": [[float("nan")]]}, "'rows' is no "),
        ({"rows": [[2**70]]}, "'rows' is no "),
        ({"pair": ["y"]}, "'pair' is no "),
        ({"inner": {"size": True}}, "'inner.size' is no int"),
        ({"inner": {}}, "'inner.size' is missing"),
        ({"inner": 3}, "'inner' is no "),
    ],
)
def test_the_first_that_does_not_is_named(changed: dict[str, Any], sentence: str) -> None:
    found = misfit(Outer, WHOLE | changed)
    assert found is not None
    assert found.startswith(sentence)


def test_what_is_missing_is_named() -> None:
    assert misfit(Inner, {}) == "'size' is missing"


def test_true_is_no_number_and_a_whole_number_is_one() -> None:
    assert conforms(3, float)
    assert not conforms(3.0, int)
    assert not conforms(True, int)
    assert conforms(True, bool)
    assert not conforms(1, bool)
