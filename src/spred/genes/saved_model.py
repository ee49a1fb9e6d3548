"""A fitted study as a small JSON file, and its use on new samples: ``model.json``, no pickle.

Only the selected genes matter to a prediction, so the file holds their names, their medians (for gaps), their
coefficients, the scale, and which samples the selection saw. Genes are matched by name, in any order.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from spred import __version__
from spred.core.losses import get_loss
from spred.core.targets import survival_target
from spred.errors import FileError, InputError, where
from spred.estimators.network_base import GatedNetwork
from spred.genes.data.covariates import encode
from spred.genes.data.expression import Covariate, Found, Table, number_repeats
from spred.genes.data.preprocess import log2_intensity, needs_log2, quantile_normalized
from spred.genes.data.survival import make_survival
from spred.genes.io.annotation import collapse_probes
from spred.genes.io.readers import annotated, read_sheet, read_with_sheet, readable
from spred.genes.io.tables import Request
from spred.genes.networks import NetworkWeights, network_predictor, weights_of
from spred.genes.study.folds import support
from spred.genes.study.models import find_model
from spred.genes.study.scores import balanced_accuracy, concordance, r2
from spred.genes.study.study import Study
from spred.report.wording import count, label, some

FORMAT = 1


@dataclass(frozen=True)
class GeneModel:
    """A model of the selected genes, linear or a network.

    Attributes:
        name: the study that it comes from.
        target: the column it predicts; for survival that of the times.
        event: for survival, the column of the events; else empty.
        task: "classification", "regression" or "survival".
        classes: names of the classes, sorted; empty for a regression.
        genes: names of the genes, k of them.
        medians: value of each gene for a gap, on the scale of the model.
        coef: coefficients, one row of k for two classes or a number, else a row a class; of a network, average slopes.
        intercept: one number a row of ``coef``; of a network, 0.
        log2: whether values are taken to log2(1 + value) first.
        mean: mean of a numeric target over the training samples; 0 for classes.
        seen: fingerprints of the samples that the selection saw.
        collapse: how probes became genes: by "mean", or else they keep their names.
        covariates: name and levels of each column that is adjusted for.
        covariate_medians: value of each of their columns in numbers for a gap.
        covariate_coef: their coefficients, rows as in ``coef``.
        middle: for survival, the median risk of the training samples, where high risk begins; else 0.
        reference: with quantile normalisation, the distribution that samples are brought to, rising; else empty.
        all_genes: with quantile normalisation, the genes that the ranks are taken over; else empty.
        network: the weights that predict in the place of ``coef``; None for a linear model.
    """

    name: str
    target: str
    event: str
    task: Found
    classes: list[str]
    genes: list[str]
    medians: list[float]
    coef: list[list[float]]
    intercept: list[float]
    log2: bool
    mean: float
    seen: list[str]
    collapse: Literal["none", "mean", "variance"]
    covariates: list[tuple[str, list[str]]]
    covariate_medians: list[float]
    covariate_coef: list[list[float]]
    middle: float
    reference: list[float]
    all_genes: list[str]
    network: NetworkWeights | None = None


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


def model_of(study: Study) -> GeneModel:
    """Return the model of a study: the genes selected from all samples, and no others."""
    expression, final = study.expression, study.model[-1]
    n_genes = len(expression.genes)
    chosen = np.flatnonzero(support(expression, study.model))
    medians = study.model.named_steps["median"].statistics_
    coef = find_model(study.settings.model).coefficients(final)
    network = weights_of(final) if isinstance(final, GatedNetwork) else None
    quantiles = study.model.named_steps.get("quantiles")
    values = expression.values[:, chosen]
    genes = [str(g) for g in expression.genes[chosen]]
    return GeneModel(
        name=expression.name,
        target=expression.target_name,
        event=expression.event_name or "",
        task=expression.task,
        classes=expression.classes,
        genes=genes,
        medians=medians[chosen].tolist(),
        coef=coef[:, chosen].tolist(),
        intercept=[0.0] * len(coef) if network else np.atleast_1d(final.intercept_).tolist(),
        log2=expression.log2,
        mean=float(expression.target.mean()) if expression.task == "regression" else 0.0,
        seen=fingerprints(expression.samples, values),
        collapse=expression.collapse,
        covariates=[(c.name, list(c.levels)) for c in expression.covariates],
        covariate_medians=medians[n_genes:].tolist(),
        covariate_coef=coef[:, n_genes:].tolist(),
        middle=float(np.median(final_risk(study))) if expression.task == "survival" else 0.0,
        reference=[] if quantiles is None else quantiles.reference_.tolist(),
        all_genes=[] if quantiles is None else [str(g) for g in expression.genes],
        network=network,
    )


def final_risk(study: Study) -> np.ndarray:
    """Return what the final model says of the samples that it was fitted to."""
    return study.model.predict(study.expression.design)


def as_json(model: GeneModel) -> dict[str, object]:
    """Return what model.json holds."""
    return {"made_by": "spred", "version": __version__, "format": FORMAT, **asdict(model)}


def load_model(path: str | Path) -> GeneModel:
    """Read a model.json, or the one in a results folder.

    Raises:
        FileError: the file is missing, or no model of a gene study of spred.
    """
    path = Path(path)
    path = path / "model.json" if path.is_dir() else path
    with where(str(path)), readable(path):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError as err:
            raise FileError(f"line {err.lineno} is not JSON; give the model.json of a results folder") from err
        return parse(content)


def parse(content: object) -> GeneModel:
    """Check what a model.json holds and make it a :class:`GeneModel`."""
    if not isinstance(content, dict) or content.get("made_by") != "spred" or "coef" not in content:
        raise FileError("this is no model of spred; give the model.json of a results folder")
    if content.get("format") != FORMAT:
        raise FileError(f"format {content.get('format')!r} is not known here; use spred {content.get('version')}")
    try:
        network = content.get("network")
        content = {**content, "network": None if network is None else NetworkWeights(**network)}
        model = GeneModel(**{name: content[name] for name in GeneModel.__dataclass_fields__})
        model = replace(model, covariates=[(str(name), list(levels)) for name, levels in model.covariates])
        coef = np.asarray(model.coef, dtype=np.float64)
        rows, k = (len(model.intercept), len(model.genes))
        fits = coef.shape == (rows, k) and len(model.medians) == k and np.isfinite(coef).all()
        if fits:
            predictor(model, np.zeros((0, k)), np.zeros((0, len(model.covariate_medians))))
    except (KeyError, IndexError, TypeError, ValueError) as err:
        raise FileError(f"the model is damaged ({err}); write it again with spred genes") from err
    if not fits:
        raise FileError("the model is damaged (its coefficients do not fit its genes); write it again with spred genes")
    return model


def apply_model(
    model: GeneModel | str | Path,
    data: str | Path,
    *,
    target: str | None = None,
    labels: str | Path | None = None,
    log2: bool | None = None,
    annotation: str | Path | None = None,
) -> Application:
    """Predict new samples, and score the predictions where the truth is known.

    Args:
        model: a model, its model.json, or the results folder.
        data: a file that :func:`spred.genes.read` reads; its genes are matched by name.
        target: the column with the truth, for a score.
        labels: a second file with the sample table.
        log2: take the values to log2; by default what the model did, if the values' range agrees.
        annotation: the platform's table, where the model's genes are means of probes and the data hold probes.

    Raises:
        InputError: genes of the model are missing, the scale is another one, or a score is asked for on samples
            that the selection saw.
    """
    model = model if isinstance(model, GeneModel) else load_model(model)
    sheet = read_sheet(labels)
    with where(str(data)):
        names = tuple(name for name, _ in model.covariates)
        event = model.event if target is not None and model.event else None
        request = Request(target=target, event=event, labels=sheet, covariates=names, genes=frozenset(model.genes))
        table = number_repeats(annotated(read_with_sheet(data, request, sheet), annotation))
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
    return table.values[:, places(model.genes, table, "the model")]


def places(genes: list[str], table: Table, whose: str) -> list[int]:
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
        values = table.values[:, places(model.all_genes, table, "the study, over which quantiles are taken,")]
    values = log2_intensity(values) if log2 else values
    if model.reference:
        among = {gene: j for j, gene in enumerate(model.all_genes)}
        values = quantile_normalized(values, np.asarray(model.reference))[:, [among[gene] for gene in model.genes]]
    return np.where(np.isnan(values), np.asarray(model.medians, dtype=np.float64), values)


def refuse_seen(model: GeneModel, samples: list[str], values: np.ndarray) -> None:
    """Raise an error if a sample to be scored is one that the genes were selected on."""
    seen = set(model.seen)
    known = [s for s, print_ in zip(samples, fingerprints(samples, values), strict=True) if print_ in seen]
    if known:
        raise InputError(
            f"the genes were selected on {count(len(known), 'sample')} of these ({some(known, 3)}), so a score "
            "would be too good; leave out the target, or those samples"
        )


def fingerprints(samples: Iterable[object], values: np.ndarray) -> list[str]:
    """Return a short digest of each sample's name and values, by which it is known again."""
    rounded = np.round(np.asarray(values, dtype=np.float64), 4) + 0.0  # no −0
    rows = zip(samples, rounded, strict=True)
    return [sha256(str(name).encode() + row.tobytes()).hexdigest()[:16] for name, row in rows]


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
    time, seen = np.full(len(cells), np.nan), np.zeros(len(cells), dtype=bool)
    if known.any():
        target_known = make_survival(cells[known], event[known])
        time[known], seen[known] = target_known["time"], target_known["event"]
    return {"true": time, "event": seen}


def predicted_classes(model: GeneModel, eta: np.ndarray) -> dict[str, np.ndarray]:
    """Return the class and the probabilities of each sample."""
    share = probabilities(eta)
    said = np.array(model.classes, dtype=object)[share.argmax(axis=1)]
    return {"predicted": said, **{f"prob_{c}": share[:, j] for j, c in enumerate(model.classes)}}


def predicted_risks(model: GeneModel, eta: np.ndarray) -> dict[str, np.ndarray]:
    """Return the risk of each sample and whether it is high, that is above the median of the training samples."""
    return {"risk": eta[:, 0], "group": np.where(eta[:, 0] > model.middle, "high", "low")}


PREDICTED: dict[str, Callable[[GeneModel, np.ndarray], dict[str, np.ndarray]]] = {
    "classification": predicted_classes,
    "regression": lambda _, eta: {"predicted": eta[:, 0]},
    "survival": predicted_risks,
}


def predictor(model: GeneModel, genes: np.ndarray, covariates: np.ndarray) -> np.ndarray:
    """Return the predictor of samples ``(n, k)``, ``(n, n_covariates)``: ``(n, 1)``, or ``(n, K)`` for many classes."""
    if model.network is not None:
        return network_predictor(model.network, np.hstack([genes, covariates]))
    eta = genes @ np.asarray(model.coef, dtype=np.float64).T + np.asarray(model.intercept)
    return eta + covariates @ np.asarray(model.covariate_coef, dtype=np.float64).T


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
        true = pd.to_numeric(found["true"], errors="coerce").to_numpy(dtype=np.float64)
        if np.isnan(true).any():
            raise InputError(f"sample {found['sample'].iloc[int(np.argmax(np.isnan(true)))]!r}: the truth is no number")
        return r2(true, found["predicted"].to_numpy(), model.mean)
    strange = sorted(set(found["true"]) - set(model.classes))
    if strange:
        raise InputError(f"the model knows the classes {some(model.classes)}, and the data hold {some(strange)} too")
    return balanced_accuracy(found["true"].to_numpy(), found["predicted"].to_numpy())
