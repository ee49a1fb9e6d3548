"""The exact engine for linear predictors: Newton on the support, working sets, paths, a certificate each.

solution     Status, Solution, RegularizationPath: what comes out
design       the data matrix, centred and scaled without a copy
target       what each loss takes as y, checked
problem      input checked and made ready
simplex      classes in one coordinate less
blocks       groups of coordinates and the levels of their penalties
quadratic    the penalised quadratic inside each Newton step
grouped      the same where coordinates come in groups
working_set  the coordinates that Newton works on
reduce       a squared loss in fewer rows
newton       one alpha from a warm start
path         grids of alpha; solve and path
"""

from spred.core.targets import survival_target
from spred.linear.path import path, solve
from spred.linear.results import RegularizationPath, Solution, Status

__all__ = ["RegularizationPath", "Solution", "Status", "path", "solve", "survival_target"]
