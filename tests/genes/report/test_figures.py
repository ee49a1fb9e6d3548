"""Each task has its figures, and their captions say what is drawn."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from spred.genes import Expression, Settings, Study, add_stability, run_study
from spred.genes.data.survival import make_survival
from spred.genes.report.figures import GATES_CAPTION, PATH_CAPTION, confusion_caption, drawings, heatmap_figure


def test_two_classes_have_a_confusion_matrix_and_roc_curves(study: Study) -> None:
    drawn = drawings(study)
    assert set(drawn) == {"path", "curve", "held_out", "roc", "heatmap"}
    assert "true positive rate (tumour)" in drawn["roc"].svg
    assert drawn["path"].caption == PATH_CAPTION
    assert [name for name, each in drawn.items() if each.wide] == ["heatmap"]


def test_stable_genes_and_an_empty_list(study: Study) -> None:
    stable = dataclasses.replace(add_stability(study, n_pairs=5), genes=study.genes.head(0))
    assert set(drawings(stable)) == {"path", "curve", "held_out", "roc", "stability"}


def test_a_number_is_drawn_over_the_truth(numbers_study: Study) -> None:
    drawn = drawings(numbers_study)
    assert "true dose" in drawn["held_out"].svg
    assert "roc" not in drawn


def test_survival_is_drawn_by_risk(expression: Expression) -> None:
    times = np.random.default_rng(0).exponential(np.exp(3 * (8 - expression.values[:, 0])))
    target = make_survival(pd.Series(times), pd.Series([1, 1, 1, 0] * 10))
    survival = dataclasses.replace(
        expression, target=target, task="survival", event_name="event", group=None, group_name=None
    )
    drawn = drawings(run_study(survival, Settings(n_alphas=5, folds=3)))
    assert "low risk" in drawn["held_out"].svg
    assert drawn["held_out"].caption.startswith("Kaplan")


def test_the_gates_of_a_network_have_their_caption(expression: Expression) -> None:
    network = run_study(expression, Settings(n_alphas=4, folds=2, model="network"))
    drawn = drawings(network)
    assert drawn["path"].caption == GATES_CAPTION
    assert "size of the gate" in drawn["path"].svg


def test_the_heatmap_has_rows_for_the_strongest_genes(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spred.genes.report.figures.MOST_IN_HEATMAP", 2)
    axes = heatmap_figure(study).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == list(study.genes["gene"].head(2))


def test_the_confusion_of_repeats_is_counted_in_repeats(study: Study) -> None:
    assert "one for every sample" in confusion_caption(study)
    again = dataclasses.replace(study, settings=dataclasses.replace(study.settings, repeats=3))
    assert "3, one a repeat," in confusion_caption(again)
