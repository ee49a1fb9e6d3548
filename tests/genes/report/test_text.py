"""The sentences say what the numbers say."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest

from spred.genes import Study, add_permutations, add_stability
from spred.genes.report import text as words


def test_the_summary_names_result_score_and_stability(study: Study) -> None:
    text = words.summary(study)
    assert text.startswith(f"{len(study.genes)} of 30 genes were selected to tell 'normal' and 'tumour' apart: ")
    assert study.genes["gene"][0] in text
    assert f"{study.score.balanced_accuracy.mean:.2f}" in text
    assert "gives 0.50" in text
    always = int((study.genes["frequency"] == 1).sum())
    assert f"{words.overlap(len(study.genes), always)} selected in every fold too" in text


@pytest.mark.parametrize(("often", "verb"), [(0, "None of them is"), (1, "One of them is")])
def test_the_summary_counts_in_english(often: int, verb: str, study: Study) -> None:
    table = study.genes.assign(frequency=[1.0] * often + [0.5] * (len(study.genes) - often))
    assert verb in words.summary(dataclasses.replace(study, genes=table))


def test_one_gene_is_singular(study: Study) -> None:
    assert "1 of 30 genes was selected to" in words.summary(dataclasses.replace(study, genes=study.genes.head(1)))


@pytest.mark.parametrize(("low", "warned"), [(0.45, True), (0.8, False)])
def test_a_score_near_guessing_is_doubted(low: float, warned: bool, study: Study) -> None:
    spread = dataclasses.replace(study.score.balanced_accuracy, interval=(low, 0.95))
    found = dataclasses.replace(study, score=dataclasses.replace(study.score, balanced_accuracy=spread))
    assert ("no clear signal" in words.summary(found)) is warned


def test_a_number_is_summed_up_by_r2(numbers_study: Study) -> None:
    text = words.summary(numbers_study)
    assert "to predict dose" in text
    assert "R² is" in text
    assert words.cards(numbers_study)[0].label.startswith("R², held out; 95 % interval")


def test_a_residual_below_rounding_is_no_zero() -> None:
    assert words.tiny(0.0) == "<1e-15"
    assert words.tiny(3.2e-9) == "3e-09"


def test_an_unknown_auc_is_a_dash(study: Study) -> None:
    without = dataclasses.replace(study, score=dataclasses.replace(study.score, auc=None))
    assert [card.value for card in words.cards(without) if card.label == "AUC, held out"] == ["–"]


def test_the_first_genes_are_named(study: Study) -> None:
    assert words.leading(pd.DataFrame({"gene": list("abc")})) == "a, b and c"
    assert words.leading(pd.DataFrame({"gene": ["a"], "symbol": ["MYC"]})) == "MYC"
    assert words.leading(pd.DataFrame({"gene": list("abcdefgh"), "symbol": [""] * 8})) == "a, b, c, d, e and 3 more"


def test_the_cards_say_how_good_how_many_and_how_sure(study: Study) -> None:
    whole = add_permutations(add_stability(study, n_pairs=10), 5)
    labels = [card.label for card in words.cards(whole)]
    assert labels[0].startswith("balanced accuracy, held out; 95 % interval")
    assert [any(part in label for label in labels) for part in ("selected", "stable", "p-value")] == [True] * 3
    assert whole.permutations is not None
    assert f"{whole.permutations.p:.2g}" in [card.value for card in words.cards(whole)]


def test_the_confusion_of_repeats_is_counted_in_repeats(study: Study) -> None:
    assert "one for every sample" in words.confusion_caption(study)
    again = dataclasses.replace(study, settings=dataclasses.replace(study.settings, repeats=3))
    assert "3, one a repeat," in words.confusion_caption(again)
