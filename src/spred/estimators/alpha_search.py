"""The choice of alpha by cross-validation, for linear models and networks alike.

A candidate is one choice of everything but alpha: a ratio of L1, a start. Each has a path of all samples, whose alphas
are then solved in every fold; the mean held-out deviances make its curve, the rule names one alpha on it, and the
candidate of the lowest deviance is kept. How a path is made and how a fold is judged is up to the estimators.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar

import numpy as np

from spred import errors
from spred.estimators.cross_validation import Curve, Rule, Split, make_curve
from spred.linear.results import Status
from spred.runtime.tasks import Arrays, Store, run_tasks, tracking


class AlphaPath(Protocol):
    """What the search reads of a path."""

    @property
    def alphas(self) -> np.ndarray:
        """``(A,)``, falling."""

    @property
    def n_nonzero(self) -> np.ndarray:
        """``(A,)``, features in the model of each alpha."""


P = TypeVar("P", bound=AlphaPath)


@dataclass(frozen=True)
class Candidate(Generic[P]):
    """One choice of everything but alpha.

    Attributes:
        path: solves the path of all samples.
        fold: fits the training part of a split at the alphas of that path, judges the test part, and returns
            :func:`fold_result`; may run in another process.
        inputs: what the numbers of a fold depend on, beside the split and the alphas.
    """

    path: Callable[[], P]
    fold: Callable[[Split, np.ndarray], Arrays]
    inputs: tuple[object, ...] = ()


@dataclass(frozen=True, eq=False)
class Reached:
    """How near its optimum each of some models came: a gap or a KKT residual ``(N,)``, and why its solver stopped."""

    values: np.ndarray
    statuses: Sequence[Status]


@dataclass(frozen=True, eq=False)
class Searched(Generic[P]):
    """What was found for a candidate: its path, its curve, and how near their optima the models of the folds came."""

    path: P
    curve: Curve
    folds: Reached


def fold_result(deviances: np.ndarray, reached: Reached) -> Arrays:
    """Return the mean held-out deviance of each alpha, and how near its optimum each model came, as arrays."""
    statuses = np.array([status.value for status in reached.statuses], dtype=str)
    return {"deviances": deviances, "reached": reached.values, "statuses": statuses}


def search(
    candidates: Sequence[Candidate[P]],
    folds: Sequence[Split],
    *,
    rule: Rule,
    n_jobs: int | None = None,
    before: int = 0,
) -> list[Searched[P]]:
    """Return the path and the curve of each candidate; without folds every deviance of a curve is 0.

    Inside :func:`~spred.runtime.tasks.tracked`, each finished path counts as a piece of the work, that of all samples
    and those of the folds; the latter are kept in its store. ``before`` is how many candidates were searched already.
    """
    found: list[Searched[P]] = []
    each = 1 + len(folds)
    with tracking() as outer:

        def report(finished: int, done: int, _: int) -> None:
            if outer.on_done is not None:
                outer.on_done(finished + done, each * (before + len(candidates)))

        for candidate in candidates:
            finished = each * (before + len(found))
            path = candidate.path()
            report(finished, 1, each)
            pieces = run_tasks(
                candidate.fold,
                [(split, path.alphas) for split in folds],
                n_jobs=n_jobs,
                store=None if outer.store is None else _stage(outer.store, candidate, path, folds),
                on_done=partial(report, finished + 1),
            )
            found.append(_searched(path, pieces, rule))
    return found


def _stage(store: Store, candidate: Candidate[P], path: P, folds: Sequence[Split]) -> Store:
    return store.stage("alphas", *candidate.inputs, path.alphas, [part for split in folds for part in split])


def _searched(path: P, pieces: Sequence[Arrays], rule: Rule) -> Searched[P]:
    deviances = [piece["deviances"] for piece in pieces] or [np.zeros(len(path.alphas))]
    curve = make_curve(path.alphas, np.column_stack(deviances), path.n_nonzero, rule)
    reached = [Reached(piece["reached"], [Status(value) for value in piece["statuses"]]) for piece in pieces]
    return Searched(path, curve, together(reached))


def best_of(found: Iterable[Searched[P]], rule: Rule) -> Searched[P]:
    """Return the candidate of the lowest held-out deviance on its curve, or among its models of at most k features."""
    return min(found, key=lambda one: _lowest(one.curve, rule))


def _lowest(curve: Curve, rule: Rule) -> float:
    return float(curve.mean[curve.index if isinstance(rule, (int, np.integer)) else curve.index_min])


@dataclass(frozen=True)
class Measure:
    """What a tolerance is on, and what would let the solver go on."""

    name: str
    more: str


GAP = Measure("relative duality gap", "more steps or seconds")
KKT = Measure("KKT residual over alpha·l1_ratio", "more steps")


def warn_unless_reached(reached: Reached, measure: Measure, tolerance: str, limit: float) -> None:
    """Warn of models that did not reach ``limit``, the value of the argument ``tolerance``; to be called by ``fit``."""
    short = [i for i, status in enumerate(reached.statuses) if status is not Status.CONVERGED]
    if not short:
        return
    worst = max(short, key=lambda i: reached.values[i])
    where = f" at {len(short)} of {len(reached.statuses)} alphas" if len(reached.statuses) > 1 else ""
    warnings.warn(
        f"{reached.statuses[worst].value}{where} at a {measure.name} of {reached.values[worst]:.1e}, "
        f"above {tolerance}={limit:g}; allow {measure.more}, or a larger {tolerance}",
        errors.ConvergenceWarning,
        stacklevel=3,
    )


def together(several: Iterable[Reached]) -> Reached:
    """Return the models of several as one record."""
    listed = list(several)
    values = np.concatenate([np.zeros(0), *(one.values for one in listed)])
    return Reached(values, [status for one in listed for status in one.statuses])
