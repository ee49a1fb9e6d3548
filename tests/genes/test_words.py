"""The sentences say what the numbers say."""

from __future__ import annotations

import dataclasses

import pytest

from spred.genes import Study, words


def test_the_summary_names_result_score_and_stability(study: Study) -> None:
    text = words.summary(study)
    assert text.startswith(f"{len(study.genes)} of 30 genes were selected to tell 'normal' and 'tumour' apart.")
    assert f"{study.score.balanced_accuracy.mean:.2f}" in text
    assert "gives 0.50" in text
    always = int((study.genes["frequency"] == 1).sum())
    assert f"{always} of them were selected again in every fold" in text


@pytest.mark.parametrize(("often", "verb"), [(0, "None of them was"), (1, "1 of them was")])
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
    assert [card.label for card in words.cards(numbers_study)][1] == "R², held out"


def test_the_methods_are_those_of_the_study(study: Study, numbers_study: Study) -> None:
    run = {"versions": {"spred": "1.2.3", "python": "3.11"}}
    text = words.methods(study, run)
    assert "logistic regression" in text
    assert "4-fold stratified grouped nested cross-validation" in text
    assert "one 'patient' in one fold" in text
    assert "path of 15 values" in text
    assert "spred 1.2.3" in text
    plain = words.methods(numbers_study, run)
    assert "Lasso" in plain
    assert "stratified" not in plain


@pytest.mark.parametrize(
    ("rule", "words_of_it"), [("1se", "one standard error"), ("min", "taking the best"), (7, "at most 7 genes")]
)
def test_rules_in_words(rule: object, words_of_it: str) -> None:
    assert words_of_it in words.rule_text(rule)


def test_a_residual_below_rounding_is_no_zero() -> None:
    assert words.tiny(0.0) == "<1e-15"
    assert words.tiny(3.2e-9) == "3e-09"


def test_an_unknown_auc_is_a_dash(study: Study) -> None:
    without = dataclasses.replace(study, score=dataclasses.replace(study.score, auc=None))
    assert [card.value for card in words.cards(without) if card.label == "AUC, held out"] == ["–"]
