"""Labels are texts, whole numbers or one-hot rows, one for each image; what is no class is refused."""

import numpy as np
import pytest

from spred.compress.data.labels import labelled, of_array, of_texts
from spred.errors import InputError

IMAGES = np.zeros((3, 1, 2, 2), dtype=np.uint8)


@pytest.mark.parametrize(
    ("labels", "classes", "numbers"),
    [
        (np.array([10, 9, 10]), ("9", "10"), [1, 0, 1]),
        (np.array([1.0, 0.0, 1.0]), ("0", "1"), [1, 0, 1]),
        (np.array([[1], [0], [1]]), ("0", "1"), [1, 0, 1]),
        (np.array([[0, 0, 1], [1, 0, 0], [0, 0, 1]]), ("0", "2"), [1, 0, 1]),
        (np.array([b"cat", b"ant", b"cat"]), ("ant", "cat"), [1, 0, 1]),
        (np.array(["é\n", "a", "é\n"]), ("a", "é\n"), [1, 0, 1]),
        (np.array([True, False, True]), ("0", "1"), [1, 0, 1]),
    ],
)
def test_labels_of_arrays(labels, classes, numbers):
    found = labelled(IMAGES, of_array(labels))
    assert found.classes == classes
    assert found.labels.tolist() == numbers
    assert found.labels.dtype == np.int64


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1], "has 3 images and 2 labels"),
        ([0, 1, None], "without a label: number 2"),
        ([0.0, float("nan"), 1.0], "without a label: number 1"),
        (["a", " ", "b"], "without a label: number 1"),
        ([0.5, 1.0, 2.0], "has the label 0.5, which is no class"),
        ([0, 1, float("inf")], "has the label inf"),
        ([0, 1, {"a": 1}], "has the label {'a': 1}"),
        ([[0], [1], [2]], r"has the label \[0\]"),
    ],
)
def test_what_is_no_label_is_refused(labels, message):
    with pytest.raises(InputError, match=message):
        labelled(IMAGES, labels)


@pytest.mark.parametrize("labels", [np.full((3, 2), 0.5), np.eye(3)[:, :2], np.zeros((3, 2, 2)), np.array(0)])
def test_rows_that_are_not_one_hot_are_refused(labels):
    with pytest.raises(InputError, match="has labels of shape"):
        of_array(labels)


def test_numbers_with_names_are_used_as_they_are():
    assert labelled(IMAGES, [1, 1, 1], ("a", "b")).labels.tolist() == [1, 1, 1]
    with pytest.raises(InputError, match="has the label -1, and names of 2 classes: 0 … 1"):
        labelled(IMAGES, [0, -1, 1], ("a", "b"))  # the hub's mark of what has no label


def test_texts_are_numbers_where_all_of_them_are():
    assert of_texts(["10", " 9", "+1"]) == [10, 9, 1]
    assert of_texts(["10", "x"]) == ["10", "x"]
    assert of_texts(["NA", "US"]) == ["NA", "US"]
