"""Data terms against autograd, their own conjugates, and the model that knows nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from strategies import WORLDS, sample, seeds, send

from spred.core.cox import Coupled
from spred.core.losses import LOSSES, Loss, get_loss, huber, with_offset
from spred.errors import InputError

every_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)


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
    # Where samples do not interact, only the blocks of each sample remain of the full Hessian.
    own = torch.stack([bend[i, :, i, :] if loss.multi else bend[i, i] for i in range(len(eta))])
    for world, xs in zip(WORLDS, ((eta, y, s), (eta_t, y_t, s_t)), strict=True):
        np.testing.assert_allclose(loss.gradient(*xs), slope, atol=1e-12)
        np.testing.assert_allclose(loss.value(*xs), loss.value(eta, y, s), rtol=1e-12)
        curvature = loss.curvature(*xs)
        if isinstance(curvature, Coupled):
            np.testing.assert_allclose(curvature.times(send(world, np.eye(len(eta)))), bend, atol=1e-12)
            columns = np.random.default_rng(seed).standard_normal((len(eta), 2)) + 5.0
            np.testing.assert_allclose(
                curvature.form(send(world, columns)), columns.T @ bend.numpy() @ columns, atol=1e-11
            )
            assert np.linalg.eigvalsh(np.diag(curvature.diagonal) - np.asarray(bend)).min() >= -1e-12
        else:
            np.testing.assert_allclose(curvature, own, atol=1e-12 + loss.stand_in)


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
    if loss.intercept and loss.name != "huber":  # the score of a canonical link; Huber's null is a robust centre
        share = np.sum(s[:, None] * y, axis=0) if loss.multi else np.sum(s * y)
        np.testing.assert_allclose(loss.mean(null)[0], share)


@every_loss
def test_a_common_shift_changes_nothing_exactly_where_there_is_no_intercept(loss: Loss) -> None:
    eta, y, s = sample(loss, seed=0)
    push = np.arange(3.0) if loss.multi else 1.0  # softmax alone ignores a shift common to the classes
    assert np.isclose(loss.value(eta, y, s), loss.value(eta + push, y, s), rtol=1e-12) != loss.intercept


@every_loss
def test_curvature_tells_the_truth_about_being_quadratic(loss: Loss) -> None:
    eta, y, s = sample(loss, seed=0)
    here, there = loss.curvature(eta, y, s), loss.curvature(eta + np.arange(len(eta.T)), y, s)
    here, there = (c.diagonal if isinstance(c, Coupled) else c for c in (here, there))
    assert np.allclose(here, there) == loss.quadratic


@pytest.mark.parametrize("name", ["huber", "poisson", "logistic", "cox", "cox-efron"])
@given(seed=seeds)
def test_an_offset_is_a_known_part_of_the_predictor(name: str, seed: int) -> None:
    loss = get_loss(name)
    eta, y, s = sample(loss, seed)
    offset = np.random.default_rng(seed).standard_normal(len(eta))
    moved = with_offset(loss, offset)
    theta = moved.gradient(eta, y, s)
    np.testing.assert_array_equal(theta, loss.gradient(eta + offset, y, s))
    assert moved.value(eta, y, s) + moved.conjugate(theta, y, s) == pytest.approx(theta @ eta, abs=1e-10)
    assert moved.gradient(np.zeros_like(eta) + moved.null(y, s), y, s).sum() == pytest.approx(0.0, abs=1e-12)


def test_an_offset_is_for_one_predictor() -> None:
    with pytest.raises(InputError, match="one linear predictor"):
        with_offset(LOSSES["multinomial"], np.zeros(3))


def test_the_conjugate_of_poisson_is_finite_at_zero_counts() -> None:
    loss, s = LOSSES["poisson"], np.array([0.5, 0.5])
    assert loss.conjugate(np.zeros(2), np.array([0.0, 3.0]), s) == pytest.approx(0.0)  # a saturated fit has no deviance


@pytest.mark.parametrize("delta", [0.0, -1.0, np.inf, np.nan])
def test_huber_wants_a_positive_transition(delta: float) -> None:
    with pytest.raises(InputError, match="delta is"):
        huber(delta)


def test_huber_is_squared_with_a_far_transition() -> None:
    eta, y, s = sample(LOSSES["squared"], seed=0)
    for part in ("value", "gradient", "curvature"):
        far, squared = getattr(huber(1e3), part), getattr(LOSSES["squared"], part)
        np.testing.assert_allclose(far(eta, y, s), squared(eta, y, s))


@pytest.mark.parametrize("name", ["logistic", "multinomial", "cox", "cox-efron"])
def test_certain_predictors_stay_finite(name: str) -> None:
    loss = get_loss(name)
    eta, y, s = sample(loss, seed=0)
    eta = 1e4 * np.sign(eta)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        curvature = loss.curvature(eta, y, s)
        curvature = curvature.times(np.eye(len(eta))) if isinstance(curvature, Coupled) else curvature
        parts = loss.value(eta, y, s), loss.gradient(eta, y, s), curvature, loss.mean(eta)
        dual = loss.conjugate(loss.gradient(eta, y, s), y, s)
    assert all(np.isfinite(part).all() for part in (*parts, dual))


def test_unknown_loss_names_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'logistic'"):
        get_loss("logistics")
