"""Which columns are names, annotations and numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spred.errors import InputError
from spred.genes.io.tables import Request, from_frame, is_text, numbers


def table(text: str, **request: str) -> tuple[list[str], pd.DataFrame, Request]:
    """Split a little table written in words."""
    rows = [line.split() for line in text.strip().splitlines()]
    frame = pd.DataFrame(rows[1:], columns=range(len(rows[0])))
    for i in frame.columns[1:]:
        frame[i] = pd.to_numeric(frame[i], errors="coerce") if frame[i].str.match(r"[-\d.]+$").all() else frame[i]
    return rows[0], frame, Request(**request)


def test_a_first_column_of_distinct_words_is_the_name() -> None:
    found = from_frame(*table("tumour_id class TP53\nA x 1\nB y 2", target="class"))
    assert found.samples == ["A", "B"]
    assert found.genes == ["TP53"]


def test_a_first_column_that_repeats_is_an_annotation() -> None:
    found = from_frame(*table("sex class TP53\nf x 1\nf y 2", target="class"))
    assert found.samples == ["1", "2"]
    assert list(found.annotations.columns) == ["sex", "class"]
    assert any("'sex'" in note for note in found.notes)


def test_a_first_column_of_numbers_is_a_gene_unless_it_is_called_a_name() -> None:
    assert from_frame(*table("TP53 class MYC\n1 x 5\n2 y 6", target="class")).genes == ["TP53", "MYC"]
    assert from_frame(*table("id class MYC\n1 x 5\n2 y 6", target="class")).genes == ["MYC"]


def test_a_target_of_numbers_is_no_gene() -> None:
    found = from_frame(*table("sample status TP53\nA 0 1.5\nB 1 2.5", target="status"))
    assert found.genes == ["TP53"]
    assert found.annotations["status"].tolist() == [0, 1]


def test_a_column_asked_for_that_occurs_twice() -> None:
    with pytest.raises(InputError, match="'class' occurs 2 times"):
        from_frame(*table("sample class class TP53\nA x x 1\nB y y 2", target="class"))


def test_a_table_without_numbers() -> None:
    with pytest.raises(InputError, match="no column of numbers"):
        from_frame(*table("sample class sex\nA x f\nB y m", target="class"))


def test_words_numbers_and_gaps() -> None:
    assert is_text(pd.Series(["a", "b", None]))
    assert is_text(pd.Series([True, False]))
    assert not is_text(pd.Series([1.0, 2.0]))
    assert not is_text(pd.Series(["1", "2", "x"]))
    assert not is_text(pd.Series([None, None], dtype=object))


def test_gaps_are_nan() -> None:
    frame = pd.DataFrame({0: ["1", None], 1: [2.0, 3.0], 2: ["word", "word"]})
    np.testing.assert_array_equal(numbers(frame, [0, 1], ["a", "b"], ["x", "y"]), [[1, np.nan], [2, 3]])


def clinical() -> tuple[list[str], pd.DataFrame]:
    """Ten samples: a name that occurs twice, age, sex and class, two genes of fractions, one of whole numbers."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            0: ["A", "A", *"BCDEFGHI"],
            1: rng.integers(40, 80, 10),
            2: [0, 1] * 5,
            3: ["x", "y"] * 5,
            **{4 + j: rng.normal(8, 1, 10) for j in range(20)},
            24: rng.integers(5, 9, 10),
        }
    )
    return ["who", "age", "sex", "class", *(f"G{j}" for j in range(21))], frame


def test_whole_numbers_before_the_genes_are_annotations() -> None:
    found = from_frame(*clinical(), Request(target="class"))
    assert found.genes == [f"G{j}" for j in range(21)]
    assert list(found.annotations.columns) == ["who", "age", "sex", "class"]
    assert any("'age', 'sex'" in note for note in found.notes)
    header, frame = clinical()
    kept = from_frame(header, frame, Request(target="class", genes=frozenset({"sex"})))
    assert kept.genes[0] == "sex"
    counts = from_frame(header, frame.round().astype(dict.fromkeys(range(4, 25), int)), Request(target="class"))
    assert counts.genes[:2] == ["age", "sex"]


def test_names_that_repeat_are_told_of() -> None:
    found = from_frame(*clinical(), Request(target="class"))
    assert found.samples[:2] == ["1", "2"]
    assert any("'who'" in note and "numbered" in note for note in found.notes)


def test_many_columns_come_in_their_order() -> None:
    values = np.random.default_rng(0).normal(size=(3, 7))
    frame = pd.DataFrame(values).astype({2: object, 5: "float32"})
    found = numbers(frame, [5, 2, 6], ["a", "b", "c"], ["x", "y", "z"])
    np.testing.assert_allclose(found, values[:, [5, 2, 6]].T, atol=1e-6)
