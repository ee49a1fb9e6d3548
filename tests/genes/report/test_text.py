"""The sentences say what the numbers say."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest

from spred.genes import Study, add_permutations, add_stability
from spred.genes.report import text


def test_the_summary_names_result_score_and_stability(study: Study) -> None:
    found = text.summary(study)
    assert found.startswith(f"{len(study.genes)} of 30 genes were selected to tell 'normal' and 'tumour' apart: ")
    assert study.genes["gene"][0] in found
    assert f"{study.score.balanced_accuracy.mean:.2f}" in found
    assert "gives 0.50" in found
    always = int((study.genes["frequency"] == 1).sum())
    assert f"{text.overlap(len(study.genes), always)} selected in every fold too" in found


@pytest.mark.parametrize(("often", "verb"), [(0, "None of them is"), (1, "One of them is")])
def test_the_summary_counts_in_english(often: int, verb: str, study: Study) -> None:
    table = study.genes.assign(frequency=[1.0] * often + [0.5] * (len(study.genes) - often))
    assert verb in text.summary(dataclasses.replace(study, genes=table))


def test_one_gene_is_singular(study: Study) -> None:
    assert "1 of 30 genes was selected to" in text.summary(dataclasses.replace(study, genes=study.genes.head(1)))


@pytest.mark.parametrize(("low", "warned"), [(0.45, True), (0.8, False)])
def test_a_score_near_guessing_is_doubted(low: float, warned: bool, study: Study) -> None:
    spread = dataclasses.replace(study.score.balanced_accuracy, interval=(low, 0.95))
    found = dataclasses.replace(study, score=dataclasses.replace(study.score, balanced_accuracy=spread))
    assert ("no clear signal" in text.summary(found)) is warned


def test_a_number_is_summed_up_by_r2(numbers_study: Study) -> None:
    found = text.summary(numbers_study)
    assert "to predict dose" in found
    assert "R² is" in found
    assert text.cards(numbers_study)[0].label.startswith("R², held out; 95 % interval")


def test_a_residual_below_rounding_is_no_zero() -> None:
    assert text.tiny(0.0) == "<1e-15"
    assert text.tiny(3.2e-9) == "3e-09"


def test_an_unknown_auc_is_a_dash(study: Study) -> None:
    without = dataclasses.replace(study, score=dataclasses.replace(study.score, auc=None))
    assert [card.value for card in text.cards(without) if card.label == "AUC, held out"] == ["–"]


def test_the_first_genes_are_named(study: Study) -> None:
    assert text.leading(pd.DataFrame({"gene": list("abc")})) == "a, b and c"
    assert text.leading(pd.DataFrame({"gene": ["a"], "symbol": ["MYC"]})) == "MYC"
    assert text.leading(pd.DataFrame({"gene": list("abcdefgh"), "symbol": [""] * 8})) == "a, b, c, d, e and 3 more"


def test_the_cards_say_how_good_how_many_and_how_sure(study: Study) -> None:
    whole = add_permutations(add_stability(study, n_pairs=10), 5)
    labels = [card.label for card in text.cards(whole)]
    assert labels[0].startswith("balanced accuracy, held out; 95 % interval")
    assert [any(part in label for label in labels) for part in ("selected", "stable", "p-value")] == [True] * 3
    assert whole.permutations is not None
    assert f"{whole.permutations.p:.2g}" in [card.value for card in text.cards(whole)]


def test_numbers_of_genes_in_words() -> None:
    found = [text.overlap(n, both) for n, both in ((1, 1), (1, 0), (3, 0), (3, 1), (3, 2), (3, 3))]
    assert found == [
        "It is",
        "It is not",
        "None of them is",
        "One of them is",
        "2 of them are",
        "All of them are",
    ]


def test_the_table_of_folds_has_a_row_a_fold(study: Study, numbers_study: Study) -> None:
    table = text.fold_table(study)
    assert [head.title for head in table.heads] == ["fold", "trained on", "held out", "genes", "balanced accuracy"]
    assert len(table.rows) == len(study.folds)
    assert [int(row[3].text) for row in table.rows] == list(study.n_selected_folds)
    assert text.fold_table(numbers_study).heads[-1].title == "mean absolute error"


@pytest.mark.parametrize(
    ("interval", "sentence", "cell"),
    [((0.5, 0.5), "every fold scored the same", "–"), ((0.5, 0.7), "95 % interval 0.50 to 0.70", "0.50 to 0.70")],
)
def test_folds_that_score_the_same_give_no_interval(
    interval: tuple[float, float], sentence: str, cell: str, study: Study
) -> None:
    score = dataclasses.replace(study.score.main, interval=interval)
    assert text.interval_text(score).startswith(sentence)
    assert text.interval_cell(score) == cell
