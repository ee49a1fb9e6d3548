"""Find inputs that matter only together: a product, which no linear model and no test of single inputs sees.

Run it: ``python examples/network_products.py``. It generates its data and takes some seconds.
"""

from __future__ import annotations

import numpy as np

import spred

rng = np.random.default_rng(0)
X = rng.normal(size=(300, 12))
y = X[:, 3] * X[:, 8] + 0.5 * X[:, 0] + 0.3 * rng.normal(size=300)
new = rng.normal(size=(1000, 12))
truth = new[:, 3] * new[:, 8] + 0.5 * new[:, 0]

linear = spred.SparseRegressorCV().fit(X, y)
network = spred.NetworkRegressor(hidden=20, n_alphas=10, cv=3, rule=4).fit(X, y)

for name, model in (("linear", linear), ("network", network)):
    print(f"{name:8} inputs {model.get_support(indices=True).tolist()}  R² on new data {model.score(new, truth):.2f}")
print(f"start {network.start_}, KKT residual {network.kkt_:.0e} of alpha")
print("sizes of the gates:", network.feature_importances_.round(1).tolist())
