"""Reports in a real browser: a page is opened at some width, and reports what a script in it has measured."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

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
  report.id = "measured";
  report.textContent = JSON.stringify({
    width: innerWidth, scroll: page.scrollWidth, sizes: sizes.map(s => [s.width, s.height]),
    up, down, numbers: [...buttons].map((button, i) => {
      if (button.parentElement.classList.contains("name")) return null;
      button.click();
      return column(i).map(Number);
    }),
  });
  document.body.append(report);
});
</script>
"""
"""Widths, sizes of figures, and the columns of the first sortable table after clicks: the first column up and down,
each column of numbers falling."""


class Measured(HTMLParser):
    """Takes out what the page reports."""

    text = ""
    inside = False

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.inside = ("id", "measured") in attrs

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.text += data

    def handle_endtag(self, tag: str) -> None:
        self.inside = False


def measured(path: Path) -> Path:
    """Put the script into a page, and return its path."""
    html = path.read_text(encoding="utf-8")
    path.write_text(html.replace("</body>", MEASURE + "</body>"), encoding="utf-8")
    return path


def inspect_page(page: Path, width: int) -> dict:
    """Open the page at this width and return its measurements; a frame makes widths below the browser's least."""
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
