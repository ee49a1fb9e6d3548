"""Data terms against autograd, their own conjugates, and the model that knows nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from strategies import WORLDS, seeds, send

from spred.core.losses import LOSSES, Loss, get_loss
from spred.errors import InputError

every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


def sample(loss: Loss, seed: int, n: int = 7, k: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A random predictor, a target that suits the loss with every class present, uneven sample weights."""
    rng = np.random.default_rng(seed)
    eta = 3.0 * rng.standard_normal((n, k) if loss.multi else n)
    if loss.multi:
        y = np.eye(k)[rng.permutation(np.arange(n) % k)]
    else:
        y = rng.standard_normal(n) if loss.name == "squared" else rng.permutation(np.arange(n) % 2).astype(float)
    s = rng.uniform(0.5, 1.5, n)
    return eta, y, s / s.sum()


def in_torch(*arrays: np.ndarray) -> tuple[torch.Tensor, ...]:
    return tuple(send("torch", a) for a in arrays)


def test_values_in_plain_words() -> None:
    half = np.array([0.5, 0.5])
    assert LOSSES["squared"].value(np.array([1.0, 4.0]), np.array([0.0, 1.0]), half) == pytest.approx(2.5)
    assert LOSSES["logistic"].value(np.zeros(2), np.array([0.0, 1.0]), half) == pytest.approx(np.log(2))
    assert LOSSES["multinomial"].value(np.zeros((2, 3)), np.eye(3)[:2], half) == pytest.approx(np.log(3))


@every_loss
@given(seed=seeds)
def test_gradient_and_curvature_are_autograds(loss: Loss, seed: int) -> None:
    eta, y, s = sample(loss, seed)
    eta_t, y_t, s_t = in_torch(eta, y, s)

    def value(predictor: torch.Tensor) -> torch.Tensor:
        return loss.value(predictor, y_t, s_t)

    slope = torch.autograd.functional.jacobian(value, eta_t)
    bend = torch.autograd.functional.hessian(value, eta_t)
    # Samples do not interact: of the full Hessian only the blocks of each sample remain.
    own = torch.stack([bend[i, :, i, :] if loss.multi else bend[i, i] for i in range(len(eta))])
    for xs in ((eta, y, s), (eta_t, y_t, s_t)):
        np.testing.assert_allclose(loss.gradient(*xs), slope, atol=1e-12)
        np.testing.assert_allclose(loss.curvature(*xs), own, atol=1e-12)
        np.testing.assert_allclose(loss.value(*xs), loss.value(eta, y, s), rtol=1e-12)


@every_loss
@given(seed=seeds)
def test_conjugate_meets_fenchel_young_with_equality_at_the_gradient(loss: Loss, seed: int) -> None:
    eta, y, s = sample(loss, seed)
    elsewhere = np.random.default_rng(seed).permutation(eta)
    for xs in ((eta, y, s), in_torch(eta, y, s)):
        theta = loss.gradient(*xs)
        both = loss.value(*xs) + loss.conjugate(theta, *xs[1:])
        assert float(both) == pytest.approx(float((theta * xs[0]).sum()), abs=1e-10)
    bound = loss.value(elsewhere, y, s) + loss.conjugate(loss.gradient(eta, y, s), y, s)
    assert bound >= np.sum(loss.gradient(eta, y, s) * elsewhere) - 1e-10


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("name", ["logistic", "multinomial"])
def test_conjugate_is_infinite_outside_its_domain(name: str, world: str) -> None:
    loss = get_loss(name)
    eta, y, s = sample(loss, seed=0)
    theta = np.zeros_like(eta)
    theta[0] = 2.0 * s[0]  # one "probability" above 1
    assert float(loss.conjugate(*(send(world, x) for x in (theta, y, s)))) == np.inf


@every_loss
@given(seed=seeds)
def test_null_is_the_best_constant(loss: Loss, seed: int) -> None:
    eta, y, s = sample(loss, seed)
    null = np.zeros_like(eta) + loss.null(y, s)
    np.testing.assert_allclose(loss.gradient(null, y, s).sum(axis=0), 0.0, atol=1e-12)
    np.testing.assert_allclose(loss.null(*in_torch(y, s)), loss.null(y, s), atol=1e-12)
    assert loss.value(null, y, s) <= loss.value(null + 0.1, y, s) + 1e-12
    share = np.sum(s[:, None] * y, axis=0) if loss.multi else np.sum(s * y)
    np.testing.assert_allclose(loss.mean(null)[0], share)


@every_loss
def test_curvature_tells_the_truth_about_being_quadratic(loss: Loss) -> None:
    eta, y, s = sample(loss, seed=0)
    same = np.allclose(loss.curvature(eta, y, s), loss.curvature(eta + np.arange(len(eta.T)), y, s))
    assert same == loss.quadratic


@pytest.mark.parametrize("name", ["logistic", "multinomial"])
def test_certain_predictors_stay_finite(name: str) -> None:
    loss = get_loss(name)
    eta, y, s = sample(loss, seed=0)
    eta = 1e4 * np.sign(eta)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        parts = loss.value(eta, y, s), loss.gradient(eta, y, s), loss.curvature(eta, y, s), loss.mean(eta)
        dual = loss.conjugate(loss.gradient(eta, y, s), y, s)
    assert all(np.isfinite(part).all() for part in (*parts, dual))


def test_unknown_loss_names_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'logistic'"):
        get_loss("logistics")
