"""The defaults that solvers and estimators share: one default and one meaning for each name.

The table of docs/api.md lists them; a test holds the table and every public signature to this file.
"""

from __future__ import annotations

from math import inf

N_ALPHAS = 100
"""``n_alphas``, the length of an automatic grid. More alphas make a finer curve; each costs little, as each solution
starts from the last (``scripts/bench linear`` times whole paths)."""

EPS = 1e-2
"""``eps``, the last alpha of an automatic grid over its first. Smaller ones reach denser models, which cost most of the
time of a path; a grid ends earlier where the fit is saturated."""

NETWORK_N_ALPHAS, NETWORK_EPS = 20, 0.02
"""The same two of the networks, whose every alpha costs Gauss-Newton steps of its own: a fifth of the alphas, and none
of the smallest, which cost most (``scripts/bench selection`` measures with these)."""

TOL = 1e-9
"""``tol``, the duality gap to reach, relative to the null objective. Newton's method is quadratic at the end: a gap of
1e-9 costs a step more than one of 1e-4 (``scripts/bench linear`` reports gap and time)."""

CV_TOL = 1e-4
"""``cv_tol``, the same inside the folds: held-out deviances need no more, and nothing of a fold is kept
(``scripts/bench nested`` measures time and log-loss)."""

KKT_TOL = 1e-3
"""``kkt_tol``, the KKT residual of a network to reach, over alpha·l1_ratio. A network has no duality gap; smaller
residuals cost Newton steps (``scripts/bench selection-paths`` reports residual and time)."""

CV_KKT_TOL = 0.03
"""``cv_kkt_tol``, the same inside the folds (``scripts/bench selection-paths`` times a path with its folds)."""

MAX_ITER = 500
"""``max_iter``, Newton steps (Gauss-Newton steps of a network) at most for one alpha: a guard, seldom reached."""

MAX_SECONDS = inf
"""``max_seconds``, wall time at most for the whole call."""
