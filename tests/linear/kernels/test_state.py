"""The records of the compiled loops: what they share with Python, how they grow, and that their code is cached."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
from kernel_records import factor_of, gradient_of, iterate_of, penalty_of

from spred import path
from spred.linear.kernels import factor, state
from spred.linear.kernels.columns import Columns

RNG = np.random.default_rng(0)


def test_the_penalty_of_each_position_follows_the_levels() -> None:
    weights = np.array([0.0, 1.0, 2.0])
    columns = RNG.standard_normal((3, 10))
    iterate = iterate_of(columns, np.full(10, 0.1), x=np.zeros(3), weights=weights)
    state.set_penalty(iterate, 0.5, 0.25)
    lam, ridge, diagonal = penalty_of(iterate)
    np.testing.assert_array_equal(lam, 0.5 * weights)
    np.testing.assert_array_equal(ridge, 0.25 * weights)
    np.testing.assert_allclose(diagonal, ridge + state.DAMPING * (columns**2).mean(axis=1), rtol=1e-15)


def test_another_ridge_asks_for_a_new_hessian_and_another_level_does_not() -> None:
    iterate = iterate_of(RNG.standard_normal((3, 10)), np.full(10, 0.1), x=np.zeros(3))
    state.set_penalty(iterate, 0.5, 0.25)
    factor.build(iterate, np.arange(3), np.ones(3, dtype=bool))
    state.set_penalty(iterate, 0.4, 0.25)
    assert len(factor_of(iterate)[1]) == 3
    state.set_penalty(iterate, 0.4, 0.2)
    assert len(factor_of(iterate)[1]) == 0


def test_a_factor_keeps_its_rows_when_it_grows() -> None:
    iterate = iterate_of(RNG.standard_normal((5, 10)), np.full(10, 0.1), x=np.zeros(5))
    state.set_penalty(iterate, 0.5, 0.0)
    factor.build(iterate, np.arange(5), np.arange(5) % 2 == 0)
    before, order = factor_of(iterate)
    state.reserve(iterate, 10 * state.CAPACITY)
    after, same = factor_of(iterate)
    np.testing.assert_array_equal(np.tril(after), np.tril(before))
    np.testing.assert_array_equal(order, same)


def test_arrays_are_shared_with_python() -> None:
    eta = RNG.standard_normal(10)
    iterate = iterate_of(RNG.standard_normal((2, 10)), np.full(10, 0.1), x=np.zeros(2), eta=eta)
    theta, g = gradient_of(iterate)
    theta[3] = 7.0
    assert gradient_of(iterate)[0][3] == 7.0
    x = np.array([1.0, 2.0, 0.0])
    columns: Columns = RNG.standard_normal((3, 10))
    # Features 0 and 1 alone are known to the screening record: the third position is a second one of feature 0.
    state.extend(iterate, columns, np.array([0, 1, 0]), x, np.zeros(3))
    assert len(gradient_of(iterate)[1]) == 3
    assert len(g) == 2


CHILD = """
import json
import numpy as np
from scipy import sparse
from spred import path
from spred.linear.kernels import newton, screening, state
rng = np.random.default_rng(0)
X = rng.standard_normal((20, 30))
path(X, X[:, 0], n_alphas=3)
path(sparse.csc_array(X), X[:, 0], n_alphas=3)
entries = state.new_screening, state.new_iterate, state.extend, screening.starting_set, newton.refine, newton.objectives
print(json.dumps([[sum(entry.stats.cache_hits.values()), sum(entry.stats.cache_misses.values())] for entry in entries]))
"""


def test_a_second_process_loads_the_compiled_loops_and_compiles_none() -> None:
    from scipy import sparse

    X = np.random.default_rng(0).standard_normal((20, 30))
    for given in (X, sparse.csc_array(X)):
        path(given, X[:, 0], n_alphas=3)  # compiled here, if not before
    done = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[2, 0]] * 6
