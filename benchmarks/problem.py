"""One problem as every solver gets it, kept in a folder of raw files that any language reads.

    minimise over v:  L(Xv) + α Σ_g ‖v_g‖₂    at each alpha of a falling grid

without an intercept, and with every group of the same weight, because that is the problem that all solvers can be
given. A group is one coefficient (L1), ``group_size`` neighbouring ones (group lasso), or one feature's coefficients
for all classes.
This module runs in the solvers' own environments: it needs NumPy and SciPy alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import sparse


@dataclass(frozen=True, eq=False)
class Problem:
    """What is asked.

    Attributes:
        work: the row of :data:`works.WORKS`.
        X: ``(n, p)``, in Fortran order or CSC.
        y: ``(n,)`` numbers, 0 and 1, or class numbers; ``(n, 2)`` times and events for Cox.
        alphas: ``(A,)``, falling.
        group_size: neighbouring features that enter together.
    """

    work: str
    X: np.ndarray | sparse.csc_matrix
    y: np.ndarray
    alphas: np.ndarray
    group_size: int = 1

    @property
    def n_outputs(self) -> int:
        """Coefficients of a feature: the number of classes, or 1."""
        return int(self.y.max()) + 1 if self.work == "multinomial" else 1

    def until(self, count: int) -> Problem:
        """Return the same problem for the first ``count`` alphas."""
        return replace(self, alphas=self.alphas[:count])


def save(problem: Problem, folder: Path) -> None:
    """Write ``problem`` (names and values by line) and raw columns: doubles, and 32-bit integers of a sparse X."""
    X, y = problem.X, problem.y
    facts = {"work": problem.work, "n": X.shape[0], "p": X.shape[1], "sparse": int(sparse.issparse(X))}
    facts |= {"alphas": len(problem.alphas), "outputs": problem.n_outputs, "group_size": problem.group_size}
    (folder / "problem").write_text("".join(f"{name} {value}\n" for name, value in facts.items()))
    if sparse.issparse(X):
        X.data.astype(np.float64).tofile(folder / "X")
        X.indices.astype(np.int32).tofile(folder / "rows")
        X.indptr.astype(np.int32).tofile(folder / "starts")
    else:
        X.T.tofile(folder / "X")  # column after column
    y.T.astype(np.float64).tofile(folder / "y")
    problem.alphas.tofile(folder / "alphas")


def load(folder: Path) -> Problem:
    """Read what :func:`save` wrote."""
    facts = dict(line.split() for line in (folder / "problem").read_text().splitlines())
    shape = (int(facts["n"]), int(facts["p"]))
    X, y = np.fromfile(folder / "X"), np.fromfile(folder / "y")
    if int(facts["sparse"]):
        rows, starts = (np.fromfile(folder / name, dtype=np.int32) for name in ("rows", "starts"))
        X = sparse.csc_matrix((X, rows, starts), shape=shape)
    else:
        X = X.reshape(shape, order="F")
    y = y.reshape((shape[0], -1), order="F") if len(y) > shape[0] else y
    return Problem(facts["work"], X, y, np.fromfile(folder / "alphas"), int(facts["group_size"]))
