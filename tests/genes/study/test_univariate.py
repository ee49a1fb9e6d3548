"""p-values are SciPy's, adjusted ones statsmodels' by hand, neighbours those of the correlation matrix."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from spred.core.losses import get_loss
from spred.core.targets import survival_target
from spred.genes.data.survival import censored
from spred.genes.study.univariate import adjusted, correlations, cox_score, neighbours, p_values

RNG = np.random.default_rng(0)
VALUES = RNG.normal(size=(30, 12))
LABELS = np.repeat(["a", "b", "c"], [8, 10, 12])


def test_two_classes_are_welchs_test() -> None:
    labels = np.where(LABELS == "a", "a", "b")
    expected = stats.ttest_ind(VALUES[labels == "a"], VALUES[labels == "b"], equal_var=False).pvalue
    np.testing.assert_allclose(p_values(VALUES, labels, "classification"), expected)


def test_more_classes_are_an_analysis_of_variance() -> None:
    expected = stats.f_oneway(*(VALUES[c == LABELS] for c in "abc")).pvalue
    np.testing.assert_allclose(p_values(VALUES, LABELS, "classification"), expected)


def test_a_number_is_pearsons_correlation() -> None:
    y = RNG.normal(size=30)
    expected = [stats.pearsonr(column, y).pvalue for column in VALUES.T]
    np.testing.assert_allclose(p_values(VALUES, y, "regression"), expected)


def test_a_binary_gene_and_a_survival_time_are_the_log_rank_test() -> None:
    y = survival_target(RNG.random(30) < 0.7, RNG.exponential(size=30))
    half = np.arange(30) % 2 == 0
    expected = stats.logrank(censored(y[half]), censored(y[~half])).pvalue
    assert p_values(half[:, None].astype(float), y, "survival")[0] == pytest.approx(expected)


def test_the_score_test_of_cox_is_slope_and_curvature_of_its_loss_at_nought() -> None:
    y = survival_target(RNG.random(30) < 0.7, np.ceil(4 * RNG.exponential(size=30)))  # with ties
    loss, sets = get_loss("cox"), get_loss("cox").target.encode(y)
    x, step, share = VALUES[:, 0], 1e-4, np.full(30, 1 / 30)
    low, middle, high = (30 * float(loss.value(t * x, sets, share)) for t in (-step, 0.0, step))
    slope, curvature = (high - low) / (2 * step), (high - 2 * middle + low) / step**2
    assert cox_score(VALUES, y)[0] == pytest.approx(slope**2 / curvature, rel=1e-3)


def test_what_cannot_be_tested_has_p_1() -> None:
    flat = np.ones((30, 1))
    assert p_values(flat, LABELS, "classification").tolist() == [1.0]
    assert p_values(VALUES[:5], np.array(["a", *"bbbb"]), "classification").tolist() == [1.0] * 12


def test_adjusted_p_values_are_scipys() -> None:
    p = RNG.random(50) ** 3
    np.testing.assert_allclose(adjusted(p), stats.false_discovery_control(p))


def test_correlations_of_constant_columns_are_nought() -> None:
    values = np.column_stack([VALUES[:, :2], np.ones(30)])
    found = correlations(values, values)
    assert found[2].tolist() == [0.0, 0.0, 0.0]
    assert found[0, 1] == pytest.approx(np.corrcoef(VALUES[:, 0], VALUES[:, 1])[0, 1])


def test_neighbours_are_named_with_their_correlation() -> None:
    copy, mirror = VALUES[:, 0] + 0.1 * RNG.normal(size=30), -VALUES[:, 0] + 0.2 * RNG.normal(size=30)
    values = np.column_stack([VALUES, copy, mirror])
    names = [f"g{j}" for j in range(14)]
    first, second = neighbours(values, np.array([0, 5]), names)
    assert first.startswith("g12 ")
    assert ", g13 -0.9" in first
    assert second == ""


@pytest.mark.parametrize("unit", [1e-200, 1e-13, 1e13, 1e150])
def test_the_unit_of_a_gene_does_not_matter(unit: float) -> None:
    y, numbers = survival_target(RNG.random(30) < 0.7, RNG.exponential(size=30)), RNG.normal(size=30)
    for target, task in ((LABELS, "classification"), (LABELS == "a", "classification"), (y, "survival")):
        np.testing.assert_allclose(p_values(unit * VALUES, target, task), p_values(VALUES, target, task), rtol=1e-9)
    expected = p_values(VALUES, numbers, "regression")
    np.testing.assert_allclose(p_values(unit * VALUES, unit * numbers, "regression"), expected, rtol=1e-9)
    np.testing.assert_allclose(correlations(unit * VALUES, VALUES), correlations(VALUES, VALUES), atol=1e-14)


def test_a_gene_on_top_of_a_large_constant_is_tested_and_rounding_is_not() -> None:
    y = survival_target(RNG.random(30) < 0.7, RNG.exponential(size=30))
    raised = 1e6 + VALUES
    np.testing.assert_allclose(p_values(raised, y, "survival"), p_values(VALUES, y, "survival"), rtol=1e-6)
    flat = np.full((30, 1), 0.1)
    for target, task in ((LABELS, "classification"), (VALUES[:, 0], "regression"), (y, "survival")):
        assert p_values(flat, target, task).tolist() == [1.0]
        assert p_values(VALUES[:, :1], target, task)[0] < 1.0
