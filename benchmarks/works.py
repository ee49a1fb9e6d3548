"""The kinds of work by name: a loss with a penalty, and what has to be reached at the worst alpha of a path."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

import numpy as np
from datasets import Data
from objective import LOSSES, slopes_at_null
from problem import Problem

PEER_GAP = 1e-5
"""The relative duality gap that a peer has to reach."""


@dataclass(frozen=True)
class Work:
    """A row: ``loss`` of :data:`objective.LOSSES`; relative duality gap and KKT residual that spred has to reach."""

    loss: str
    gap: float = 1e-9
    kkt: float = inf


WORKS: dict[str, Work] = {
    "lasso": Work("squared"),
    "logistic": Work("logistic"),
    "multinomial": Work("multinomial", gap=1e-7),
    "cox": Work("cox", gap=1e-7, kkt=1e-7),
    "group-lasso": Work("squared"),
}


def make_problem(work: str, data: Data, n_alphas: int, eps: float) -> Problem:
    """Return the path from the smallest alpha with no feature down to ``eps`` times that."""
    kind = WORKS[work]
    y = data.y - data.y.mean() if kind.loss == "squared" else data.y
    problem = Problem(work, data.X, y, np.geomspace(1.0, eps, n_alphas), data.group_size)
    top = float(slopes_at_null(problem, LOSSES[kind.loss]).max())
    return replace(problem, alphas=top * problem.alphas)
