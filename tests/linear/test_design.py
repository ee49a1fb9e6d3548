"""Implicit centring and scaling equal the matrix written out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

import spred
from spred.linear.design import Design


@pytest.fixture(params=["dense", "sparse"])
def data(request: pytest.FixtureRequest) -> tuple[object, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    X = np.where(rng.random((30, 6)) < 0.5, rng.normal(3.0, 2.0, (30, 6)), 0.0)
    X[:, 4] = 0.1  # constant, and not a binary fraction
    s = rng.random(30)
    return (sparse.csc_array(X) if request.param == "sparse" else X), X, s / s.sum()


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("scale", [True, False])
def test_it_is_the_matrix_written_out(data: tuple, center: bool, scale: bool) -> None:
    given, X, s = data
    design = Design(given, s, center=center, scale=scale)
    mean = s @ X
    deviation = np.sqrt(s @ (X - mean) ** 2)
    deviation[4] = 1.0
    full = (X - (mean if center else 0.0)) / (deviation if scale else 1.0)
    theta = np.random.default_rng(1).standard_normal((30, 2))
    np.testing.assert_allclose(design.columns(np.array([5, 0, 3])), full[:, [5, 0, 3]], atol=1e-12)
    np.testing.assert_allclose(design.correlate(theta), full.T @ theta, atol=1e-12)
    np.testing.assert_allclose(design.correlate(theta[:, 0]), full.T @ theta[:, 0], atol=1e-12)
    v, b = np.random.default_rng(2).standard_normal((6, 2)), np.array([1.0, -2.0])
    coef, intercept = design.original_units(np.arange(6), v, b)
    np.testing.assert_allclose(X @ coef + intercept, full @ v + b, atol=1e-10)


FORMS = {
    "float32 by rows": lambda X, folder: np.ascontiguousarray(X, dtype=np.float32),
    "float32 by columns": lambda X, folder: np.asfortranarray(X, dtype=np.float32),
    "float64 by rows": lambda X, folder: np.ascontiguousarray(X),
    "every other row": lambda X, folder: np.repeat(X, 2, axis=0)[::2],
    "a memory map to read": lambda X, folder: mapped(X.astype(np.float32), folder),
}


def mapped(X: np.ndarray, folder: Path) -> np.ndarray:
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode="r")


@pytest.mark.parametrize("form", FORMS)
def test_large_matrices_are_read_where_they_lie(form: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("spred.linear.design.COPIED", 0)
    monkeypatch.setattr("spred.linear.design.TILE", 64)  # many tiles, the last ones ragged
    rng = np.random.default_rng(0)
    X = rng.normal(3.0, 2.0, (50, 37)).astype(np.float32).astype(np.float64)  # exact in both precisions
    s = np.full(50, 0.02)
    given = FORMS[form](X, tmp_path)
    design = Design(given, s, center=True, scale=True)
    assert np.shares_memory(design.X, given)
    plain = (X - X.mean(axis=0)) / X.std(axis=0)
    theta = rng.standard_normal((50, 3))
    np.testing.assert_allclose(design.correlate(theta), plain.T @ theta, atol=1e-12)
    np.testing.assert_allclose(design.correlate(theta[:, 0]), plain.T @ theta[:, 0], atol=1e-12)
    np.testing.assert_allclose(design.columns(np.array([30, 2])), plain[:, [30, 2]], atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_solutions_do_not_depend_on_how_numbers_are_stored(
    form: str, loss: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rng = np.random.default_rng(1)
    X = rng.normal(1.0, 2.0, (40, 60)).astype(np.float32).astype(np.float64)
    y = (X[:, 0] > 1.0).astype(float)
    base = spred.solve(X, y, loss=loss, alpha=0.05, standardize=True)
    monkeypatch.setattr("spred.linear.design.COPIED", 0)
    given = spred.solve(FORMS[form](X, tmp_path), y, loss=loss, alpha=0.05, standardize=True)
    assert given.gap <= 1e-9
    np.testing.assert_allclose(given.coef, base.coef, atol=1e-9)
