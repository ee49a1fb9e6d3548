"""What is no number is refused in one sentence, by every estimator, in fit and in predict."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import spred
from spred.errors import InputError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 2))
DAYS = pd.date_range("2020-01-01", periods=20)
ESTIMATORS = [spred.SparseRegressor(), spred.SparseRegressorCV(n_alphas=3, cv=2), spred.NetworkRegressor(alphas=[0.5])]


def frame(column: object) -> pd.DataFrame:
    return pd.DataFrame({"age": X[:, 0], "when": column})


NOT_NUMBERS = {
    "dates": (frame(DAYS), r"'when' holds times \(datetime64"),
    "dates with a zone": (frame(DAYS.tz_localize("UTC")), "'when' holds times"),
    "spans": (frame(DAYS - DAYS[0]), r"'when' holds times \(timedelta64"),
    "periods": (frame(DAYS.to_period("D")), r"'when' holds times \(period"),
    "date objects": (frame(DAYS.date), "no|not 'datetime.date'"),
    "an array of dates": (DAYS.to_numpy()[:, None], "X holds times"),
    "text": (frame(["low", "high"] * 10), "encode text columns first"),
    "categories": (frame(pd.Categorical(["low", "high"] * 10)), "encode text columns first"),
    "complex numbers": (X + 1j, "complex numbers"),
    "complex numbers in a sparse matrix": (sparse.csr_array(X + 1j), "complex numbers"),
    "missing whole numbers": (frame(pd.array([1, None] * 10, dtype="Int64")), "NaN or infinity in column 'when'"),
}


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("kind", NOT_NUMBERS)
def test_what_is_no_number_is_refused(estimator: object, kind: str) -> None:
    table, message = NOT_NUMBERS[kind]
    with pytest.raises(InputError, match=message) as caught:
        estimator.fit(table, X[:, 0])
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250  # the sentence, not the data


def test_new_samples_are_checked_as_well() -> None:
    model = spred.SparseRegressor().fit(X, X[:, 0])
    with pytest.raises(InputError, match="X holds times"):
        model.predict(np.column_stack([DAYS.to_numpy(), DAYS.to_numpy()]))
    with pytest.raises(InputError, match="X has 3 features, but SparseRegressor is expecting 2"):
        model.predict(np.ones((2, 3)))


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (DAYS, "y holds times"),
        (X[:, 0] + 1j, "complex numbers"),
        (["low", "high"] * 10, "a classifier takes classes"),
        (pd.array([1, None] * 10, dtype="Int64"), "y contains NaN"),
    ],
)
def test_targets_that_are_no_numbers_are_refused(y: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        spred.SparseRegressor().fit(X, y)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["low", None] * 10, "samples without a class"),
        (["low", float("nan")] * 10, "samples without a class"),
        (pd.array(["low", None] * 10, dtype="string"), "samples without a class"),
        (["low", 1] * 10, "y cannot be read as classes|one class"),
        (X[:, 0], "y cannot be read as classes"),
    ],
)
def test_labels_that_are_no_classes_are_refused(y: object, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        spred.SparseClassifier().fit(X, np.asarray(y, dtype=object) if isinstance(y, list) else y)
    assert "\n" not in str(caught.value)


def test_extension_types_of_numbers_are_read() -> None:
    table = pd.DataFrame({"a": pd.array([1, 2] * 10, dtype="Int64"), "b": X[:, 0] > 0, "c": X[:, 1].astype("f4")})
    model = spred.SparseRegressor().fit(table, X[:, 0])
    np.testing.assert_allclose(model.predict(table), model.predict(table.astype(float)), rtol=1e-6)


class Frame:
    """A frame of another library than pandas: its types have names and no kinds, as those of polars."""

    def __init__(self, dtype: str) -> None:
        self.columns, self.dtypes, self.shape = ["a", "b"], ["Float64", dtype], X.shape

    def __array__(self, dtype: object = None, copy: bool | None = None) -> np.ndarray:
        return X

    def __len__(self) -> int:
        return len(X)


def test_frames_of_other_libraries_are_read_by_the_names_of_their_types() -> None:
    assert spred.SparseRegressor().fit(Frame("Int64"), X[:, 0]).n_features_in_ == 2
    for dtype in ("Date", "Datetime(time_unit='us', time_zone=None)", "Duration(time_unit='us')", "Time"):
        with pytest.raises(InputError, match="'b' holds times"):
            spred.SparseRegressor().fit(Frame(dtype), X[:, 0])


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda one: type(one).__name__)
def test_one_weight_is_that_of_all_samples(estimator: object) -> None:
    one = estimator.fit(X, X[:, 0], sample_weight=2.0).predict(X)
    np.testing.assert_array_equal(one, estimator.fit(X, X[:, 0], sample_weight=np.full(20, 2.0)).predict(X))


@pytest.mark.parametrize("alpha", [None, [0.1], [0.1, 0.2], "0.1", float("nan"), -1.0, 0, {"a": 1}])
def test_what_is_no_alpha_is_refused(alpha: object) -> None:
    for estimator in (spred.SparseRegressor(alpha), spred.SparseClassifier(alpha)):
        with pytest.raises(InputError, match="alpha"):
            estimator.fit(X, X[:, 0] > 0)


@pytest.mark.parametrize("alphas", ["x", [None], [[0.1, 0.2]], [0.1, float("nan")], [], {"a": 1}])
def test_what_are_no_alphas_is_refused(alphas: object) -> None:
    for estimator in (spred.SparseRegressorCV(alphas=alphas), spred.NetworkRegressor(alphas=alphas)):
        with pytest.raises(InputError, match="alpha"):
            estimator.fit(X, X[:, 0])
