"""Whether decoys estimate the false share of a stable list: ``python benchmarks/decoys.py [--draws 50] [--pfer 1 5]``.

Each draw is a stability selection with decoys on simulated data whose true features are known. Printed are the means
over the draws of the true false discovery proportion, and of two estimates: decoys / features, and (decoys + 1) /
features, which is on the safe side. A false feature is any but a true one; in correlated columns a neighbour of a true
one is false too, and no decoy behaves like it, so the share of those that are no neighbours is printed beside it.
``results/decoys.json`` has each draw.
"""

from __future__ import annotations

import argparse

import numpy as np
from record import machine, write
from scipy.signal import lfilter

import spred

SAMPLES, FEATURES = 150, 1000
NEAR = 3  # columns: 0.5³ is the correlation that is left
DESIGNS = {"no signal": (0, 0.0), "10 true": (10, 0.0), "10 true, correlated": (10, 0.5), "40 true": (40, 0.0)}
"""Name of a design: how many true features, and the correlation of neighbours."""


def draw(n_true: int, correlation: float, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ``X``, ``y`` and the positions of the true features; noise has half the variance of the signal."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(SAMPLES, FEATURES))
    noise[:, 1:] *= np.sqrt(1 - correlation**2)
    X = lfilter([1.0], [1.0, -correlation], noise, axis=1)
    true = rng.choice(FEATURES, n_true, replace=False)
    signal = X[:, true] @ rng.choice([-1.0, 1.0], n_true)
    return X, signal + rng.normal(size=SAMPLES) * np.sqrt(max(signal.var(), 1.0) / 2), true


def one(n_true: int, correlation: float, seed: int, pfer: float, jobs: int) -> dict[str, float]:
    """Return what one draw finds."""
    X, y, true = draw(n_true, correlation, seed)
    stable = spred.StabilitySelection(spred.SparseRegressor(), pfer=pfer, decoys=True, n_jobs=jobs).fit(X, y)
    found = stable.get_support(indices=True)
    false = np.setdiff1d(found, true)
    far = [j for j in false if not n_true or np.abs(true - j).min() > NEAR]
    listed = max(len(found), 1)
    return {
        "seed": seed,
        "features": len(found),
        "fdp": len(false) / listed,
        "fdp_far": len(far) / listed,
        "decoys": stable.n_decoys_,
        "plain": stable.fdp_,
        "safe": stable.fdp_safe_,
    }


def main() -> None:
    """Run the designs, print the means, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=50)
    parser.add_argument("--pfer", type=float, nargs="+", default=[1.0, 5.0])
    parser.add_argument("--jobs", type=int, default=-1)
    options = parser.parse_args()
    results = []
    print(f"{'':22} PFER  listed  false share (no neighbours)  decoys/features  (decoys+1)/features")
    for name, (n_true, correlation) in DESIGNS.items():
        for pfer in options.pfer:
            rows = [one(n_true, correlation, seed, pfer, options.jobs) for seed in range(options.draws)]
            mean = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
            print(
                f"{name:22} {pfer:4g}  {mean['features']:6.2f}  {mean['fdp']:11.3f} ({mean['fdp_far']:.3f})"
                f"  {mean['plain']:19.3f}  {mean['safe']:19.3f}",
                flush=True,
            )
            results.append({"design": name, "pfer": pfer, "mean": mean, "draws": rows})
    write("decoys", {"machine": machine(), "rows": results})


if __name__ == "__main__":
    main()
