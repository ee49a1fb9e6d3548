"""One search for linear models and networks: curves, counts, kept folds, the best candidate, warnings."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from spred.errors import InputError
from spred.estimators.alpha_search import (
    GAP,
    KKT,
    Candidate,
    Reached,
    best_of,
    fold_result,
    search,
    together,
    warn_unless_reached,
)
from spred.estimators.cross_validation import Split
from spred.linear.results import Status
from spred.runtime.tasks import Arrays, Store, tracked

ALPHAS = np.array([4.0, 2.0, 1.0])
FOLDS: list[Split] = [(np.arange(4), np.array([4])), (np.arange(1, 5), np.array([0]))]


@dataclass
class FakePath:
    """A path of three alphas."""

    alphas: np.ndarray = field(default_factory=lambda: ALPHAS)
    n_nonzero: np.ndarray = field(default_factory=lambda: np.array([0, 1, 5]))


@dataclass
class Fold:
    """Deviances that tell the test sample and the alpha apart; counts its calls."""

    deviances: tuple[float, float, float]
    calls: int = 0

    def __call__(self, split: Split, alphas: np.ndarray) -> Arrays:
        self.calls += 1
        statuses = [Status.CONVERGED, Status.CONVERGED, Status.TIME if split[1][0] else Status.CONVERGED]
        return fold_result(np.array(self.deviances) + split[1][0], Reached(alphas / 100.0, statuses))


def candidate(*deviances: float, name: str = "") -> Candidate[FakePath]:
    return Candidate(FakePath, Fold(deviances), inputs=(name, deviances))


def test_deviances_of_the_folds_make_a_curve_and_the_rule_names_an_alpha() -> None:
    (found,) = search([candidate(3.0, 1.0, 2.0)], FOLDS, rule="min")
    np.testing.assert_array_equal(found.curve.folds, [[7.0, 3.0], [5.0, 1.0], [6.0, 2.0]])
    assert (found.curve.index, found.curve.index_min) == (1, 1)
    np.testing.assert_array_equal(found.curve.n_nonzero, [0, 1, 5])
    np.testing.assert_allclose(found.folds.values, np.r_[ALPHAS, ALPHAS] / 100.0)
    assert found.folds.statuses == [Status.CONVERGED] * 2 + [Status.TIME] + [Status.CONVERGED] * 3


def test_without_folds_the_curve_is_flat() -> None:
    (found,) = search([candidate(3.0, 1.0, 2.0)], [], rule="min")
    np.testing.assert_array_equal(found.curve.folds, np.zeros((3, 1)))
    assert found.folds.statuses == []


def test_the_best_candidate_has_the_lowest_deviance_or_that_of_its_small_models() -> None:
    low, small = candidate(9.0, 8.0, 1.0), candidate(9.0, 7.0, 6.0)
    for rule, best in (("min", 0), ("1se", 0), (1, 1), (lambda curve: 0, 0)):
        found = search([low, small], FOLDS, rule=rule)
        assert best_of(found, rule) is found[best]


def test_every_path_counts_once() -> None:
    done: list[tuple[int, int]] = []
    with tracked(on_done=lambda *step: done.append(step)):
        search([candidate(1.0, 1.0, 1.0), candidate(2.0, 2.0, 2.0)], FOLDS, rule="min")
    assert done == [(k, 6) for k in range(1, 7)]


def test_finished_folds_are_taken_from_the_store(tmp_path: Path) -> None:
    def run(one: Candidate[FakePath], folds: list[Split]) -> np.ndarray:
        with tracked(store=Store(tmp_path)):
            return search([one], folds, rule="min")[0].curve.folds

    first, again, other = candidate(3.0, 1.0, 2.0), candidate(3.0, 1.0, 2.0), candidate(3.0, 1.0, 2.0, name="other")
    np.testing.assert_array_equal(run(first, FOLDS), run(again, FOLDS))
    assert (first.fold.calls, again.fold.calls) == (2, 0)
    run(other, FOLDS)
    run(again, FOLDS[::-1])
    assert (other.fold.calls, again.fold.calls) == (2, 2)


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(InputError, match="did you mean"):
        search([candidate(1.0, 1.0, 1.0)], FOLDS, rule="1sd")


def test_what_was_not_reached_is_said_with_its_worst(recwarn: pytest.WarningsRecorder) -> None:
    warn_unless_reached(Reached(np.array([1.0]), [Status.CONVERGED]), GAP, "tol", 1e-9)
    assert not recwarn.list
    reached = [Reached(np.array([5.0, 0.1]), [Status.CONVERGED, Status.TIME]), Reached(np.array([0.2]), [Status.TIME])]
    with pytest.warns(ConvergenceWarning, match=r"time at 2 of 3 alphas at a KKT .* of 2\.0e-01, above kkt_tol=0\.001"):
        warn_unless_reached(together(reached), KKT, "kkt_tol", 1e-3)
    with pytest.warns(ConvergenceWarning, match=r"iterations at a relative duality gap of 1\.0e-01, above tol=1e-09"):
        warn_unless_reached(Reached(np.array([0.1]), [Status.ITERATIONS]), GAP, "tol", 1e-9)
