"""Methods of the selection suite: each is fitted to training samples and returns predictions and the inputs it uses."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

import spred
from selection.sets import Set

Fitted = tuple[np.ndarray, np.ndarray]
"""Predictions of the test part, and the indices of the inputs in use."""


def network(start: str, n_alphas: int) -> Callable[[Set, np.ndarray, np.ndarray, int], Fitted]:
    """Return the gated network with a start; alpha by the one-standard-error rule in 5 inner folds."""

    def fit(data: Set, train: np.ndarray, test: np.ndarray, seed: int) -> Fitted:
        kind = spred.NetworkClassifier if data.classes else spred.NetworkRegressor
        model = kind(start=start, n_alphas=n_alphas, random_state=seed).fit(data.X[train], data.y[train])
        return model.predict(data.X[test]), model.get_support(indices=True)

    return fit


def lasso(data: Set, train: np.ndarray, test: np.ndarray, seed: int) -> Fitted:
    """Fit the exact sparse linear model, the same rule and inner folds."""
    kind = spred.SparseClassifierCV if data.classes else spred.SparseRegressorCV
    model = kind(random_state=seed).fit(data.X[train], data.y[train])
    return model.predict(data.X[test]), model.get_support(indices=True)


def forest(data: Set, train: np.ndarray, test: np.ndarray, seed: int) -> Fitted:
    """Grow 500 trees; a forest uses every input."""
    kind = RandomForestClassifier if data.classes else RandomForestRegressor
    model = kind(500, random_state=seed).fit(data.X[train], data.y[train])
    return model.predict(data.X[test]), np.arange(data.X.shape[1])


def lassonet(data: Set, train: np.ndarray, test: np.ndarray, seed: int) -> Fitted:
    """Follow LassoNet's own path, hidden 50, and keep the model that is best on a fifth of the training samples.

    Everything else is its default. Of equally good models the one with the fewest inputs is kept.
    """
    from lassonet import LassoNetClassifier, LassoNetRegressor

    scaler = StandardScaler().fit(data.X[train])
    inside, validation = train_test_split(
        train, test_size=0.2, random_state=seed, stratify=data.y[train] if data.classes else None
    )
    X, y = scaler.transform(data.X).astype(np.float32), data.y
    shift, unit = (0, 1) if data.classes else (y[train].mean(), y[train].std())
    y = np.unique(y, return_inverse=True)[1] if data.classes else ((y - shift) / unit).astype(np.float32)
    kind = LassoNetClassifier if data.classes else LassoNetRegressor
    model = kind(hidden_dims=(50,), verbose=0, random_state=seed, torch_seed=seed, device="cpu")
    best: tuple[float, int] = (-np.inf, 0)
    kept: Fitted = (np.empty(0), np.empty(0))
    history = model.path(X[inside], y[inside], X_val=X[validation], y_val=y[validation], return_state_dicts=True)
    for save in history:
        model.load(save.state_dict)
        chosen = save.selected.numpy().nonzero()[0]
        quality = (float(model.score(X[validation], y[validation])), -len(chosen))
        if quality > best and len(chosen):
            best, kept = quality, (np.asarray(model.predict(X[test])).ravel(), chosen)
    predicted = np.unique(data.y)[kept[0].astype(int)] if data.classes else shift + unit * kept[0]
    return predicted, kept[1]


METHODS: dict[str, Callable[[Set, np.ndarray, np.ndarray, int], Fitted]] = {
    "network, sparse": network("sparse", 50),
    "network, dense": network("dense", 20),
    "network, auto": network("auto", 20),
    "L1 linear": lasso,
    "random forest": forest,
    "LassoNet": lassonet,
}


def available() -> list[str]:
    """Return the methods whose package is installed."""
    return [name for name in METHODS if name != "LassoNet" or find_spec("lassonet") is not None]
