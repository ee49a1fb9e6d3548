"""Paths of gated networks, judged by a certificate that torch's autograd computes and by the exact lasso."""

from __future__ import annotations

import numpy as np
import pytest
from gated_problems import LOSSES, gradient_by_torch, kkt_by_torch, problem_of, random_network
from problems import PROBLEMS

import spred
from spred.errors import InputError
from spred.estimators.network_base import gated
from spred.gated import NetworkPath, PathOptions, network_path
from spred.gated.minimise import State
from spred.gated.starts import alpha_max, closed, used_slopes
from spred.linear.problem import make_problem

SMALL = {"hidden": (6,), "n_alphas": 6, "eps": 0.1}


def worst_kkt(problem: object, path: NetworkPath) -> float:
    return max(
        kkt_by_torch(problem, network, inputs, alpha, path.weights, path.l1_ratio)
        for network, inputs, alpha in zip(path.networks, path.inputs, path.alphas, strict=True)
    )


@pytest.mark.parametrize("l1_ratio", [1.0, 0.2])
@pytest.mark.parametrize("start", ["sparse", "dense"])
@pytest.mark.parametrize("name", LOSSES)
def test_every_alpha_is_stationary_over_all_inputs(name: str, start: str, l1_ratio: float) -> None:
    problem = problem_of(name)
    path = network_path(problem, PathOptions(start=start, l1_ratio=l1_ratio, **SMALL))
    assert path.converged
    assert worst_kkt(problem, path) == pytest.approx(path.kkts.max(), rel=1e-5, abs=1e-9)
    assert (np.diff(path.alphas) < 0).all()
    assert path.n_nonzero[0] == 0
    assert path.n_nonzero[-1] > 0
    assert all(np.linalg.norm(net.first, axis=1).all() for net in path.networks)


@pytest.mark.parametrize(
    "options",
    [
        {"hidden": (5, 4)},
        {"linear": False},
        {"hidden": (3, 3, 3), "linear": False},
    ],
)
def test_other_shapes_are_certified_too(options: dict) -> None:
    problem = problem_of("logistic-wide")
    path = network_path(problem, PathOptions(**(SMALL | options)))
    assert path.converged
    assert worst_kkt(problem, path) <= 1.01e-3


@pytest.mark.parametrize("activation", ["softplus", "silu"])
def test_other_activations_are_certified_too(activation: str) -> None:
    problem = problem_of("logistic-tall", activation)
    path = network_path(problem, PathOptions(**SMALL))
    assert path.converged
    assert worst_kkt(problem, path) <= 1.01e-3


def test_groups_enter_together_and_free_inputs_stay_linear() -> None:
    weights = np.r_[0.0, np.ones(39)]
    groups = np.arange(120) // 3
    problem = problem_of("squared-wide", feature_groups=groups, penalty_weights=weights)
    path = network_path(problem, PathOptions(**SMALL))
    assert path.converged
    assert worst_kkt(problem, path) <= 1.01e-3
    for inputs in path.inputs:
        counts = np.unique(groups[inputs], return_counts=True)[1]
        assert (counts == 3).all()
        assert not np.isin([0, 1, 2], inputs).any()
    assert path.networks[0].free.shape == (4, 1)  # the intercept, and the three inputs of the free group


@pytest.mark.parametrize("l1_ratio", [1.0, 0.2])
def test_alpha_max_is_where_the_first_gate_opens(l1_ratio: float) -> None:
    problem = problem_of("multinomial-wide")
    options = PathOptions(l1_ratio=l1_ratio, **SMALL)
    top = alpha_max(problem, closed(problem, options)) / l1_ratio
    path = network_path(problem, options, alphas=[1.001 * top, 0.97 * top])
    assert path.n_nonzero.tolist() == [0, path.n_nonzero[1]]
    assert path.n_nonzero[1] > 0


@pytest.mark.parametrize("name", ["squared-wide", "logistic-wide", "multinomial-wide"])
def test_alpha_max_is_that_of_the_linear_model_times_the_root_of_two(name: str) -> None:
    """Whatever the upper weights: their rows are orthonormal, and tanh has slope 1 at zero."""
    problem, row = problem_of(name), PROBLEMS[name]
    X = problem.design.columns(np.arange(problem.design.p))
    linear = spred.path(X, row.y, loss=row.loss, n_alphas=1).alphas[0]
    for seed in range(3):
        top = alpha_max(problem, closed(problem, PathOptions(hidden=(8, 5), seed=seed)))
        assert top == pytest.approx(np.sqrt(2.0) * linear)
    alone = alpha_max(problem, closed(problem, PathOptions(hidden=(8,), linear=False)))
    assert alone == pytest.approx(linear)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.3])
def test_small_signals_make_the_network_a_lasso_or_an_elastic_net(l1_ratio: float) -> None:
    """Near alpha_max a slope s takes weights of norm |s|/√2: the L1 part is divided by √2, the ridge by 2."""
    problem = problem_of("squared-wide")
    alpha = 0.995 * alpha_max(problem, closed(problem, PathOptions())) / l1_ratio
    path = network_path(problem, PathOptions(kkt_tol=1e-6, l1_ratio=l1_ratio), alphas=[alpha])
    X = problem.design.columns(np.arange(120))
    l1, ridge = alpha * l1_ratio / np.sqrt(2.0), alpha * (1.0 - l1_ratio) / 2.0
    exact = spred.solve(X, problem.y, alpha=l1 + ridge, l1_ratio=l1 / (l1 + ridge))
    (network,), (inputs,) = path.networks, path.inputs
    np.testing.assert_array_equal(inputs, exact.support)
    slope = network.first[:, 0] + network.first[:, 1:] @ (network.upper[0][0] / np.cosh(network.biases[0]) ** 2)
    np.testing.assert_allclose(slope, exact.coef[inputs], rtol=0.05)


@pytest.mark.parametrize("l1_ratio", [1.0, 0.4])
def test_a_second_fit_keeps_the_inputs_and_shrinks_less(l1_ratio: float) -> None:
    problem = problem_of("logistic-wide")
    path = network_path(problem, PathOptions(refit=True, l1_ratio=l1_ratio, **SMALL))
    plain = network_path(problem, PathOptions(l1_ratio=l1_ratio, **SMALL))
    assert path.converged
    assert path.refit_residuals.shape == path.alphas.shape
    np.testing.assert_array_equal(path.kkts, plain.kkts)
    for alpha, refit, network, inputs in zip(path.alphas, path.models, path.networks, path.inputs, strict=True):
        assert refit.first.shape == network.first.shape
        X = problem.design.columns(inputs)
        fits = [problem.value(problem.forward(each, X).eta) for each in (refit, network)]
        assert not len(inputs) or fits[0] < fits[1]
        slope = gradient_by_torch(problem, refit, X).first
        np.testing.assert_allclose(slope, -alpha * refit.first, atol=2e-3 * alpha)
    assert plain.models == plain.networks


@pytest.mark.parametrize("name", ["squared-wide", "multinomial-wide", "cox-tall"])
@pytest.mark.parametrize("linear", [True, False])
def test_slopes_are_those_of_small_changes(name: str, linear: bool) -> None:
    problem = problem_of(name, feature_groups=np.arange(PROBLEMS[name].X.shape[1]) // 2)
    inputs = np.arange(2, 8)
    network, step = random_network(problem, len(inputs), (4, 3), linear=linear), 1e-5
    slopes = used_slopes(problem, State(network, inputs))
    X, squares = problem.design.columns(inputs), np.zeros(len(problem.weights))
    for j, group in enumerate(problem.labels[inputs]):
        moves = (X + way * step * np.eye(len(inputs))[j] for way in (1.0, -1.0))
        up, down = (problem.forward(network, moved).eta for moved in moves)
        squares[group] += np.sum(((up - down) / (2.0 * step)) ** 2, axis=1).mean()
    np.testing.assert_allclose(slopes, np.sqrt(squares), rtol=1e-6, atol=1e-12)


def test_a_dense_start_finds_linear_effects_beside_squares_and_products() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 30))
    y = np.sin(2.0 * X[:, 0]) + X[:, 1] ** 2 + X[:, 2] * X[:, 3] + X[:, 4] + 0.3 * rng.standard_normal(400)
    problem = gated(make_problem(X, (y - y.mean()) / y.std(), loss="squared", standardize=True), "tanh")
    path = network_path(problem, PathOptions(hidden=(20,), start="dense", n_alphas=10, kkt_tol=0.03))
    assert [0, 1, 2, 3, 4] in [inputs.tolist() for inputs in path.inputs]


def test_a_product_is_seen_from_a_dense_start_alone() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 8))
    y = X[:, 3] * X[:, 6] + 0.3 * rng.standard_normal(300)
    model = spred.NetworkRegressor(hidden=20, n_alphas=8, cv=2, start="auto", rule=2).fit(X, y)
    assert model.start_ == "dense"
    assert model.get_support(indices=True).tolist() == [3, 6]
    assert model.curves_["dense"].mean.min() < 0.7 * model.curves_["sparse"].mean.min()


def test_paths_repeat_to_the_bit_and_differ_between_seeds() -> None:
    problem = problem_of("logistic-wide")
    one, again, other = (network_path(problem, PathOptions(seed=seed, **SMALL)) for seed in (1, 1, 2))
    assert all(
        (a == b).all()
        for ours, theirs in zip(one.networks, again.networks, strict=True)
        for a, b in zip(ours.parts, theirs.parts, strict=True)
    )
    assert one.objectives[-1] != other.objectives[-1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": "dence"}, "did you mean 'dense'"),
        ({"hidden": ()}, "width of each hidden layer"),
        ({"hidden": (0,)}, "width of each hidden layer"),
        ({"n_alphas": 0}, "n_alphas is 0"),
        ({"eps": 1.0}, "eps is 1.0"),
        ({"l1_ratio": 0.0}, "l1_ratio is 0.0"),
        ({"l1_ratio": [1.0, 0.5]}, "give one number here"),
        ({"kkt_tol": 0.0}, "kkt_tol is 0.0"),
    ],
)
def test_options_out_of_range_are_refused(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        PathOptions(**options)


def test_alphas_must_be_positive() -> None:
    with pytest.raises(InputError, match="positive, finite"):
        network_path(problem_of("squared-wide"), PathOptions(), alphas=[1.0, 0.0])
