"""Survival: events in all their spellings, curves worked by hand, and a study of times."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from spred.errors import InputError
from spred.genes import Settings, Study, read, run_study, write_study
from spred.genes.data.survival import kaplan_meier, logrank, make_survival
from spred.linear import survival_target


@pytest.fixture(scope="module")
def file(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty samples whose first gene hurries the event; a quarter is censored, one has no time."""
    rng = np.random.default_rng(3)
    hurry = 1.5 * (frame["G0"] - frame["G0"].mean())
    data = frame.drop(columns="class")
    data.insert(1, "months", rng.exponential(np.exp(-hurry)).round(4))
    data.insert(2, "status", np.where(np.arange(len(frame)) % 4 == 0, "alive", "dead"))
    data.loc[7, "months"] = np.nan
    path = tmp_path_factory.mktemp("data") / "times.csv"
    data.to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def times(file: Path) -> Study:
    return run_study(read(file, target="months", event="status"), Settings(n_alphas=10, folds=4))


@pytest.mark.parametrize(("yes", "no"), [(1, 0), ("dead", "Alive"), ("TRUE", "false"), ("1:DECEASED", "0:LIVING")])
def test_events_in_all_their_spellings(yes: object, no: object) -> None:
    y = make_survival(pd.Series([3, "4.5"], name="days"), pd.Series([yes, no], name="dead"))
    assert y["event"].tolist() == [True, False]
    assert y["time"].tolist() == [3.0, 4.5]


@pytest.mark.parametrize(
    ("time", "event", "sentence"),
    [
        (["soon", 2], [1, 0], "sample 0: 'days' is 'soon'; give a time"),
        ([1, -2], [1, 0], "sample 1: 'days' is '-2'"),
        ([1, 2], [1, "perhaps"], "sample 1: 'dead' is 'perhaps'; write 1 where"),
        ([1, 2], [0, 0], "'dead' holds no event"),
    ],
)
def test_what_is_no_survival_is_said(time: list, event: list, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        make_survival(pd.Series(time, name="days"), pd.Series(event, name="dead"))


def test_kaplan_meier_by_hand() -> None:
    curve = kaplan_meier(survival_target([True, False, True, True], [1.0, 2.0, 3.0, 4.0]), "all")
    at = dict(zip(curve.time, curve.alive, strict=True))
    assert (at[0.0], at[1.0], at[3.0], at[4.0]) == pytest.approx((1, 3 / 4, 3 / 8, 0))
    assert curve.censored.tolist() == [2.0]
    assert (curve.n_samples, curve.n_events) == (4, 3)
    assert kaplan_meier(survival_target([False], [2.0]), "one").alive.min() == 1.0


def test_the_log_rank_test_by_hand() -> None:
    a, b = survival_target([True] * 3, [1.0, 3.0, 5.0]), survival_target([True, True, False], [2.0, 4.0, 6.0])
    observed = expected = variance = 0.0
    for t in (1, 2, 3, 4, 5):
        n_a, n = (a["time"] >= t).sum(), (a["time"] >= t).sum() + (b["time"] >= t).sum()
        observed, expected = observed + (t in a["time"]), expected + n_a / n
        variance += n_a * (n - n_a) / n**2
    assert logrank([a, b]) == pytest.approx(stats.chi2.sf((observed - expected) ** 2 / variance, 1))
    assert logrank([a, b[:0]]) is None


def test_a_study_of_times(times: Study, tmp_path: Path) -> None:
    expression = times.expression
    assert (expression.task, len(expression.samples), expression.classes) == ("survival", 39, [])
    assert times.genes["gene"][0] == "G0"
    assert times.genes["coef"][0] > 0
    assert times.score.concordance.mean > 0.65
    assert times.genes["p_value"][0] < 0.01
    out = write_study(times, tmp_path / "out")
    html = (out / "report.html").read_text(encoding="utf-8")
    for words in ("L1-penalised Cox regression", "log-rank p", "survival (months)", "score test of Cox", "high risk ("):
        assert words in html


def test_folds_get_their_share_of_the_events(times: Study) -> None:
    censored = [int((~times.expression.target["event"][fold.test]).sum()) for fold in times.folds]
    assert max(censored) - min(censored) <= 1


def test_the_risk_groups_are_cut_in_the_training_part(times: Study) -> None:
    for fold in times.folds:
        train = times.expression.target[fold.train]
        assert np.isfinite(fold.middle)
        assert len(train) + len(fold.test) == 39


def test_a_model_of_risk_is_the_same_from_its_file(times: Study, file: Path, tmp_path: Path) -> None:
    from spred.genes import apply_model

    out = write_study(times, tmp_path / "out")
    new = pd.read_csv(file).drop(columns=["months", "status", "patient"])
    new.to_csv(tmp_path / "new.csv", index=False)
    found = apply_model(out, tmp_path / "new.csv").table.set_index("sample")
    expected = times.model.predict(times.expression.design)
    np.testing.assert_allclose(found.loc[list(times.expression.samples), "risk"], expected)
    with pytest.raises(InputError, match="selected on"):
        apply_model(out, file, target="months")


def test_a_score_of_new_times(times: Study, file: Path, tmp_path: Path) -> None:
    from spred.genes import apply_model

    out = write_study(times, tmp_path / "out")
    new = pd.read_csv(file, dtype={"patient": str})
    new.assign(sample=[f"n{i}" for i in range(len(new))]).to_csv(tmp_path / "new.csv", index=False)
    found = apply_model(out, tmp_path / "new.csv", target="months")
    assert found.n_scored == 39
    assert found.score > 0.65
    assert {"true", "event", "risk", "group"} <= set(found.table.columns)


def test_columns_of_survival_are_asked_for_together(file: Path) -> None:
    with pytest.raises(InputError, match="name the column of the times"):
        read(file, event="status")
    with pytest.raises(InputError, match="column 'state' not found; did you mean 'status'"):
        read(file, target="months", event="state")
    with pytest.raises(InputError, match="no covariate"):
        read(file, target="months", event="status", covariates=["status"])


def test_permuted_times_keep_their_events(times: Study) -> None:
    from spred.genes import add_permutations

    found = add_permutations(times, 9).permutations
    assert found.p <= 0.3
    assert abs(np.mean(found.scores) - 0.5) < 0.2
    assert dataclasses.replace(times).permutations is None
