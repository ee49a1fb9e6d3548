"""A model survives being written as JSON, and a damaged one is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from spred.errors import FileError
from spred.genes import Study
from spred.genes.saved_model import as_json, final_risk, fingerprints, model_of, parse, predictor


def test_a_model_survives_json(study: Study) -> None:
    content = json.loads(json.dumps(as_json(model_of(study))))
    assert content["made_by"] == "spred"
    assert parse(content) == model_of(study)


def test_a_model_has_the_selected_genes_and_predicts_as_the_pipeline(numbers_study: Study) -> None:
    model, expression = model_of(numbers_study), numbers_study.expression
    assert set(model.genes) == set(numbers_study.genes["gene"])
    values = expression.values[:, [list(expression.genes).index(gene) for gene in model.genes]]
    eta = predictor(model, values, np.zeros((len(values), 0)))
    np.testing.assert_allclose(eta[:, 0], final_risk(numbers_study), atol=1e-9)


def test_a_sample_is_known_again_by_name_and_values() -> None:
    values = np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 2.1]])
    first, renamed, changed = fingerprints(["a", "b", "a"], values)
    assert len({first, renamed, changed}) == 3
    assert fingerprints(["a"], values[:1] + 1e-6) == [first]


def test_a_damaged_model_is_refused(study: Study) -> None:
    with pytest.raises(FileError, match="coefficients do not fit its genes"):
        parse(as_json(model_of(study)) | {"genes": ["G0"]})
    with pytest.raises(FileError, match="the model is damaged"):
        parse(as_json(model_of(study)) | {"medians": None})


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"task": "classificatOon"}, "'task' is no "),
        ({"intercept": [{}]}, "'intercept' is no "),
        ({"mean": "x"}, "'mean' is no float"),
        ({"genes": "G0"}, "'genes' is no "),
        ({"medians": [float("nan")]}, "'medians' is no "),
        ({"network": {"activation": 1}}, "'network.activation' is no str"),
        ({"classes": ["a", "b", "c"]}, "its coefficients are not those of its classes"),
        ({"classes": []}, "its classes are not those of its task"),
        ({"covariates": [["age", []]]}, "its coefficients do not fit its covariates"),
        ({"reference": [1.0]}, "its quantiles do not fit its genes"),
        ({"reference": [1.0], "all_genes": ["none of them"]}, "its quantiles do not fit its genes"),
    ],
)
def test_no_field_of_a_model_is_believed(changed: dict[str, object], sentence: str, study: Study) -> None:
    with pytest.raises(FileError, match=f"the model is damaged \\({sentence}"):
        parse(as_json(model_of(study)) | changed)


def test_a_field_that_is_missing_is_named(study: Study) -> None:
    content = as_json(model_of(study))
    del content["medians"]
    with pytest.raises(FileError, match="'medians' is missing"):
        parse(content)
