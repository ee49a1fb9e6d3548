"""The report in a real browser: nothing runs over the edge, the pictures have a size, and tables sort."""

from __future__ import annotations

from pathlib import Path

import pytest
from browser import BROWSER, inspect_page, measured

from spred.genes import Study, add_baselines, add_stability, write_study

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium is installed")


@pytest.fixture(scope="module")
def page(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fullest report there is, with a script that measures it."""
    whole = add_stability(add_baselines(study), n_pairs=10)
    return measured(write_study(whole, tmp_path_factory.mktemp("browser") / "out") / "report.html")


@pytest.mark.parametrize("width", [1200, 400])
def test_the_page_fits_and_its_tables_sort(width: int, page: Path, study: Study) -> None:
    found = inspect_page(page, width)
    assert found["width"] == width
    assert found["scroll"] <= width
    assert len(found["sizes"]) == 6
    assert all(w > 200 and h > 80 for w, h in found["sizes"])
    assert sorted(found["up"]) == found["up"] == found["down"][::-1]
    assert set(found["up"]) == set(study.genes["gene"])
    assert found["numbers"][2] == sorted(found["numbers"][2], reverse=True)
