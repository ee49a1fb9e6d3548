"""adelie's side of adelie_path.py: FOLDER LOSS TOL N P A."""

import sys
import time
from pathlib import Path

import adelie
import numpy as np

folder, loss, tol = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
n, p, a = map(int, sys.argv[4:])
X = np.fromfile(folder / "X").reshape((n, p), order="F")
y, alphas = np.fromfile(folder / "y"), np.fromfile(folder / "alphas")
family = adelie.glm.gaussian(y) if loss == "squared" else adelie.glm.binomial(y)
began = time.perf_counter()
state = adelie.grpnet(
    X,
    family,
    lmda_path=alphas,
    intercept=False,
    early_exit=False,
    tol=tol,
    irls_tol=min(tol, 1e-7),
    progress_bar=False,
    n_threads=2,
)
seconds = time.perf_counter() - began
state.betas.toarray().astype(np.float64).tofile(folder / "coefs")
(folder / "seconds").write_text(str(seconds))
