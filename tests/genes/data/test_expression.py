"""From a table to one question: targets, groups, gaps, repeated names, and what is reported of them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from spred.errors import InputError
from spred.genes.data.expression import Expression, Table, choose
from spred.report.wording import count, label, some


def table(annotations: dict[str, list[object]] | None = None, **changes: object) -> Table:
    """Four samples of three genes."""
    samples = ["a", "b", "c", "d"]
    about = {"class": ["x", "y", "x", "y"]} if annotations is None else annotations
    made = Table(np.arange(12.0).reshape(4, 3), samples, ["G1", "G2", "G3"], pd.DataFrame(about, index=samples))
    return dataclasses.replace(made, **changes)


def chosen(made: Table, **options: object) -> Expression:
    return choose(made, **{"name": "t", "target": "class", "group": None, "log2": "auto", "task": "auto", **options})


def test_classes_are_words() -> None:
    found = chosen(table({"class": [1.0, 2.0, 1.0, 2.0]}))
    assert found.task == "classification"
    assert list(found.target) == ["1", "2", "1", "2"]
    assert found.classes == ["1", "2"]


def test_many_numbers_are_a_quantity() -> None:
    samples = [str(i) for i in range(12)]
    made = Table(np.ones((12, 2)), samples, ["A", "B"], pd.DataFrame({"dose": np.arange(12)}, index=samples))
    assert chosen(made, target="dose").task == "regression"
    assert chosen(made, target="dose").target.dtype == np.float64
    assert any("a regression" in note for note in chosen(made, target="dose").notes)
    assert chosen(made, target="dose", task="classification").task == "classification"
    assert chosen(table({"class": [1, 2, 3, 4]}), task="regression").classes == []


def test_words_are_no_quantity() -> None:
    with pytest.raises(InputError, match="sample 'a': 'class' is 'x', not a number"):
        chosen(table(), task="regression")


@pytest.mark.parametrize(
    ("values", "task", "sentence"),
    [
        (["x"] * 4, "auto", r"one class only \('x'\); at least two"),
        ([3, 3, 3, 3], "regression", r"one value only \(3\)"),
        ([None] * 4, "auto", "'class' is empty"),
    ],
)
def test_nothing_to_predict(values: list[object], task: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        chosen(table({"class": values}), task=task)


def test_samples_without_a_target_are_dropped_and_told() -> None:
    found = chosen(table({"class": ["x", None, "x", "y"]}))
    assert list(found.samples) == ["a", "c", "d"]
    assert found.values.shape == (3, 3)
    assert list(found.table.index) == ["a", "c", "d"]
    assert "1 sample without a value in column 'class' dropped: 'b'." in found.notes


def test_a_sample_without_a_group_is_an_error() -> None:
    made = table({"class": ["x", "y", "x", "y"], "patient": ["1", "1", None, "2"]})
    with pytest.raises(InputError, match="sample 'c' has no value in the group column 'patient'"):
        chosen(made, group="patient")


def test_a_group_is_not_the_target() -> None:
    with pytest.raises(InputError, match="both the target and the group"):
        chosen(table(), group="class")


def test_no_labels_at_all() -> None:
    with pytest.raises(InputError, match="second file"):
        chosen(table({}), target=None)
    with pytest.raises(InputError, match="column 'class' not found"):
        chosen(table({}))


def test_repeated_genes_are_numbered_and_told() -> None:
    found = chosen(table(genes=["A", "A", "A.2"]))
    assert list(found.genes) == ["A", "A.3", "A.2"]
    assert any(note == "Gene names that occur more than once were numbered: 'A'." for note in found.notes)


def test_a_gene_without_values_is_dropped_with_its_symbol() -> None:
    values = np.arange(12.0).reshape(4, 3)
    values[:, 1] = np.nan
    values[0, 0] = np.nan
    found = chosen(table(values=values, symbols=["S1", "S2", "S3"]))
    assert list(found.genes) == ["G1", "G3"]
    assert list(found.symbols) == ["S1", "S3"]
    assert any(note.startswith("1 missing cell") for note in found.notes)


def test_a_table_without_any_value_is_empty() -> None:
    with pytest.raises(InputError, match="the table is empty"):
        chosen(table(values=np.full((4, 3), np.nan)))


def test_infinity_is_an_error_with_its_place() -> None:
    values = np.arange(12.0).reshape(4, 3)
    values[2, 1] = np.inf
    with pytest.raises(InputError, match="sample 'c', gene 'G2': the value is infinite"):
        chosen(table(values=values))


@pytest.mark.parametrize(
    ("asked", "scale", "applied", "why"),
    [
        ("auto", 1000.0, True, "raw intensities"),
        ("auto", 1.0, False, "logarithmic scale"),
        (True, 1.0, True, "as asked for"),
        (False, 1000.0, False, "as asked for"),
    ],
)
def test_the_scale_is_decided_and_told(asked: bool | str, scale: float, applied: bool, why: str) -> None:
    found = chosen(table(values=scale * np.arange(12.0).reshape(4, 3)), log2=asked)
    assert found.log2 is applied
    assert any(why in note for note in found.notes)


def test_an_expression_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        chosen(table()).log2 = True


def test_words_for_lists() -> None:
    assert some(["a", "b"]) == "'a', 'b'"
    assert some(list("abcdefg")) == "'a', 'b', 'c', 'd', 'e' and 2 more"
    assert count(1, "gene") == "1 gene"
    assert count(2, "gene") == "2 genes"
    assert (label(2.0), label(2.5), label(" x "), label(True)) == ("2", "2.5", "x", "True")


@pytest.mark.parametrize("log2", [True, False, "auto"])
def test_a_value_too_large_to_square_is_an_error_with_its_place(log2: bool | str) -> None:
    values = np.arange(12.0).reshape(4, 3)
    values[1, 2] = -1e308
    with pytest.raises(InputError, match="sample 'b', gene 'G3': the value is -1e\\+308, too large to compute with"):
        chosen(table(values=values), log2=log2)
