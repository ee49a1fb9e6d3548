"""The kinds of model that a study can fit: one row of ``MODELS`` each.

A row says how to make the estimator that chooses its own penalty, how to make the same at a penalty that is given
(for permuted labels), and how to read coefficients. An estimator has scikit-learn's ``fit``, ``predict``,
``get_support`` and (for classes) ``predict_proba``, takes ``groups`` in ``fit`` where it chooses, and has ``alpha_``,
``path_`` and ``curve_`` afterwards, as those of :mod:`spred.estimators` have.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spred.errors import InputError, did_you_mean
from spred.estimators import (
    NetworkClassifier,
    NetworkCox,
    NetworkRegressor,
    SparseClassifier,
    SparseClassifierCV,
    SparseCox,
    SparseCoxCV,
    SparseRegressor,
    SparseRegressorCV,
)
from spred.estimators.network_base import gate_sizes
from spred.genes.data.expression import Expression
from spred.genes.study.refit import Refitted, short_index
from spred.genes.study.settings import Settings

LINEAR_EPS = 0.05
NETWORK_EPS = {"classification": 0.02, "regression": 0.02, "survival": 0.05}
"""The last alpha of a study over its first: smaller ones reach denser models, which cost most of the time
(``scripts/bench genes``)."""
PREDICTION_TOL = 1e-5
"""Relative duality gap of a linear fit at a given alpha, whose predictions alone are used. A smaller one makes
permutations slower and changes no class; ``python benchmarks/study.py`` times them."""

NETWORK_PREDICTION_TOL = 0.03
"""The same for the KKT residual of a network, relative to alpha."""


@dataclass(frozen=True)
class Model:
    """One kind of model.

    Attributes:
        title: what it is for each task, in the words of a methods section.
        cross_validated: makes the estimator that finds its alpha by cross-validation.
        at_alpha: makes the same model at a given alpha.
        on_path: makes the estimator whose path stability selection follows.
        ranks: by what stability selection ranks the genes of a half, as the methods say it.
        coefficients: reads a fitted estimator, ``(rows, columns of the design)``; a row a class where there are many.
        sizes: how large each column is along its path, standardised, ``(A, columns)``; signed where it has one.
        certificate: reads its certificate, what is known first: ``gap`` and ``kkt``, or ``kkt`` alone.
        counts_free: whether the numbers of features along the path count the covariates.
    """

    title: dict[str, str]
    cross_validated: Callable[[Expression, Settings], Any]
    at_alpha: Callable[[Expression, Settings, float], Any]
    on_path: Callable[[Expression, Settings], Any]
    ranks: str
    coefficients: Callable[[Any], np.ndarray]
    sizes: Callable[[Any, np.ndarray], np.ndarray]
    certificate: Callable[[Any], dict[str, float]]
    counts_free: bool


def linear_cross_validated(expression: Expression, settings: Settings) -> Any:
    """Make the linear model of the task: L1 chooses the genes, and a ridge refits them where that is asked for."""
    short = settings.rule == "short"
    sparse = linear_path(expression, replace(settings, rule="1se") if short else settings)
    return Refitted(sparse, ridge(expression, settings), short=short, refit=settings.refit)


def linear_at_alpha(expression: Expression, settings: Settings, alpha: float) -> Any:
    """Make the same at one alpha, solved as far as a prediction needs."""
    given = {**penalty(expression), **weighting(expression, settings)}
    sparse = ONE[expression.task](alpha, tol=PREDICTION_TOL, l1_ratio=settings.l1_ratio, **given)
    return Refitted(sparse, ridge(expression, settings), refit=settings.refit)


def linear_path(expression: Expression, settings: Settings) -> Any:
    """Make the sparse estimator of the task; a rule that counts genes does not count the covariates."""
    rule = settings.rule if isinstance(settings.rule, str) else settings.rule + expression.n_free
    return ON_A_PATH[expression.task](
        rule=rule,
        n_alphas=settings.n_alphas,
        eps=LINEAR_EPS,
        l1_ratio=settings.l1_ratio,
        cv=settings.folds,
        random_state=settings.seed,
        **penalty(expression),
        **weighting(expression, settings),
    )


def ridge(expression: Expression, settings: Settings) -> Any:
    """Make the estimator of the task that refits chosen genes: a ridge in the place of L1."""
    return ONE[expression.task](l1_ratio=0.0, **penalty(expression), **weighting(expression, settings))


def penalty(expression: Expression) -> dict[str, Any]:
    """Leave the covariates, behind the genes, without a penalty."""
    if not expression.n_free:
        return {}
    return {"penalty_weights": np.r_[np.ones(len(expression.genes)), np.zeros(expression.n_free)]}


def weighting(expression: Expression, settings: Settings) -> dict[str, Any]:
    """Return how classes are weighted, where there are any."""
    return {"class_weight": settings.class_weight} if expression.task == "classification" else {}


ON_A_PATH: dict[str, Any] = {
    "classification": SparseClassifierCV,
    "regression": SparseRegressorCV,
    "survival": SparseCoxCV,
}
ONE: dict[str, Any] = {"classification": SparseClassifier, "regression": SparseRegressor, "survival": SparseCox}


def linear_coefficients(fitted: Any) -> np.ndarray:
    """Read the coefficients of a linear estimator, a row for each linear predictor."""
    return np.atleast_2d(fitted.coef_)


def linear_sizes(fitted: Any, values: np.ndarray) -> np.ndarray:
    """Return coefficients per standard deviation of ``values``; with several rows, their norm."""
    coefs = fitted.path_.coefs.reshape(len(fitted.path_.alphas), -1, fitted.path_.coefs.shape[-1])
    size = coefs[:, 0] if coefs.shape[1] == 1 else np.linalg.norm(coefs, axis=1)
    return np.asarray(size * values.std(axis=0))


def linear_certificate(fitted: Any) -> dict[str, float]:
    """Read the duality gap and the KKT residual."""
    return {"gap": float(fitted.certificate_.gap), "kkt": float(fitted.certificate_.kkt)}


def network(expression: Expression, settings: Settings, **given: Any) -> Any:
    """Make the network of the task, with a path from gates at zero."""
    return NETWORKS[expression.task](
        n_alphas=settings.n_alphas,
        eps=NETWORK_EPS[expression.task],
        l1_ratio=settings.l1_ratio,
        refit=settings.refit,
        cv=settings.folds,
        random_state=settings.seed,
        **penalty(expression),
        **weighting(expression, settings),
        **given,
    )


def network_cross_validated(expression: Expression, settings: Settings) -> Any:
    """Make the network that finds its alpha; covariates have no gates, so that its rules do not count them."""
    return network(expression, settings, rule=short_index if settings.rule == "short" else settings.rule)


def network_at_alpha(expression: Expression, settings: Settings, alpha: float) -> Any:
    """Make the network at one alpha, solved as far as a prediction needs."""
    return network(expression, settings, alphas=[alpha], kkt_tol=NETWORK_PREDICTION_TOL)


NETWORK = "a linear predictor and a hidden layer of 50 units behind one gate for each gene, under a group penalty"

NETWORKS: dict[str, Any] = {
    "classification": NetworkClassifier,
    "regression": NetworkRegressor,
    "survival": NetworkCox,
}

MODELS: dict[str, Model] = {
    "linear": Model(
        title={
            "two classes": "L1-penalised logistic regression",
            "classes": "multinomial regression with a group penalty that selects a gene for all classes together",
            "regression": "Lasso regression",
            "survival": "L1-penalised Cox regression",
        },
        cross_validated=linear_cross_validated,
        at_alpha=linear_at_alpha,
        on_path=linear_path,
        ranks="the largest coefficients at a tenth of the smallest penalty without a gene, then the largest gradients",
        coefficients=linear_coefficients,
        sizes=linear_sizes,
        certificate=linear_certificate,
        counts_free=True,
    ),
    "network": Model(
        title={
            "two classes": NETWORK + " (logistic loss)",
            "classes": NETWORK + " (multinomial loss)",
            "regression": NETWORK + " (squared loss)",
            "survival": NETWORK + " (Cox's partial likelihood)",
        },
        cross_validated=network_cross_validated,
        at_alpha=network_at_alpha,
        on_path=network,
        ranks="the largest gates at a tenth of the smallest penalty without a gene",
        coefficients=lambda fitted: fitted.mean_slopes_,
        sizes=lambda fitted, values: gate_sizes(fitted.path_, values.shape[1]),
        certificate=lambda fitted: {"kkt": fitted.kkt_},
        counts_free=False,
    ),
}


def find_model(name: str) -> Model:
    """Return the row of this name.

    Raises:
        InputError: there is none.
    """
    if name not in MODELS:
        known = ", ".join(map(repr, MODELS))
        raise InputError(f"no model is called {name!r}{did_you_mean(name, MODELS)}; there is {known}")
    return MODELS[name]
