"""Random problems of the exact engine against CVXPY and Clarabel: see scripts/check-exactness.

    scripts/check-exactness [N] [--first SEED] [--values]

It prints how many solutions are worse by more than 1e-7 relative to the objective, and how many certificates lie by
more than 10 times; the exit code is 1 if there is any. ``--values`` prints CVXPY's optimal values instead, as
tests/linear/test_differential.py has them.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

from differential import Drawn, by_cvxpy, draw, objective  # noqa: E402

import spred.errors  # noqa: E402

WORSE = 1e-7
"""Excess over CVXPY's objective, relative to it, that counts as worse."""

PEER = 1e-8
"""Relative accuracy of CVXPY's objective: no certificate is judged by less."""

LIES = 10.0
"""Factor by which a certificate may be too small."""


def null_objective(problem: Drawn) -> float:
    """The unit of gaps: the objective where every penalised coefficient is zero."""
    options = {name: value for name, value in problem.options.items() if name != "alpha"}
    top = spred.alpha_max(problem.given, problem.y, **options)
    return spred.solve(problem.given, problem.y, alpha=2.0 * top, **options).certificate.primal


def main() -> int:
    """Draw the problems, compare, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int, nargs="?", default=300, metavar="N", help="problems (300)")
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="the seed of the first (0)")
    parser.add_argument("--values", action="store_true", help="print CVXPY's optimal values alone")
    given = parser.parse_args()
    if find_spec("cvxpy") is None or find_spec("clarabel") is None:
        print("check-exactness: cvxpy or clarabel is not installed here; PYTHON=… names an interpreter that has both")
        return 0
    warnings.simplefilter("ignore")  # what did not converge is counted, and CVXPY's notes are its own
    seeds = range(given.first, given.first + given.count)
    if given.values:
        for seed in seeds:
            print(f"    {seed}: {by_cvxpy(draw(seed)):.12g},", flush=True)
        return 0
    worse = lies = short = failed = refused = 0
    for seed in seeds:
        problem = draw(seed)
        try:
            theirs = by_cvxpy(problem)
        except Exception as err:  # the peer's failure is no failure of ours: it is counted and printed
            failed += 1
            print(f"{problem}: CVXPY fails ({type(err).__name__})", flush=True)
            continue
        try:
            found = spred.solve(problem.given, problem.y, **problem.options)
        except spred.errors.InputError as err:
            refused += 1
            print(f"{problem}: refused, {err}", flush=True)
            continue
        ours, certificate = objective(problem, found.coef, found.intercept), found.certificate
        unit = null_objective(problem)
        excess = (ours - theirs) / unit
        is_worse = ours - theirs > WORSE * abs(theirs)
        above = (certificate.dual - theirs) / unit  # of a lower bound
        is_lie = excess > LIES * certificate.gap + PEER or above > PEER
        worse, lies = worse + is_worse, lies + is_lie
        short += found.status is not spred.Status.CONVERGED
        if is_worse or is_lie or found.status is not spred.Status.CONVERGED:
            verdict = "WORSE" if is_worse else "LIES" if is_lie else found.status.value
            print(f"{problem}: {verdict}, excess {excess:.1e}, gap {certificate.gap:.1e}", flush=True)
    print(
        f"{given.count} problems: {worse} worse by more than {WORSE:g}, {lies} certificates lie by more than "
        f"{LIES:g}×, {refused} refused, "
        f"{short} not converged, {failed} without an answer of CVXPY"
    )
    return int(worse + lies > 0)


if __name__ == "__main__":
    sys.exit(main())
