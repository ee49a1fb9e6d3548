"""What a study says where there is nothing to find: ``python benchmarks/noise.py [--draws 100] [--samples 60]``.

Labels without meaning on independent Gaussian genes, each draw a whole study with its interval and its stable list.
Printed are how often the 95 % interval of the balanced accuracy covers chance (goal: 90 of 100), and the mean number of
stable genes beside PFER plus two standard errors (goal: not above); ``results/noise.json`` has each draw.
"""

from __future__ import annotations

import argparse

import numpy as np
from fresh import expression_of
from record import machine, write

from spred.genes import Expression, Settings, add_stability, run_study


def draw(samples: int, genes: int, seed: int) -> Expression:
    """Return genes and labels that know nothing of each other."""
    rng = np.random.default_rng(seed)
    values = rng.normal(8, 1, size=(samples, genes))
    return expression_of("noise", values, np.array(["a", "b"])[rng.permutation(samples) % 2])


def main() -> None:
    """Run the draws, print the two counts, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--samples", type=int, default=60)
    parser.add_argument("--genes", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--rule", default="short")
    parser.add_argument("--jobs", type=int, default=-1)
    options = parser.parse_args()
    rows = []
    for seed in range(options.draws):
        expression = draw(options.samples, options.genes, seed)
        settings = Settings(rule=options.rule, repeats=options.repeats, seed=seed)
        study = add_stability(run_study(expression, settings, n_jobs=options.jobs), n_jobs=options.jobs)
        low, high = study.score.main.interval
        stable = study.stability
        rows.append(
            {
                "seed": seed,
                "mean": study.score.main.mean,
                "interval": (low, high),
                "covers": bool(low <= 0.5 + 1e-12 and high >= 0.5 - 1e-12),
                "selected": len(study.genes),
                "stable": len(stable.genes),
                "fdp": stable.fdp,
                "pfer": stable.pfer,
            }
        )
    counts = np.array([row["stable"] for row in rows])
    limit = 1.0 + 2 * counts.std(ddof=1) / np.sqrt(len(rows)) if len(rows) > 1 else 1.0
    covered = sum(row["covers"] for row in rows)
    print(f"{options.samples} samples, {options.genes} genes, {len(rows)} draws")
    print(
        f"the interval covers chance in {covered} of {len(rows)}; mean score {np.mean([r['mean'] for r in rows]):.3f}"
    )
    print(f"stable genes {counts.mean():.2f} on average (PFER 1 plus two standard errors: {limit:.2f})")
    print(f"genes selected from all samples {np.mean([row['selected'] for row in rows]):.1f} on average")
    write("noise", {"machine": machine(), "options": vars(options), "covered": covered, "rows": rows})


if __name__ == "__main__":
    main()
