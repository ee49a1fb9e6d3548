"""A fitted study as plain numbers and names: what ``model.json`` holds, no pickle, and the predictor made of it.

Only the selected genes matter to a prediction, so the file holds their names, their medians (for gaps), their
coefficients, the scale, and fingerprints of the training samples. Genes are matched by name, in any order.
``io/new_samples.py`` reads the file; ``application.py`` predicts with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import Literal

import numpy as np

from spred import __version__
from spred.errors import FileError
from spred.estimators.network_base import GatedNetwork
from spred.gated.network import Network, get_activation
from spred.gated.problem import Fitted
from spred.genes.data.expression import Found
from spred.genes.study.folds import support
from spred.genes.study.models import find_model
from spred.genes.study.study import Study
from spred.runtime.files.typed import misfit

FORMAT = 1
"""Of model.json; a file of another format is refused."""

LONGEST_VERSION = 20
"""Characters of a version that a message shows."""

Matrix = list[list[float]]


@dataclass(frozen=True)
class NetworkWeights:
    """Everything that the predictor of a network is made of; columns are the genes and then the covariates.

    Attributes:
        activation: of the hidden layers.
        constant: whether the first row of ``free`` is an intercept.
        free: coefficients of the intercept and the covariates, a column for each output.
        first: a row for each gene, of its linear coefficients and its weights into the first layer.
        biases: of each hidden layer.
        upper: weights between hidden layers, and to the outputs.
        means, scales: of the columns in the training samples.
        shift, unit: from the outputs to the target's units.
        basis: contrasts that many classes are written in; empty where there are none.
    """

    activation: str
    constant: bool
    free: Matrix
    first: Matrix
    biases: Matrix
    upper: list[Matrix]
    means: list[float]
    scales: list[float]
    shift: list[float]
    unit: list[float]
    basis: Matrix


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
        seen: fingerprints of the training samples.
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
    """Return the final model's predictions of the samples that it was fitted to."""
    return np.asarray(study.model.predict(study.expression.design))


def weights_of(estimator: GatedNetwork) -> NetworkWeights:
    """Return the weights of a fitted network estimator."""
    fitted, basis = estimator.network_, estimator._basis
    network = fitted.network
    return NetworkWeights(
        activation=fitted.activation,
        constant=fitted.intercept,
        free=network.free.tolist(),
        first=network.first.tolist(),
        biases=[bias.tolist() for bias in network.biases],
        upper=[weight.tolist() for weight in network.upper],
        means=fitted.means.tolist(),
        scales=fitted.scales.tolist(),
        shift=np.ravel(estimator._shift).tolist(),
        unit=np.ravel(estimator._unit).tolist(),
        basis=[] if basis is None else basis.tolist(),
    )


def fingerprints(samples: Iterable[object], values: np.ndarray) -> list[str]:
    """Return a short digest of each sample's name and values, by which it is known again."""
    rounded = np.round(np.asarray(values, dtype=np.float64), 4) + 0.0  # no −0
    rows = zip(samples, rounded, strict=True)
    return [sha256(str(name).encode() + row.tobytes()).hexdigest()[:16] for name, row in rows]


def as_json(model: GeneModel) -> dict[str, object]:
    """Return what model.json holds."""
    return {"made_by": "spred", "version": __version__, "format": FORMAT, **asdict(model)}


def parse(content: object) -> GeneModel:
    """Check what a model.json holds and make it a :class:`GeneModel`."""
    if not isinstance(content, dict) or content.get("made_by") != "spred" or "coef" not in content:
        raise FileError("this is no model of spred; give the model.json of a results folder")
    if content.get("format") != FORMAT:
        found, version = (str(content.get(key))[:LONGEST_VERSION] for key in ("format", "version"))
        raise FileError(f"format {found} is not known here; use spred {version}")
    content = {"network": None, **content}
    wrong = misfit(GeneModel, content)
    if wrong is not None:
        raise damaged(wrong)
    network = content["network"]
    try:
        content = {**content, "network": None if network is None else NetworkWeights(**network)}
        model = GeneModel(**{name: content[name] for name in GeneModel.__dataclass_fields__})
        model = replace(model, covariates=[(name, list(levels)) for name, levels in model.covariates])
        check_lengths(model)
        eta = predictor(model, np.zeros((0, len(model.genes))), np.zeros((0, len(model.covariate_medians))))
    except (TypeError, ValueError) as err:
        raise damaged(str(err)) from err
    if eta.shape[1] != len(model.intercept):
        raise damaged("its outputs are not those of its classes")
    return model


def damaged(what: str) -> FileError:
    """Say that a model.json does not hold a model."""
    return FileError(f"the model is damaged ({what}); write it again with spred genes")


def check_lengths(model: GeneModel) -> None:
    """Refuse a model whose lists do not fit each other.

    Raises:
        ValueError: a list has another length than what it belongs to.
    """
    many = len(model.classes) > 2
    outputs = len(model.classes) if many else 1
    columns = sum(max(len(levels) - 1, 1) for _, levels in model.covariates)
    if (model.task == "classification") != (len(model.classes) > 1):
        raise ValueError("its classes are not those of its task")
    if len(model.intercept) != outputs or len(model.coef) != outputs or len(model.covariate_coef) != outputs:
        raise ValueError("its coefficients are not those of its classes")
    if any(len(row) != len(model.genes) for row in (*model.coef, model.medians)):
        raise ValueError("its coefficients do not fit its genes")
    if any(len(row) != columns for row in (*model.covariate_coef, model.covariate_medians)):
        raise ValueError("its coefficients do not fit its covariates")
    if bool(model.reference) != bool(model.all_genes) or (model.reference and not {*model.genes} <= {*model.all_genes}):
        raise ValueError("its quantiles do not fit its genes")


def predictor(model: GeneModel, genes: np.ndarray, covariates: np.ndarray) -> np.ndarray:
    """Return the predictor of samples ``(n, k)``, ``(n, n_covariates)``: ``(n, 1)``, or ``(n, K)`` for many classes."""
    if model.network is not None:
        return network_predictor(model.network, np.hstack([genes, covariates]))
    eta = genes @ np.asarray(model.coef, dtype=np.float64).T + np.asarray(model.intercept)
    return np.asarray(eta + covariates @ np.asarray(model.covariate_coef, dtype=np.float64).T)


def network_predictor(weights: NetworkWeights, values: np.ndarray) -> np.ndarray:
    """Return the predictor ``(n, 1)`` or ``(n, K)`` of the values of the genes and the covariates behind them.

    Raises:
        ValueError, InputError: shapes do not fit each other, or an unknown activation.
    """
    get_activation(weights.activation)
    if not weights.biases or not weights.upper:
        raise ValueError("its network has no layers")
    width = len(weights.biases[0])
    k, n_outputs = len(weights.first), len(weights.upper[-1])
    n_free = len(weights.means) - k
    if n_free < 0 or len(weights.scales) != len(weights.means):
        raise ValueError("its scales do not fit its genes")
    network = Network(
        free=np.reshape(weights.free, (n_free + int(weights.constant), n_outputs)).astype(np.float64),
        first=np.reshape(weights.first, (k, -1 if k else width)).astype(np.float64),
        biases=tuple(np.asarray(bias, dtype=np.float64) for bias in weights.biases),
        upper=tuple(np.asarray(weight, dtype=np.float64) for weight in weights.upper),
    )
    fitted = Fitted(
        network=network,
        inputs=np.arange(k),
        free_inputs=np.arange(k, k + n_free),
        intercept=weights.constant,
        activation=weights.activation,
        means=np.asarray(weights.means, dtype=np.float64),
        scales=np.asarray(weights.scales, dtype=np.float64),
    )
    eta = fitted.eta(values)
    eta = eta @ np.asarray(weights.basis).T if weights.basis else eta
    return np.asarray(np.asarray(weights.shift) + np.asarray(weights.unit) * eta)
