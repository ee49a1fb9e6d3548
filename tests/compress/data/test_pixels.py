"""Arrays of images come to bytes with their channels first, or it is said why they cannot."""

import numpy as np
import pytest

from spred.compress.data.pixels import as_bytes, stack
from spred.errors import InputError


@pytest.mark.parametrize(
    ("shape", "found"),
    [
        ((5, 8, 8, 3), (5, 3, 8, 8)),
        ((5, 8, 9, 4), (5, 4, 8, 9)),  # red, green, blue and how opaque
        ((5, 4, 8, 9), (5, 4, 8, 9)),
        ((5, 4, 4, 3), (5, 3, 4, 4)),
        ((5, 64, 64, 13), (5, 13, 64, 64)),  # the bands of a satellite
        ((5, 13, 64, 64), (5, 13, 64, 64)),
        ((5, 8, 9), (5, 1, 8, 9)),
    ],
)
def test_the_axis_of_the_channels_is_found(shape, found):
    assert as_bytes(np.zeros(shape, dtype=np.uint8), None).shape == found


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 9, 8, 9)), "no axis is that of the channels"),
        (np.zeros((2, 64)), "give"),
        (np.zeros((0, 8, 8)), "has no images"),
        (np.zeros((2, 0, 8)), "has no images"),
        (np.full((2, 8, 8), np.nan), "outside 0 … 255"),
        (np.full((2, 8, 8), -0.5), "outside 0 … 255"),
        (np.full((2, 8, 8), 256), "outside 0 … 255"),
        (np.zeros((2, 8, 8), dtype=complex), "images of complex128"),
        (np.full((2, 8, 8), "a"), "images of <U1"),
    ],
)
def test_what_is_no_image_is_said(images, message):
    with pytest.raises(InputError, match=message):
        as_bytes(images, None)


def test_halves_and_truth_values_become_bytes():
    assert as_bytes(np.full((1, 2, 2), 0.5, dtype=np.float16), None).max() == 128
    assert as_bytes(np.ones((1, 2, 2), dtype=bool), None).max() == 255


def test_no_picture_makes_no_stack():
    with pytest.raises(InputError, match="has no images"):
        stack([])
