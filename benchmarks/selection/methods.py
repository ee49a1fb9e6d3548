"""Methods of the selection suite: each is fitted to training samples and returns predictions and the inputs it uses.

A peer whose path or grid allows several choices returns one for each, so that its best stands in the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.util import find_spec
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import spred
from selection.sets import Set

Fitted = tuple[np.ndarray, np.ndarray]
"""Predictions of the test part, and the indices of the inputs in use."""

Method = Callable[[Set, np.ndarray, np.ndarray, int], dict[str, Fitted]]
"""Data, training samples, test samples, seed; what comes back is named by how the model was chosen."""

HIDDEN = 50


CHOICES = {"1se": {"rule": "1se"}, "min": {"rule": "min"}, "min, refit": {"rule": "min", "refit": True}}
"""What spred's estimators offer; alpha is chosen in 5 inner folds."""


def network(start: str, n_alphas: int, *choices: str, **options: Any) -> Method:
    """Return the gated network with a start, fitted anew for each choice."""

    def fit(data: Set, train: np.ndarray, test: np.ndarray, seed: int) -> dict[str, Fitted]:
        kind = spred.NetworkClassifier if data.classes else spred.NetworkRegressor
        model = kind(hidden=HIDDEN, start=start, n_alphas=n_alphas, random_state=seed, **{"eps": 0.02, **options})
        return judged(model, choices, data, train, test)

    return fit


def linear(*choices: str, **options: Any) -> Method:
    """Return the exact sparse linear model, its alpha from the same inner folds."""

    def fit(data: Set, train: np.ndarray, test: np.ndarray, seed: int) -> dict[str, Fitted]:
        kind = spred.SparseClassifierCV if data.classes else spred.SparseRegressorCV
        model = kind(n_alphas=50, eps=0.05, random_state=seed, **options)
        return judged(model, choices, data, train, test)

    return fit


def judged(
    model: BaseEstimator, choices: Iterable[str], data: Set, train: np.ndarray, test: np.ndarray
) -> dict[str, Fitted]:
    """Return predictions and inputs of an estimator of spred by each choice."""
    fits = {name: clone(model).set_params(**CHOICES[name]).fit(data.X[train], data.y[train]) for name in choices}
    return {name: (each.predict(data.X[test]), each.get_support(indices=True)) for name, each in fits.items()}


def forest(data: Set, train: np.ndarray, test: np.ndarray, seed: int) -> dict[str, Fitted]:
    """Grow 500 trees; a forest uses every input."""
    kind = RandomForestClassifier if data.classes else RandomForestRegressor
    model = kind(500, random_state=seed).fit(data.X[train], data.y[train])
    return {"all": (model.predict(data.X[test]), np.arange(data.X.shape[1]))}


class Held:
    """A part of the training samples held out for the peers, everything in units that suit torch."""

    def __init__(self, data: Set, train: np.ndarray, test: np.ndarray, seed: int) -> None:
        stratify = data.y[train] if data.classes else None
        inside, validation = train_test_split(train, test_size=0.2, random_state=seed, stratify=stratify)
        X = StandardScaler().fit(data.X[train]).transform(data.X).astype(np.float32)
        self.labels, y = np.unique(data.y, return_inverse=True) if data.classes else (None, data.y)
        self.shift, self.unit = (0.0, 1.0) if data.classes else (float(y[train].mean()), float(y[train].std()))
        y = y if data.classes else ((y - self.shift) / self.unit).astype(np.float32)
        self.X, self.y = X[inside], y[inside]
        self.X_val, self.y_val = X[validation], y[validation]
        self.X_test = X[test]

    def back(self, predicted: Any) -> np.ndarray:
        """Return predictions in the units of the target."""
        flat = np.asarray(predicted).ravel()
        return self.shift + self.unit * flat if self.labels is None else self.labels[flat.astype(int)]


def lassonet(data: Set, train: np.ndarray, test: np.ndarray, seed: int) -> dict[str, Fitted]:
    """Follow LassoNet's own path, everything but the width its default, a fifth of the training samples held out.

    Kept are the model of the lowest loss there, and of the models of the best score there the one with fewest inputs.
    """
    from lassonet import LassoNetClassifier, LassoNetRegressor

    held = Held(data, train, test, seed)
    kind = LassoNetClassifier if data.classes else LassoNetRegressor
    model = kind(hidden_dims=(HIDDEN,), verbose=0, random_state=seed, torch_seed=seed, device="cpu")
    best: dict[str, tuple[tuple[float, int], Fitted]] = {}

    def record(model: Any, history: list) -> None:
        chosen = history[-1].selected.numpy().nonzero()[0]
        qualities = {"lowest loss": -history[-1].val_loss, "fewest inputs": float(model.score(held.X_val, held.y_val))}
        for name, quality in qualities.items():
            rank = (quality, -len(chosen))
            if len(chosen) and (name not in best or rank > best[name][0]):
                best[name] = rank, (held.back(model.predict(held.X_test)), chosen)

    model.path(held.X, held.y, X_val=held.X_val, y_val=held.y_val, callback=record)
    return {name: fitted for name, (_, fitted) in best.items()}


STG_PENALTIES = (0.1, 1.0, 10.0, 100.0)
STG_EPOCHS = 2000


def stochastic_gates(data: Set, train: np.ndarray, test: np.ndarray, seed: int) -> dict[str, Fitted]:
    """Train STG at four penalties with the optimiser of its examples; a fifth of the training samples chooses.

    It has no path and no seed of its own: torch's generator is seeded, and an input is in where its gate is above 0.
    """
    import collections.abc

    import torch

    for name in ("Mapping", "Sequence", "Set"):  # stg 0.1.2 expects them where Python had them before 3.10
        setattr(collections, name, getattr(collections.abc, name))
    from stg import STG

    held = Held(data, train, test, seed)
    best: tuple[float, Fitted] | None = None
    for penalty in STG_PENALTIES:
        torch.manual_seed(seed)
        model = STG(
            task_type="classification" if data.classes else "regression",
            input_dim=held.X.shape[1],
            output_dim=len(held.labels) if data.classes else 1,
            hidden_dims=[HIDDEN],
            activation="tanh",
            optimizer="SGD",
            learning_rate=0.1,
            batch_size=len(held.X),
            sigma=0.5,
            lam=penalty,
            device="cpu",
        )
        shaped = held.y if data.classes else held.y[:, None]
        model.fit(held.X, shaped, nr_epochs=STG_EPOCHS, verbose=False, print_interval=STG_EPOCHS)
        found = np.asarray(model.predict(held.X_val, verbose=False)).ravel()
        quality = float(np.mean(found == held.y_val)) if data.classes else -float(np.mean((found - held.y_val) ** 2))
        if best is None or quality >= best[0]:  # a tie goes to the larger penalty
            inputs = np.flatnonzero(np.asarray(model.get_gates("prob")) > 0)
            best = quality, (held.back(model.predict(held.X_test, verbose=False)), inputs)
    return {"best score": best[1]} if best else {}


ELASTIC = {"l1_ratio": 0.2, "eps": 0.002}
"""An elastic net predicts best with little of both penalties, so its grid goes farther down."""

METHODS: dict[str, Method] = {
    "network, sparse": network("sparse", 50, *CHOICES),
    "network, elastic net": network("sparse", 50, "min", "min, refit", **ELASTIC),
    "network, elastic net, shorter": network("sparse", 50, "1se", **ELASTIC),
    "network, dense": network("dense", 20, "1se", activation="silu"),
    "network, auto": network("both", 20, "1se"),
    "L1 linear": linear("1se", "min"),
    "elastic net linear": linear("min", **ELASTIC),
    "random forest": forest,
    "LassoNet": lassonet,
    "STG": stochastic_gates,
}

PEERS = {"LassoNet": "lassonet", "STG": "stg"}
"""Methods whose package may be missing."""


def available() -> list[str]:
    """Return the methods whose package is installed."""
    return [name for name in METHODS if name not in PEERS or find_spec(PEERS[name]) is not None]
