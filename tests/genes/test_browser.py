"""The report in a real browser: nothing runs over the edge, the pictures have a size, and tables sort."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from spred.genes import Study, add_baselines, add_stability, write_study

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium is installed")

MEASURE = """
<script>
addEventListener("load", () => {
  const report = document.createElement("pre");
  const page = document.documentElement;
  const sizes = [...document.querySelectorAll("figure svg")].map(s => s.getBoundingClientRect());
  const table = document.querySelector("table.sortable");
  const column = i => [...table.tBodies[0].rows].map(row => row.cells[i].dataset.value);
  const buttons = table.querySelectorAll("th button");
  buttons[0].click();
  const up = column(0);
  buttons[0].click();
  const down = column(0);
  buttons[2].click();
  report.id = "measured";
  report.textContent = JSON.stringify({
    width: innerWidth, scroll: page.scrollWidth, sizes: sizes.map(s => [s.width, s.height]),
    up, down, numbers: column(2).map(Number),
  });
  document.body.append(report);
});
</script>
"""


class Measured(HTMLParser):
    """Takes out what the page says of itself."""

    text = ""
    inside = False

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.inside = ("id", "measured") in attrs

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.text += data

    def handle_endtag(self, tag: str) -> None:
        self.inside = False


@pytest.fixture(scope="module")
def page(study: Study, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fullest report there is, with a script that measures it."""
    whole = add_stability(add_baselines(study), n_pairs=10)
    path = write_study(whole, tmp_path_factory.mktemp("browser") / "out") / "report.html"
    html = path.read_text(encoding="utf-8")
    path.write_text(html.replace("</body>", MEASURE + "</body>"), encoding="utf-8")
    return path


def look(page: Path, width: int) -> dict:
    """Open the page at this width and return its measurements; a frame makes widths below the browser's least."""
    import json

    frame = page.with_name(f"frame{width}.html")
    frame.write_text(
        f'<iframe id="f" src="{page.name}" style="width:{width}px;height:3000px;border:0"></iframe>'
        '<script>addEventListener("load", () => { const m = document.createElement("pre"); m.id = "measured";'
        ' m.textContent = document.getElementById("f").contentDocument.getElementById("measured").textContent;'
        " document.body.append(m); })</script>"
    )
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files", "--dump-dom"]
    profile = page.parent / f"profile{width}"
    command = [BROWSER, *options, f"--user-data-dir={profile}", "--window-size=1400,3200", frame.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    found = Measured()
    found.feed(re.sub(r"<script>.*?</script>", "", dom, flags=re.DOTALL))
    return json.loads(found.text)


@pytest.mark.parametrize("width", [1200, 400])
def test_the_page_fits_and_its_tables_sort(width: int, page: Path, study: Study) -> None:
    found = look(page, width)
    assert found["width"] == width
    assert found["scroll"] <= width
    assert len(found["sizes"]) == 6
    assert all(w > 200 and h > 80 for w, h in found["sizes"])
    assert sorted(found["up"]) == found["up"] == found["down"][::-1]
    assert set(found["up"]) == set(study.genes["gene"])
    assert found["numbers"] == sorted(found["numbers"], reverse=True)
