"""The methods say what was done, and nothing that was not."""

from __future__ import annotations

import dataclasses

import pytest

from spred.genes import Study, add_baselines
from spred.genes.report import methods

RUN = {"versions": {"spred": "1.2.3", "python": "3.11"}}


def test_the_methods_are_those_of_the_study(study: Study, numbers_study: Study) -> None:
    text = methods.paragraph(study, RUN)
    assert "logistic regression" in text
    assert "4-fold stratified grouped nested cross-validation" in text
    assert "one 'patient' in one fold" in text
    assert "path of 15 values" in text
    assert "spred 1.2.3" in text
    plain = methods.paragraph(numbers_study, RUN)
    assert "Lasso" in plain
    assert "stratified" not in plain


@pytest.mark.parametrize(
    ("rule", "sentence"), [("1se", "one standard error"), ("min", "taking the best"), (7, "at most 7 genes")]
)
def test_rules_in_words(rule: object, sentence: str) -> None:
    assert sentence in methods.rule_text(rule)


def test_what_was_added_is_named(study: Study) -> None:
    assert "Other methods" not in methods.paragraph(study, RUN)
    text = methods.paragraph(add_baselines(study), RUN)
    assert "same folds (largest class, L1 logistic regression, univariate filter + linear SVM)" in text
    assert "Welch's t-test" in text
    averaged = dataclasses.replace(study, expression=dataclasses.replace(study.expression, collapse="mean"))
    assert "Probes of one gene were averaged" in methods.paragraph(averaged, RUN)


@pytest.mark.parametrize(
    ("sd", "interval", "source"),
    [(0.1, (0.7, 0.9), "Nadeau"), (0.0, (0.9, 1.0), "Clopper"), (0.0, (0.5, 0.5), "")],
)
def test_the_interval_is_named_as_it_was_made(
    sd: float, interval: tuple[float, float], source: str, study: Study
) -> None:
    spread = dataclasses.replace(study.score.main, sd=sd, interval=interval)
    found = dataclasses.replace(study, score=dataclasses.replace(study.score, balanced_accuracy=spread))
    assert source in methods.interval_text(found)
    assert bool(source) == bool(methods.interval_text(found))
