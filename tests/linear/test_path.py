"""The engine against independent oracles, on every problem of the table; each answer with its certificate."""

from __future__ import annotations

import numpy as np
import pytest
from oracles import fista, null_gradient, objective, scikit_learn
from problems import PROBLEMS, Problem
from scipy import sparse

import spred
from spred.core.partition import SINGLES, Axes, Labels
from spred.core.penalties import Penalty, alpha_max
from spred.errors import ConvergenceWarning, InputError
from spred.linear.problem import make_problem
from spred.linear.solvers.least_squares_groups import LeastSquaresGroups
from spred.linear.solvers.newton import Newton
from spred.linear.solvers.path_solver import SOLVERS, solver_of
from spred.linear.solvers.presolve import reduced

NAMES = sorted(PROBLEMS)
ONE_OUTPUT = [name for name in NAMES if not name.startswith("multinomial")]


def alpha_of(problem: Problem, penalty: Penalty, fraction: float) -> float:
    return fraction * alpha_max(null_gradient(problem), penalty)


def objective_of(problem: Problem, penalty: Penalty, solution: spred.Solution) -> float:
    return objective(problem, penalty, np.asarray(solution.coef).T, np.asarray(solution.intercept))


def assert_optimal(problem: Problem, penalty: Penalty, solution: spred.Solution, reference: float) -> None:
    assert solution.status is spred.Status.CONVERGED
    assert solution.gap <= 1e-9
    assert solution.kkt <= 1e-6
    reached = objective_of(problem, penalty, solution)
    assert reached == pytest.approx(solution.certificate.primal, rel=1e-10)
    assert reached <= reference * (1 + 1e-9)


@pytest.mark.parametrize("fraction", [0.5, 0.05])
@pytest.mark.parametrize("name", NAMES)
def test_l1_is_never_worse_than_fista(name: str, fraction: float) -> None:
    problem = PROBLEMS[name]
    penalty = Penalty(alpha_of(problem, Penalty(1.0), fraction))
    solution = spred.solve(problem.X, problem.y, loss=problem.loss, alpha=penalty.alpha, row_sparse=False)
    assert_optimal(problem, penalty, solution, fista(problem, penalty, tol=1e-9).objective)


@pytest.mark.parametrize("name", NAMES)
def test_elastic_net_is_never_worse_than_fista(name: str) -> None:
    problem = PROBLEMS[name]
    penalty = Penalty(alpha_of(problem, Penalty(1.0), 0.1), l1_ratio=0.5)
    solution = spred.solve(problem.X, problem.y, loss=problem.loss, alpha=penalty.alpha, l1_ratio=0.5, row_sparse=False)
    assert_optimal(problem, penalty, solution, fista(problem, penalty, tol=1e-9).objective)


@pytest.mark.parametrize("fraction", [0.5, 0.05])
@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("multinomial")])
def test_rows_are_in_or_out_for_all_classes(name: str, fraction: float) -> None:
    problem = PROBLEMS[name]
    penalty = Penalty(alpha_of(problem, Penalty(1.0, partition=Axes((0,))), fraction), partition=Axes((0,)))
    solution = spred.solve(problem.X, problem.y, loss="multinomial", alpha=penalty.alpha)
    assert_optimal(problem, penalty, solution, fista(problem, penalty, tol=1e-9).objective)
    used = solution.coef != 0
    assert (used.all(axis=0) == used.any(axis=0)).all()
    assert len(solution.support) > 0


@pytest.mark.parametrize("name", ["squared-tall", "squared-wide", "logistic-tall", "logistic-wide", "multinomial-wide"])
def test_feature_groups_enter_together(name: str) -> None:
    problem = PROBLEMS[name]
    p = problem.X.shape[1]
    groups = np.arange(p) % (p // 4)
    k = 1 if len(problem.coef_shape) == 1 else problem.coef_shape[1]
    labels = np.repeat(groups, k).reshape(problem.coef_shape)
    weights = np.sqrt(np.bincount(groups))
    shape = Penalty(1.0, weights=weights, partition=Labels(labels, p // 4))
    penalty = Penalty(alpha_of(problem, shape, 0.2), weights=weights, partition=shape.partition)
    solution = spred.solve(problem.X, problem.y, loss=problem.loss, alpha=penalty.alpha, feature_groups=groups)
    assert_optimal(problem, penalty, solution, fista(problem, penalty, tol=1e-9).objective)
    used = np.atleast_2d(solution.coef).any(axis=0)
    assert all(len(set(used[groups == g])) == 1 for g in range(p // 4))


@pytest.mark.parametrize("name", ["squared-wide", "squared-correlated", "logistic-wide", "logistic-sparse"])
def test_support_and_coefficients_agree_with_scikit_learn(name: str) -> None:
    problem = PROBLEMS[name]
    alpha = alpha_of(problem, Penalty(1.0), 0.2)
    solution = spred.solve(problem.X, problem.y, loss=problem.loss, alpha=alpha)
    reference = scikit_learn(problem, alpha)
    if problem.loss == "squared":  # scikit-learn's saga stops too early for a comparison of coefficients
        np.testing.assert_allclose(solution.coef, reference.coef, atol=1e-6)
    assert objective_of(problem, Penalty(alpha), solution) <= reference.objective * (1 + 1e-9)


def test_lasso_is_never_worse_than_celer() -> None:
    celer = pytest.importorskip("celer")
    problem = PROBLEMS["squared-wide"]
    alpha = alpha_of(problem, Penalty(1.0), 0.1)
    model = celer.Lasso(alpha=alpha, tol=1e-12).fit(problem.X, problem.y)
    theirs = objective(problem, Penalty(alpha), model.coef_, model.intercept_)
    ours = spred.solve(problem.X, problem.y, alpha=alpha)
    assert_optimal(problem, Penalty(alpha), ours, theirs)


def test_logistic_is_never_worse_than_skglm() -> None:
    skglm = pytest.importorskip("skglm")
    problem = PROBLEMS["logistic-tall"]
    alpha = alpha_of(problem, Penalty(1.0), 0.1)
    columns = np.asfortranarray(problem.X)  # skglm warns of others
    model = skglm.SparseLogisticRegression(alpha=alpha, tol=1e-10).fit(columns, problem.y)
    theirs = objective(problem, Penalty(alpha), model.coef_.ravel(), model.intercept_.ravel()[0])
    ours = spred.solve(problem.X, problem.y, loss="logistic", alpha=alpha)
    assert_optimal(problem, Penalty(alpha), ours, theirs)


@pytest.mark.parametrize("name", NAMES)
def test_a_path_is_certified_at_every_alpha_and_equals_single_solutions(name: str) -> None:
    problem = PROBLEMS[name]
    path = spred.path(problem.X, problem.y, loss=problem.loss, n_alphas=20, eps=0.05)
    assert path.converged
    assert path.gaps.max() <= 1e-9
    assert path.n_nonzero[0] == 0
    assert (np.diff(path.deviance_explained) >= -1e-12).all()
    middle = len(path.alphas) // 2
    single = spred.solve(problem.X, problem.y, loss=problem.loss, alpha=path.alphas[middle])
    assert single.certificate.primal == pytest.approx(path.objectives[middle], rel=1e-9)


def test_an_automatic_grid_ends_when_saturated_and_a_given_one_never() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((12, 60))
    y = X[:, 0] - X[:, 1]
    automatic = spred.path(X, y, n_alphas=100, eps=1e-4)
    given = spred.path(X, y, alphas=np.geomspace(automatic.alphas[0], automatic.alphas[0] * 1e-4, 100))
    assert len(automatic.alphas) < 100
    assert len(given.alphas) == 100
    assert given.gaps.max() <= 1e-9


def test_alphas_are_solved_falling_whatever_their_order() -> None:
    problem = PROBLEMS["squared-tall"]
    path = spred.path(problem.X, problem.y, alphas=[0.01, 0.5, 0.1])
    assert path.alphas.tolist() == [0.5, 0.1, 0.01]


@pytest.mark.parametrize("name", ["squared-sparse", "logistic-sparse"])
def test_sparse_and_dense_agree_with_standardisation(name: str) -> None:
    problem = PROBLEMS[name]
    for form in (sparse.csr_array, sparse.csc_matrix, lambda X: X.toarray(), lambda X: np.asfortranarray(X.toarray())):
        solution = spred.solve(form(problem.X), problem.y, loss=problem.loss, alpha=0.05, standardize=True)
        base = spred.solve(problem.X, problem.y, loss=problem.loss, alpha=0.05, standardize=True)
        np.testing.assert_allclose(solution.coef, base.coef, atol=1e-8)
        assert solution.gap <= 1e-9


def test_standardize_is_the_same_as_scaling_by_hand() -> None:
    problem = PROBLEMS["logistic-tall"]
    scale = problem.X.std(axis=0)
    own = spred.solve(problem.X * 7, problem.y, loss="logistic", alpha=0.02, standardize=True)
    hand = spred.solve(problem.X / scale, problem.y, loss="logistic", alpha=0.02)
    np.testing.assert_allclose(own.coef, hand.coef / scale / 7, atol=1e-8)


@pytest.mark.parametrize("name", ["squared-tall", "logistic-tall", "multinomial-tall"])
def test_a_sample_weight_of_two_is_the_row_twice(name: str) -> None:
    problem = PROBLEMS[name]
    times = np.arange(len(problem.y)) % 3
    repeated = np.repeat(np.arange(len(problem.y)), times)
    weighted = spred.solve(problem.X, problem.y, loss=problem.loss, alpha=0.03, sample_weight=times, standardize=True)
    doubled = spred.solve(problem.X[repeated], problem.y[repeated], loss=problem.loss, alpha=0.03, standardize=True)
    np.testing.assert_allclose(weighted.coef, doubled.coef, atol=1e-7)


@pytest.mark.parametrize("name", ["squared-wide", "logistic-wide", "multinomial-wide"])
def test_a_free_feature_is_fitted_at_any_alpha(name: str) -> None:
    problem = PROBLEMS[name]
    weights = np.ones(problem.X.shape[1])
    weights[7] = 0.0
    huge = spred.path(problem.X, problem.y, loss=problem.loss, n_alphas=3, penalty_weights=weights)
    assert huge.n_nonzero[0] == 1
    assert np.atleast_2d(huge.coefs[0])[:, 7].all()
    assert huge.gaps.max() <= 1e-9


def test_an_offset_is_a_part_of_the_predictor_that_is_known() -> None:
    problem = PROBLEMS["squared-tall"]
    known = np.linspace(-2.0, 2.0, len(problem.y))
    with_it = spred.solve(problem.X, problem.y + known, alpha=0.05, offset=known)
    without = spred.solve(problem.X, problem.y, alpha=0.05)
    np.testing.assert_allclose(with_it.coef, without.coef, atol=1e-9)
    counts = np.random.default_rng(0).poisson(np.exp(0.5 * problem.X[:, 0] + known))
    path = spred.path(problem.X, counts, loss="poisson", offset=known, n_alphas=10)
    assert path.gaps.max() <= 1e-9
    assert path.n_nonzero[1] >= 1


def test_penalty_weights_scale_columns() -> None:
    problem = PROBLEMS["squared-wide"]
    weights = np.linspace(0.5, 2.0, problem.X.shape[1])
    own = spred.solve(problem.X, problem.y, alpha=0.05, penalty_weights=weights)
    scaled = spred.solve(problem.X / weights, problem.y, alpha=0.05)
    np.testing.assert_allclose(own.coef, scaled.coef / weights, atol=1e-9)


OPTIONS: dict[str, dict[str, object]] = {
    "plain": {},
    "elastic net": {"l1_ratio": 0.4},
    "standardised": {"standardize": True},
    "no intercept": {"fit_intercept": False},
    "weights": {"penalty_weights": np.r_[0.0, np.linspace(0.5, 2.0, 9)]},
    "positive": {"positive": True},
    "groups": {"feature_groups": np.arange(10) // 3},
    "sparse groups": {"feature_groups": np.arange(10) // 3, "within_ratio": 0.5},
    "samples": {"sample_weight": 1.0 + np.arange(80) % 3},
    "offset": {"offset": np.linspace(-1.0, 1.0, 80)},
}


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("name", ["logistic-tall", "poisson-tall"])
def test_alpha_max_is_where_the_first_feature_enters_and_the_grid_begins(name: str, option: str) -> None:
    problem, given = PROBLEMS[name], {"loss": PROBLEMS[name].loss, **OPTIONS[option]}
    top = spred.alpha_max(problem.X, problem.y, **given)
    free = option == "weights"
    above, below = (spred.solve(problem.X, problem.y, alpha=f * top, **given) for f in (1.0001, 0.999))
    assert above.support.tolist() == ([0] if free else [])
    assert len(below.support) > len(above.support)
    assert spred.path(problem.X, problem.y, n_alphas=1, **given).alphas[0] == top


@pytest.mark.parametrize("name", NAMES)
def test_alpha_max_is_that_of_the_null_gradient(name: str) -> None:
    problem = PROBLEMS[name]
    top = spred.alpha_max(problem.X, problem.y, loss=problem.loss, row_sparse=False)
    assert top == pytest.approx(alpha_of(problem, Penalty(1.0), 1.0))


def test_alpha_max_of_bad_input_gets_one_sentence() -> None:
    with pytest.raises(InputError, match="y has shape"):
        spred.alpha_max(np.ones((4, 2)), np.zeros(3))


def test_the_first_solver_whose_needs_are_met_is_taken() -> None:
    def taken(name: str, **given: object) -> type:
        row = PROBLEMS[name]
        return solver_of(reduced(make_problem(row.X, row.y, loss=row.loss, **given)).problem)

    pairs = np.arange(12) // 2
    assert taken("squared-tall") is taken("logistic-tall") is taken("poisson-tall", l1_ratio=0.1) is SOLVERS[0]
    assert taken("squared-tall", feature_groups=pairs) is LeastSquaresGroups
    assert taken("logistic-tall", feature_groups=pairs[:10]) is taken("huber-tall") is taken("cox-tall") is Newton
    assert taken("squared-tall", l1_ratio=0.0) is taken("multinomial-tall") is Newton
    assert SOLVERS[-1] is Newton  # which needs nothing, so that each problem has one


def test_separable_classes_are_no_trouble() -> None:
    X = np.linspace(-1, 1, 30)[:, None] * np.ones((1, 5)) + np.random.default_rng(0).normal(scale=0.01, size=(30, 5))
    path = spred.path(X, (X[:, 0] > 0).astype(float), loss="logistic", n_alphas=30, eps=1e-4)
    assert path.gaps.max() <= 1e-9


def test_duplicates_do_not_change_the_objective() -> None:
    problem = PROBLEMS["squared-flawed"]
    twice = spred.solve(problem.X, problem.y, alpha=0.05)
    once = spred.solve(problem.X[:, [0, 2, 3, 4, 5, 6, 7, 8, 9]], problem.y, alpha=0.05)
    assert twice.certificate.primal == pytest.approx(once.certificate.primal, rel=1e-9)
    assert twice.coef[2] == 0.0
    assert twice.coef[3] == 0.0


def test_a_constant_target_gives_the_null_model() -> None:
    path = spred.path(np.random.default_rng(0).normal(size=(10, 3)), np.full(10, 4.0), n_alphas=3)
    assert path.n_nonzero.tolist() == [0, 0, 0]
    np.testing.assert_allclose(path.intercepts, 4.0)


def test_limits_are_kept_and_reported() -> None:
    problem = PROBLEMS["logistic-wide"]
    with pytest.warns(ConvergenceWarning, match=r"1 of 1 alphas stopped by iterations, .* gap of \d"):
        few = spred.solve(problem.X, problem.y, loss="logistic", alpha=0.001, max_iter=1)
    slow = PROBLEMS["multinomial-wide"]
    with pytest.warns(ConvergenceWarning, match="1 of 1 alphas stopped by time"):
        late = spred.solve(slow.X, slow.y, loss="multinomial", alpha=0.001, max_seconds=0.0)
    with pytest.warns(ConvergenceWarning, match="of 5 alphas stopped by time"):
        spred.path(slow.X, slow.y, loss="multinomial", n_alphas=5, max_seconds=0.0)
    assert few.status is spred.Status.ITERATIONS
    assert few.gap > 1e-9
    assert late.status is spred.Status.TIME


def test_the_null_model_is_where_the_path_begins() -> None:
    problem = PROBLEMS["multinomial-tall"]
    penalty = Penalty(1.0, partition=Axes((0,)))
    top = alpha_max(null_gradient(problem), penalty)
    path = spred.path(problem.X, problem.y, loss="multinomial", n_alphas=5)
    assert path.alphas[0] == pytest.approx(top)
    just_below = spred.solve(problem.X, problem.y, loss="multinomial", alpha=0.99 * top)
    assert len(just_below.support) == 1


@pytest.mark.parametrize("partition", [SINGLES, Axes((0,))])
def test_fit_without_intercept(partition: object) -> None:
    problem = PROBLEMS["multinomial-tall"]
    row_sparse = partition is not SINGLES
    solution = spred.solve(
        problem.X, problem.y, loss="multinomial", alpha=0.05, row_sparse=row_sparse, fit_intercept=False
    )
    assert solution.gap <= 1e-9
    assert (solution.intercept == 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"alpha": -1.0}, "alpha is -1.0"),
        ({"alpha": 0.0}, "alpha is 0.0"),
        ({"alpha": np.nan}, "alpha is nan"),
        ({"l1_ratio": -0.1}, "l1_ratio is -0.1"),
        ({"l1_ratio": 1.5}, "l1_ratio is 1.5"),
        ({"loss": "sqared"}, "did you mean 'squared'"),
        ({"X": np.zeros((5, 0))}, "X is empty"),
        ({"X": np.zeros(5)}, "1 dimension"),
        ({"X": [["a"], ["b"]]}, "cannot be read as numbers"),
        ({"y": np.zeros(4)}, "y has shape (4,), and X has 5 samples"),
        ({"y": [0.0, 1.0, np.nan, 1.0, 0.0]}, "y has NaN or infinity at sample 2"),
        ({"loss": "logistic"}, "y must hold 0 and 1"),
        ({"loss": "logistic", "y": np.zeros(5)}, "class 1 has no sample"),
        ({"loss": "multinomial", "y": [0, 1, 3, 1, 0]}, "class 2 has no sample"),
        ({"loss": "multinomial", "y": [0, 1, 0.5, 1, 0]}, "class numbers"),
        ({"sample_weight": [1, 1, 1, 1]}, "sample_weight has shape (4,)"),
        ({"sample_weight": [1, 1, -1, 1, 1]}, "sample_weight must be finite, not negative"),
        ({"penalty_weights": [1.0]}, "penalty_weights has shape (1,)"),
        ({"penalty_weights": [1.0, -1.0]}, "penalty_weights must be finite"),
        ({"feature_groups": [0]}, "feature_groups has shape (1,)"),
    ],
)
def test_bad_input_gets_one_sentence(change: dict, message: str) -> None:
    good = {"X": np.arange(10.0).reshape(5, 2) ** 2, "y": np.arange(5.0), "alpha": 0.1}
    given = good | change
    with pytest.raises(InputError) as caught:
        spred.solve(given.pop("X"), given.pop("y"), **given)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_bad_value_is_named_by_its_column() -> None:
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({"TP53": [1.0, 2.0, 3.0], "KRAS": [1.0, np.inf, 0.0]})
    with pytest.raises(InputError, match="'KRAS'"):
        spred.solve(table, [1.0, 2.0, 3.0], alpha=0.1)
    with pytest.raises(InputError, match="column 1"):
        spred.solve(sparse.csc_array(table.to_numpy()), [1.0, 2.0, 3.0], alpha=0.1)


@pytest.mark.parametrize("change", [{"n_alphas": 0}, {"eps": 0.0}, {"eps": 1.5}, {"alphas": []}, {"alphas": [0.1, -1]}])
def test_bad_grids_are_refused(change: dict) -> None:
    problem = PROBLEMS["squared-tall"]
    with pytest.raises(InputError):
        spred.path(problem.X, problem.y, **change)


def test_free_columns_that_separate_the_classes_end_soon() -> None:
    rng = np.random.default_rng(0)
    classes, level = rng.integers(0, 3, 26), rng.integers(0, 7, 26)
    X = np.hstack([rng.normal(size=(26, 5)), (level[:, None] == np.arange(1, 7)).astype(float)])
    free = np.r_[np.ones(5), np.zeros(6)]
    with pytest.warns(ConvergenceWarning, match="separate part of the target"):
        path = spred.path(X, classes, loss="multinomial", penalty_weights=free, n_alphas=5)
    assert len(path.alphas) == 5
    assert path.kkts.max() < 1e-8
    # The infimum is at infinity: what is certified is how near to it the objective is.
    with pytest.warns(ConvergenceWarning, match="separate part of the target"):
        further = spred.path(X, classes, loss="multinomial", penalty_weights=free, alphas=path.alphas, tol=1e-14)
    assert path.gaps.max() <= 1e-9
    assert (path.objectives - further.objectives <= 1e-12).all()
