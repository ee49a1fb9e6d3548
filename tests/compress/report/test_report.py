"""The page says what the record says, and shows names instead of running them."""

import re

import pytest
from compress_outcome import NASTY

from spred.compress.report import report
from spred.compress.results import Sizes, Speed


@pytest.fixture
def measured(outcome):
    from dataclasses import replace

    sizes = {
        "dense": Sizes(1000, 1000, 1000, 90_000, 4_000_000, None, 4_100_000, 0.5),
        "sparse": Sizes(1000, 100, 90, 90_000, 4_000_000, 500_000),
        "shrunk": Sizes(200, 95, 90, 30_000, 900_000, None, 950, 0.2),
    }
    speeds = (Speed(1, 200, 0.5, 0.2, 2.51, 2.4, 2.6), Speed(32, 30, 15.0, 5.0, 3.0, 2.8, 3.3))
    return replace(outcome, sizes=sizes, speeds=speeds, checks={"model.onnx": 3e-7}, files={"model.onnx": "a file"})


def test_the_page_has_the_figures_of_the_record(measured):
    html = report.page(measured)
    for text in (
        "20×",
        "98.80 %",
        "99.00 %",
        "2.51×",
        "3×",
        "8×",
        "500 kB",
        "4.1 MB",
        "950 bytes",
        "3e-07",
        "90,000",
    ):
        assert text in html, text
    assert html.count("<svg") == 5
    assert "Times in ONNX Runtime" in html


def test_names_are_shown_and_not_run(measured):
    html = report.page(measured)
    assert NASTY not in html
    assert "<b>$x$" not in html
    assert html.count("&lt;b&gt;$x$") >= 4  # the method, the data, the note, a setting


def test_the_page_needs_no_network(measured):
    assert not re.findall(r'(?:src|href)="(?!#)[^"]*"', report.page(measured))


def test_without_test_images_validation_is_reported(outcome):
    from dataclasses import replace

    bare = replace(outcome, chosen=replace(outcome.chosen, test=None, magnitudes=None), curves=())
    html = report.page(bare)
    assert "On validation images the model is right in 98.90 %" in html
    assert html.count("<svg") == 2


@pytest.mark.parametrize(
    ("n_bytes", "text"), [(0, "0 bytes"), (999, "999 bytes"), (1500, "1.5 kB"), (2_340_000, "2.34 MB")]
)
def test_sizes_are_written_in_decimal_units(n_bytes, text):
    assert report.size_text(n_bytes) == text
