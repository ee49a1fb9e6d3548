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
