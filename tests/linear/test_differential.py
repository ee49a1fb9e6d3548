"""Thirty random problems, every loss with every penalty, against the optimal values of CVXPY and Clarabel.

``scripts/check-exactness 30 --values`` prints them, where both are installed.
"""

from __future__ import annotations

import pytest
from differential import draw, objective

import spred

OPTIMA = {
    0: 0.0847103599664,
    1: 1.04016520167,
    2: 0.570720337034,
    3: 0.797052403311,
    4: 0.37036194252,
    5: 1.81774131567,
    6: 0.0631402866029,
    7: 0.953538623146,
    8: 0.611939799639,
    9: 0.444559600884,
    10: 1.01966340615,
    11: 1.11398345616,
    12: 0.0840324076361,
    13: 0.973250011075,
    14: 0.393514402656,
    15: 0.712803826189,
    16: 0.170244061323,
    17: 1.70535175716,
    18: 0.418241385645,
    19: 1.33687072773,
    20: 0.663639968679,
    21: 0.415800336183,
    22: 0.967565046381,
    23: 1.06489475973,
    24: 0.432299714641,
    25: 1.41748665189,
    26: 0.662437063574,
    27: 0.406597571723,
    28: 0.550228528486,
    29: 1.89700246325,
}


@pytest.mark.parametrize("seed", OPTIMA)
def test_it_is_as_good_as_an_interior_point_method_and_its_bound_is_one(seed: int) -> None:
    problem, best = draw(seed), OPTIMA[seed]
    found = spred.solve(problem.given, problem.y, **problem.options)
    assert objective(problem, found.coef, found.intercept) <= best * (1 + 1e-8)
    assert found.certificate.primal == pytest.approx(best, rel=1e-8)
    assert found.certificate.dual <= best * (1 + 1e-8)
    assert found.gap <= 1e-9
