"""Products that a path from gates at zero cannot see are found in what it leaves over; nothing is found in noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from gated_problems import problem_of
from problems import PROBLEMS
from scipy import sparse, stats

import spred
from spred.errors import SpredWarning
from spred.gated import PathOptions
from spred.gated import products as module
from spred.gated.products import candidates, left_over, statistics, unexplained
from spred.gated.starts import null_state


def test_the_statistic_is_that_of_its_definition() -> None:
    rng = np.random.default_rng(0)
    X, r = rng.exponential(size=(50, 4)), rng.normal(size=50)
    s = rng.random(50)
    s /= s.sum()
    found = statistics(X[:, :2], X, s * r, s)
    for i in range(2):
        for j in range(4):
            q = X[:, i] * X[:, j] - s @ (X[:, i] * X[:, j])
            assert found[i, j] == pytest.approx(np.sum(s * r * q) / np.sqrt(np.sum((s * r * q) ** 2)))
    constant = np.ones((50, 1))
    assert statistics(constant, constant, s * r, s) == 0.0


@pytest.mark.parametrize("name", ["squared-tall", "logistic-tall", "multinomial-wide", "cox-tall", "poisson-tall"])
def test_what_is_linear_in_the_inputs_of_a_network_is_taken_out(name: str) -> None:
    problem = problem_of(name)
    network = null_state(problem, PathOptions(hidden=(3,))).network
    inputs = np.array([0, 2])
    residuals = unexplained(problem, network.with_first(np.zeros((2, network.first.shape[1]))), inputs)
    Z = np.hstack([problem.free_columns, problem.design.columns(inputs)])
    np.testing.assert_allclose(Z.T @ residuals, 0.0, atol=1e-12)
    assert np.abs(residuals).max() > 1e-4


def test_noise_is_found_as_rarely_as_its_chance_says() -> None:
    """Heavy tails and unequal variances of the residuals, skewed inputs."""
    problem = problem_of("squared-tall")
    X, s = problem.design.columns(np.arange(12)), problem.s
    rng = np.random.default_rng(0)
    trials, found = 300, 0
    for _ in range(trials):
        r = rng.standard_t(3, size=len(X)) * np.exp(X[:, 0])
        z = np.abs(statistics(X, X, s * (r - s @ r), s)).max()
        found += 2.0 * 78 * stats.norm.sf(z) < 0.05
    assert found <= 0.05 * trials


def generated(n: int, p: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, p))
    return X, X[:, 2] * X[:, 5] + 0.3 * rng.normal(size=n)


QUICK = {"hidden": 8, "n_alphas": 5, "eps": 0.1, "cv": 2, "rule": 2}


@pytest.mark.parametrize("kind", ["numbers", "classes"])
def test_the_default_start_finds_a_product(kind: str) -> None:
    X, y = generated(250, 6, seed=1)
    if kind == "classes":
        model = spred.NetworkClassifier(**QUICK).fit(sparse.csr_array(X), y > 0)
    else:
        model = spred.NetworkRegressor(**QUICK).fit(X, y)
    assert model.left_over_.inputs == (2, 5)
    assert (model.start_, set(model.curves_)) == ("dense", {"sparse", "dense"})
    assert model.get_support(indices=True).tolist() == [2, 5]
    assert model.score(X, y > 0 if kind == "classes" else y) > 0.6


def test_of_linear_effects_nothing_is_left_over() -> None:
    problem = PROBLEMS["squared-wide"]
    model = spred.NetworkRegressor(**QUICK).fit(problem.X, problem.y)
    assert (model.start_, list(model.curves_)) == ("sparse", ["sparse"])
    assert not model.left_over_.found
    assert spred.NetworkRegressor(start="sparse", **QUICK).fit(problem.X, problem.y).left_over_ is None


def test_one_alpha_without_folds_names_the_product() -> None:
    X, y = generated(200, 6, seed=2)
    with pytest.warns(SpredWarning, match="the product of inputs 2 and 5, .* give start='dense'"):
        spred.NetworkRegressor(hidden=3, alphas=[0.3]).fit(X, y)
    with pytest.warns(SpredWarning, match="the square of input 1"):
        spred.NetworkRegressor(hidden=3, alphas=[0.3]).fit(X, X[:, 1] ** 2)


def test_of_too_many_inputs_the_strongest_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = problem_of("squared-wide", penalty_weights=np.r_[0.0, np.ones(PROBLEMS["squared-wide"].X.shape[1] - 1)])
    network = null_state(problem, PathOptions(hidden=(3,))).network
    residuals = unexplained(problem, network, np.zeros(0, dtype=int))
    np.testing.assert_array_equal(candidates(problem, residuals), problem.penalised)
    whole = left_over(problem, network, np.zeros(0, dtype=int))
    monkeypatch.setattr(module, "ROWS", 7)
    assert left_over(problem, network, np.zeros(0, dtype=int)) == replace(
        whole, z=pytest.approx(whole.z), chance=pytest.approx(whole.chance)
    )
    monkeypatch.setattr(module, "MOST_WORK", 50.0 * len(residuals))
    marginal = np.abs(problem.design.correlate(residuals)[:, 0])
    marginal[0] = 0.0
    np.testing.assert_array_equal(candidates(problem, residuals), np.sort(np.argsort(-marginal)[:10]))
