"""The methods by name, one file each: ``prepare(model, strength, make, n_steps)`` gives a method of ``spred compress``.

``make`` makes the recipe's optimiser, ``n_steps`` are the steps with the method. ``GRID`` holds the strengths that are
tried, the same for every seed.
"""

from __future__ import annotations

from networks.methods import magnitude, pat, spred_density, spred_reweighted, spred_sgd, subgradient

METHODS = {
    "spred": spred_sgd,
    "spred, density given": spred_density,
    "spred reweighted": spred_reweighted,
    "torchao PAT": pat,
    "magnitude": magnitude,
    "L1 subgradient": subgradient,
}
