"""The exact engine for linear predictors: Newton on the support, working sets, paths, a certificate each.

path        the public functions solve, path and alpha_max
results     Status, Solution, RegularizationPath: what comes out
problem     input checked and made ready
design      the data matrix, centred and scaled without a copy
origin      columns far from zero moved there; numbers whose squares have no place
target      what each loss takes as y, checked
contrasts   classes in one coordinate less
threads     how many BLAS threads a solver gets
solvers     how one alpha of a path is solved
subproblem  the penalised quadratic inside a Newton step
kernels     compiled loops
"""

from spred.core.targets import survival_target
from spred.linear.path import alpha_max, path, solve
from spred.linear.results import RegularizationPath, Solution, Status

__all__ = ["RegularizationPath", "Solution", "Status", "alpha_max", "path", "solve", "survival_target"]
