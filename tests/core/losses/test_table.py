"""Data terms against autograd, their own conjugates, and the model that knows nothing."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from strategies import WORLDS, sample, seeds, send

from spred.core.curvature import OutputCurvature
from spred.core.losses import LOSSES, Loss, compiled_form, get_loss, with_offset
from spred.core.risk_sets import Coupled
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
    hessian = torch.autograd.functional.hessian(value, eta_t)
    # Where samples do not interact, only the blocks of each sample remain of the full Hessian.
    own = torch.stack([hessian[i, :, i, :] if loss.multi else hessian[i, i] for i in range(len(eta))])
    for world, xs in zip(WORLDS, ((eta, y, s), (eta_t, y_t, s_t)), strict=True):
        np.testing.assert_allclose(loss.gradient(*xs), slope, atol=1e-12)
        np.testing.assert_allclose(loss.value(*xs), loss.value(eta, y, s), rtol=1e-12)
        curvature = loss.curvature(*xs)
        if isinstance(curvature, Coupled):
            np.testing.assert_allclose(curvature.times(send(world, np.eye(len(eta)))), hessian, atol=1e-12)
            columns = np.random.default_rng(seed).standard_normal((len(eta), 2)) + 5.0
            np.testing.assert_allclose(
                curvature.form(send(world, columns)), columns.T @ hessian.numpy() @ columns, atol=1e-11
            )
            assert np.linalg.eigvalsh(np.diag(curvature.diagonal) - np.asarray(hessian)).min() >= -1e-12
        elif isinstance(curvature, OutputCurvature):
            eye = send(world, np.broadcast_to(np.eye(eta.shape[1]), own.shape).copy())
            np.testing.assert_allclose(curvature.times(eye), own, atol=1e-12)
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
    if loss.intercept and loss.transition is None:  # the score of a canonical link; Huber's null is a robust centre
        mean = np.sum(s[:, None] * y, axis=0) if loss.multi else np.sum(s * y)
        np.testing.assert_allclose(loss.mean(null)[0], mean)


@every_loss
def test_a_common_shift_changes_nothing_exactly_where_there_is_no_intercept(loss: Loss) -> None:
    eta, y, s = sample(loss, seed=0)
    push = np.arange(3.0) if loss.multi else 1.0  # softmax alone ignores a shift common to the classes
    assert np.isclose(loss.value(eta, y, s), loss.value(eta + push, y, s), rtol=1e-12) != loss.intercept


@every_loss
def test_curvature_tells_the_truth_about_being_quadratic(loss: Loss) -> None:
    eta, y, s = sample(loss, seed=0)
    here, there = loss.curvature(eta, y, s), loss.curvature(eta + np.arange(len(eta.T)), y, s)
    if isinstance(here, Coupled):
        here, there = here.diagonal, there.diagonal
    elif isinstance(here, OutputCurvature):
        here, there = here.diagonal(), there.diagonal()
    assert np.allclose(here, there) == loss.quadratic


@pytest.mark.parametrize("name", ["logistic", "multinomial", "cox", "cox-efron"])
def test_certain_predictors_stay_finite(name: str) -> None:
    loss = get_loss(name)
    eta, y, s = sample(loss, seed=0)
    eta = 1e4 * np.sign(eta)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        curvature = loss.curvature(eta, y, s)
        if isinstance(curvature, Coupled):
            curvature = curvature.times(np.eye(len(eta)))
        elif isinstance(curvature, OutputCurvature):
            curvature = curvature.times(np.ones_like(eta))
        parts = loss.value(eta, y, s), loss.gradient(eta, y, s), curvature, loss.mean(eta)
        dual = loss.conjugate(loss.gradient(eta, y, s), y, s)
    assert all(np.isfinite(part).all() for part in (*parts, dual))


def test_unknown_loss_names_the_nearest() -> None:
    with pytest.raises(InputError, match="did you mean 'logistic'"):
        get_loss("logistics")


@every_loss
def test_the_null_ignores_what_an_offset_shifts_exactly_where_the_loss_sees_residuals_alone(loss: Loss) -> None:
    eta, y, s = sample(loss, seed=0)
    if not loss.target.survival:
        same = np.isclose(loss.value(eta + 0.7, y + 0.7, s), loss.value(eta, y, s), rtol=1e-12)
        assert same == loss.of_residual


@every_loss
def test_every_row_pickles_and_declares_what_it_has(loss: Loss) -> None:
    again = pickle.loads(pickle.dumps(loss))
    eta, y, s = sample(loss, seed=0)
    assert float(again.value(eta, y, s)) == float(loss.value(eta, y, s))
    assert compiled_form(again) == compiled_form(loss)
    assert loss.has_curvature
    assert loss.has_conjugate
    assert loss.takes_offset != loss.multi


def test_a_copy_of_a_row_with_another_function_has_no_compiled_form() -> None:
    row = LOSSES["logistic"]
    assert compiled_form(row) == "logistic"
    assert compiled_form(with_offset(row, np.zeros(3))) == "logistic"
    assert compiled_form(replace(row, value=row.conjugate)) is None
    assert compiled_form(LOSSES["huber"]) is None
