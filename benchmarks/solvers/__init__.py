"""The solvers by name, one file each. A solver is a function ``(X, y, loss, alphas, tol) -> coefs (A, p)``.

``TOLERANCES`` of a peer are tried from loose to tight until its worst gap on the path is small enough; the time that
counts is the one at that tolerance. spred is asked for a gap of 1e-9 at once. A solver that runs in a process of its
own returns its seconds too, and has ``available()``.
"""

from __future__ import annotations

from solvers import adelie_path, celer_path, glmnet_path, skglm_path, sklearn_path, spred_path

SOLVERS = {
    "spred": spred_path,
    "celer": celer_path,
    "skglm": skglm_path,
    "glmnet": glmnet_path,
    "adelie": adelie_path,
    "scikit-learn": sklearn_path,
}
