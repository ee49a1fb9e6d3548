"""The report in a real browser: nothing runs over the edge, the pictures have a size, and the frontier sorts."""

import pytest
from browser import BROWSER, inspect_page, measured
from compress_outcome import NASTY

from spred.compress.export.folder import write_models

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium is installed")


@pytest.fixture(scope="module")
def page(outcome, dense, sparse, tmp_path_factory):
    import torch

    folder = tmp_path_factory.mktemp("page")
    write_models(outcome, dense, sparse, torch.zeros(1, 1, 28, 28), folder)
    return measured(folder / "report.html")


@pytest.mark.parametrize("width", [1200, 400])
def test_the_page_fits_and_its_table_sorts(width, page, outcome):
    found = inspect_page(page, width)
    assert found["width"] == width
    assert found["scroll"] <= width
    assert len(found["sizes"]) == 5
    assert all(w > 200 and h > 80 for w, h in found["sizes"])
    assert set(found["up"]) == {point.method for point in outcome.points} >= {NASTY}
    assert found["up"] == found["down"][::-1] or sorted(found["up"]) == sorted(found["down"])
    columns = [numbers for numbers in found["numbers"] if numbers is not None]
    assert len(columns) == 6
    assert all(numbers == sorted(numbers, reverse=True) for numbers in columns)
    assert columns[2][0] == max(point.compression for point in outcome.points)
