"""Counts, lists and cells as text."""

from __future__ import annotations

import numpy as np
import pytest

from spred.report.wording import count, joined, label, printable, some


@pytest.mark.parametrize(("n", "text"), [(0, "0 genes"), (1, "1 gene"), (2, "2 genes")])
def test_counts_agree_with_their_noun(n: int, text: str) -> None:
    assert count(n, "gene") == text


def test_a_long_list_ends_with_how_many_more() -> None:
    assert some(["a", "b"]) == "'a', 'b'"
    assert some(list("abcd"), 3) == "'a', 'b', 'c' and 1 more"
    assert some([]) == ""


def test_lists_are_joined_as_one_says_them() -> None:
    assert [joined(list(names)) for names in ("a", "ab", "abc")] == ["a", "a and b", "a, b and c"]


@pytest.mark.parametrize(
    ("cell", "text"), [(2.0, "2"), (np.float64(2), "2"), (2, "2"), (2.5, "2.5"), (" b ", "b"), ("001", "001")]
)
def test_a_cell_is_the_name_of_a_class(cell: object, text: str) -> None:
    assert label(cell) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("IFN-γ 5′ (Émile)\xa0x", "IFN-γ 5′ (Émile)\xa0x"),
        ("a\x1b[31mb", r"a\x1b[31mb"),
        ("a\nb\tc\rd\x07", r"a\nb\tc\rd\x07"),
        ("a\x9bb\x7f", r"a\x9bb\x7f"),
        ("a\u202eb\u2028", r"a\u202eb\u2028"),
        ("\ud800", r"\ud800"),
    ],
)
def test_control_characters_are_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown
