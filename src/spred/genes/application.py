"""A saved model meets new samples: genes found by name, the model's scale, predictions, and a score where it is honest.

Everything here works on a :class:`~spred.genes.data.expression.Table`, wherever that came from;
``io/new_samples.py`` reads the files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from spred.core.losses import get_loss
from spred.core.targets import survival_target
from spred.errors import InputError
from spred.genes.data.covariates import encode
from spred.genes.data.expression import Covariate, Table, number_repeats, refuse_infinite
from spred.genes.data.numbers import as_numbers
from spred.genes.data.preprocess import log2_intensity, needs_log2, quantile_normalized
from spred.genes.data.probes import collapse_probes
from spred.genes.data.survival import make_survival
from spred.genes.saved_model import GeneModel, fingerprints, predictor
from spred.genes.study.scores import balanced_accuracy, concordance, r2
from spred.report.wording import count, label, some


@dataclass(frozen=True, eq=False)
class Application:
    """A model applied to new samples.

    Attributes:
        model: what was applied.
        table: one row a sample: ``sample``, ``true`` (where known; for survival ``time`` and ``event``), ``predicted``,
            ``prob_<class>``, or for survival the ``risk`` and its ``group``.
        score: balanced accuracy, R² against the training mean, or concordance; None where the truth is not known.
        n_scored: samples in that score.
        notes: what was decided, in sentences.
    """

    model: GeneModel
    table: pd.DataFrame
    score: float | None
    n_scored: int
    notes: tuple[str, ...]


def predict_samples(
    model: GeneModel, table: Table, *, target: str | None = None, log2: bool | None = None
) -> Application:
    """Predict the samples of a table, and score the predictions where the truth is known.

    Args:
        model: of an earlier study.
        table: the samples; its genes are matched by name.
        target: the column with the truth, for a score.
        log2: take the values to log2; by default what the model did, if the values' range agrees.

    Raises:
        InputError: genes of the model are missing, the scale is another one, or a score is asked for on samples
            that the selection saw.
    """
    table = number_repeats(table)
    refuse_infinite(table)
    apply_log2 = check_scale(model, table, log2)
    table = collapsed_as(model, table, apply_log2)
    values = values_of(model, table)
    if target is not None:
        refuse_seen(model, table.samples, values)
    return predict_table(model, table, scaled(model, table, values, apply_log2), target)


def collapsed_as(model: GeneModel, table: Table, log2: bool) -> Table:
    """Collapse probes to means if the model's genes are means; a table without symbols holds genes already."""
    if model.collapse != "mean" or table.symbols is None:
        return table
    made = collapse_probes(table.values, table.genes, table.symbols, "mean", log2=log2)
    return replace(table, values=made.values, genes=made.genes, symbols=None, notes=[*table.notes, made.note])


def values_of(model: GeneModel, table: Table) -> np.ndarray:
    """Return the values of the model's genes in the model's order; every gene must be there."""
    return np.asarray(table.values[:, positions(model.genes, table, "the model")])


def positions(genes: list[str], table: Table, whose: str) -> list[int]:
    """Return the columns of these genes in a table; every one must be there."""
    position = {gene: j for j, gene in enumerate(table.genes)}
    absent = [gene for gene in genes if gene not in position]
    if absent:
        raise InputError(
            f"{count(len(absent), 'gene')} of the {len(genes)} of {whose} not found: {some(absent, 10)}; a prediction "
            f"needs them all: rename those that have other names here (the file has {some(table.genes, 3)}), or run "
            "spred genes again on the genes that both files have"
        )
    return [position[gene] for gene in genes]


def check_scale(model: GeneModel, table: Table, log2: bool | None) -> bool:
    """Return whether the values go to log2: as asked for, or as the model did if their range agrees."""
    if log2 is not None:
        return log2
    raw = needs_log2(table.values) if np.isfinite(table.values).any() else model.log2
    if raw != model.log2:
        here, there = ("raw intensities", "logarithms") if raw else ("logarithms", "raw intensities")
        raise InputError(
            f"the values look like {here}, and the model was made from {there}; "
            "say --log2 to take them to log2, or --no-log2 to use them as they are"
        )
    return model.log2


def scaled(model: GeneModel, table: Table, values: np.ndarray, log2: bool) -> np.ndarray:
    """Bring the values to the scale of the model, gaps filled with the training medians."""
    if model.reference:
        values = table.values[:, positions(model.all_genes, table, "the study, over which quantiles are taken,")]
    values = log2_intensity(values) if log2 else values
    if model.reference:
        among = {gene: j for j, gene in enumerate(model.all_genes)}
        values = quantile_normalized(values, np.asarray(model.reference))[:, [among[gene] for gene in model.genes]]
    return np.where(np.isnan(values), np.asarray(model.medians, dtype=np.float64), values)


def refuse_seen(model: GeneModel, samples: list[str], values: np.ndarray) -> None:
    """Raise an error if a sample to be scored is one that the genes were selected on."""
    training = set(model.seen)
    known = [s for s, digest in zip(samples, fingerprints(samples, values), strict=True) if digest in training]
    if known:
        raise InputError(
            f"the genes were selected on {count(len(known), 'sample')} of these ({some(known, 3)}), so a score "
            "would be too good; leave out the target, or those samples"
        )


def predict_table(model: GeneModel, table: Table, values: np.ndarray, target: str | None) -> Application:
    """Predict every sample; score those whose truth is known."""
    eta = predictor(model, values, covariate_values(model, table))
    found = pd.DataFrame({"sample": table.samples})
    if target is not None:
        find_truth(table, target)
        found = found.assign(**truth_of(model, table, target))
    found = found.assign(**PREDICTED[model.task](model, eta))
    known = np.zeros(len(found), dtype=bool) if target is None else found["true"].notna().to_numpy()
    score = score_of(model, found[known]) if known.any() else None
    notes = (*table.notes, f"The genes of the model ({len(model.genes)}) were found by name.")
    return Application(model, found, score, int(known.sum()), notes)


def truth_of(model: GeneModel, table: Table, target: str) -> dict[str, np.ndarray]:
    """Return the columns with the truth: ``true``, and for survival ``event`` beside the time."""
    cells = table.annotations[target]
    if model.task == "classification":
        return {"true": cells.map(label, na_action="ignore").to_numpy()}
    if model.task == "regression":
        return {"true": cells.to_numpy()}
    event = table.annotations[find_truth(table, model.event)]
    known = (cells.notna() & event.notna()).to_numpy()
    time, happened = np.full(len(cells), np.nan), np.zeros(len(cells), dtype=bool)
    if known.any():
        target_known = make_survival(cells[known], event[known])
        time[known], happened[known] = target_known["time"], target_known["event"]
    return {"true": time, "event": happened}


def predicted_classes(model: GeneModel, eta: np.ndarray) -> dict[str, np.ndarray]:
    """Return the class and the probabilities of each sample."""
    p = probabilities(eta)
    predicted = np.array(model.classes, dtype=object)[p.argmax(axis=1)]
    return {"predicted": predicted, **{f"prob_{c}": p[:, j] for j, c in enumerate(model.classes)}}


def predicted_risks(model: GeneModel, eta: np.ndarray) -> dict[str, np.ndarray]:
    """Return the risk of each sample and whether it is high, that is above the median of the training samples."""
    return {"risk": eta[:, 0], "group": np.where(eta[:, 0] > model.middle, "high", "low")}


PREDICTED: dict[str, Callable[[GeneModel, np.ndarray], dict[str, np.ndarray]]] = {
    "classification": predicted_classes,
    "regression": lambda _, eta: {"predicted": eta[:, 0]},
    "survival": predicted_risks,
}


def covariate_values(model: GeneModel, table: Table) -> np.ndarray:
    """Return the columns of the covariates in numbers, gaps filled with the training medians."""
    known = [Covariate(name, tuple(levels)) for name, levels in model.covariates]
    values = encode(known, table.annotations)
    return np.where(np.isnan(values), np.asarray(model.covariate_medians, dtype=np.float64), values)


def find_truth(table: Table, target: str) -> str:
    """Return the column of the truth; a model's own column may be asked for by name only."""
    if target not in table.annotations.columns:
        raise InputError(f"column {target!r} not found, so there is nothing to compare the predictions with")
    return target


def probabilities(eta: np.ndarray) -> np.ndarray:
    """Return the class probabilities ``(n, K)`` of linear predictors ``(n, 1)`` or ``(n, K)``."""
    if eta.shape[1] > 1:
        return np.asarray(get_loss("multinomial").mean(eta))
    second = np.asarray(get_loss("logistic").mean(eta[:, 0]))
    return np.column_stack([1.0 - second, second])


def score_of(model: GeneModel, found: pd.DataFrame) -> float:
    """Return the balanced accuracy, R² against the mean of the training samples, or the concordance."""
    if model.task == "survival":
        target = survival_target(found["event"].to_numpy(), found["true"].to_numpy())
        return concordance(target, found["risk"].to_numpy())
    if model.task == "regression":
        true = as_numbers(found["true"]).to_numpy(dtype=np.float64)
        if np.isnan(true).any():
            raise InputError(f"sample {found['sample'].iloc[int(np.argmax(np.isnan(true)))]!r}: the truth is no number")
        return r2(true, found["predicted"].to_numpy(), model.mean)
    strange = sorted(set(found["true"]) - set(model.classes))
    if strange:
        raise InputError(f"the model knows the classes {some(model.classes)}, and the data hold {some(strange)} too")
    return balanced_accuracy(found["true"].to_numpy(), found["predicted"].to_numpy())
