"""What makes a score too good is reported: duplicates across folds, batches that go along with the target."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from spred.genes import Expression, Settings, run_study
from spred.genes.data.checks import association, find_problems


def with_column(expression: Expression, name: str, values: object) -> Expression:
    return dataclasses.replace(expression, table=expression.table.assign(**{name: values}))


def test_clean_data_say_nothing(expression: Expression) -> None:
    assert list(find_problems(expression)) == []


def test_duplicates_are_reported_unless_one_group_holds_them(expression: Expression) -> None:
    values = expression.values.copy()
    values[3] = values[2]
    copied = dataclasses.replace(expression, values=values)
    assert list(find_problems(copied)) == []  # s2 and s3 are of one patient
    values[9] = values[2]
    (reported,) = find_problems(copied)
    assert reported.startswith("1 sample has the measurements of another one ('s2 = s9')")


def test_a_confounded_batch_is_reported_and_a_fair_one_is_not(expression: Expression) -> None:
    batch = np.where(expression.target == "tumour", "B1", "B2").astype(object)
    batch[:4] = "B1"
    (reported,) = find_problems(with_column(expression, "Scan batch", batch))
    assert "Column 'Scan batch' goes along with 'class' (Cramér's V 0.9" in reported
    assert list(find_problems(with_column(expression, "batch", np.arange(40) // 2 % 2))) == []
    assert list(find_problems(with_column(expression, "stage", batch))) == []
    assert reported in run_study(with_column(expression, "Scan batch", batch), Settings(n_alphas=3, folds=2)).notes


def test_association_of_columns(expression: Expression) -> None:
    table = with_column(expression, "x", np.where(np.arange(40) < 30, expression.target, None)).table
    v, p = association(table["x"], expression.target)
    assert v == pytest.approx(1.0)
    assert p < 1e-6
    assert association(table["x"].where(table["x"] == "tumour"), expression.target) == (0.0, 1.0)


def test_people_with_several_samples_need_a_group(expression: Expression) -> None:
    people = dataclasses.replace(expression, group=None, group_name=None)
    (found,) = find_problems(people)
    assert "'patient' has 20 values that several samples share" in found
    assert list(find_problems(expression)) == []
    kinds = people.table.assign(patient=["mouse", "rat"] * 20)
    assert list(find_problems(dataclasses.replace(people, table=kinds))) == []
    alone = people.table.assign(patient=range(40))
    assert list(find_problems(dataclasses.replace(people, table=alone))) == []
