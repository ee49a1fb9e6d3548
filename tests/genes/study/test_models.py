"""Each kind of model has its estimators for every task, and is found by name."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from spred.errors import InputError
from spred.genes import Expression, Settings, run_study
from spred.genes.study.models import MODELS, find_model

QUICK = Settings(n_alphas=6, folds=2)


def test_an_unknown_model_is_one_sentence(expression: Expression) -> None:
    sentence = "no model is called 'liner'; did you mean 'linear'"
    with pytest.raises(InputError, match=sentence):
        find_model("liner")
    with pytest.raises(InputError, match=sentence):
        run_study(expression, Settings(model="liner"))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_at_the_alpha_that_was_chosen_is_the_same_to_its_tolerance(name: str, expression: Expression) -> None:
    settings = dataclasses.replace(QUICK, model=name, rule="1se")
    model = find_model(name)
    chosen = model.cross_validated(expression, settings).fit(expression.values, expression.target)
    given = model.at_alpha(expression, settings, chosen.alpha_).fit(expression.values, expression.target)
    assert np.mean(chosen.predict(expression.values) == given.predict(expression.values)) >= 0.95
    one, other = (model.coefficients(each) for each in (chosen, given))
    np.testing.assert_allclose(one, other, atol=0.05 * np.abs(one).max())


@pytest.mark.parametrize("name", MODELS)
def test_sizes_along_the_path_fit_its_alphas_and_columns(name: str, expression: Expression) -> None:
    settings = dataclasses.replace(QUICK, model=name, rule="min")
    model = find_model(name)
    fitted = model.on_path(expression, settings).fit(expression.values, expression.target)
    sizes = model.sizes(fitted, expression.values)
    assert sizes.shape == (len(fitted.path_.alphas), expression.values.shape[1])
    assert not sizes[0].any()
    assert sizes[-1].any()
    assert 0 <= model.certificate(fitted)["kkt"] < 0.1


def test_the_linear_path_is_standardised(expression: Expression) -> None:
    model = find_model("linear")
    settings = dataclasses.replace(QUICK, rule="min")
    sizes = [
        model.sizes(model.on_path(expression, settings).fit(values, expression.target), values)
        for values in (expression.values, 100 * expression.values)
    ]
    np.testing.assert_allclose(*sizes, atol=1e-6)


def test_covariates_have_no_penalty_and_are_not_counted(expression: Expression) -> None:
    ages = np.linspace(40, 60, len(expression.samples))[:, None]
    adjusted = dataclasses.replace(expression, adjusted_for=ages)
    estimator = find_model("linear").on_path(adjusted, dataclasses.replace(QUICK, rule=2))
    assert estimator.rule == 3
    assert estimator.penalty_weights.tolist() == [1.0] * len(expression.genes) + [0.0]
