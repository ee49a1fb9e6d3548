"""The examples in README.md and docs/ run: the ```python blocks of a page, in order, as one script.

Other blocks (shell, text) are for reading. Examples run in an empty folder and make the files that they need.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = {str(page.relative_to(ROOT)): page for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))}
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def script(page: Path) -> str:
    """The python blocks of a page, each at its own line number, so that a traceback points into the page."""
    text = page.read_text(encoding="utf-8")
    lines: list[str] = []
    for block in BLOCK.finditer(text):
        first = text.count("\n", 0, block.start(1))
        lines += [""] * (first - len(lines)) + block.group(1).splitlines()
    return "\n".join(lines)


@pytest.mark.parametrize("name", [name for name, page in PAGES.items() if script(page)])
def test_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = compile(script(PAGES[name]), PAGES[name], "exec")
    exec(code, {"__name__": "__main__"})


@pytest.mark.parametrize("name", PAGES)
def test_links_within_the_repository_lead_somewhere(name: str) -> None:
    targets = re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", PAGES[name].read_text(encoding="utf-8"))
    assert not [target for target in targets if not (PAGES[name].parent / target).exists()]


def test_code_refers_to_sections_that_exist() -> None:
    there = set(re.findall(r"^## (§\d+)", (ROOT / "docs" / "math.md").read_text(encoding="utf-8"), re.MULTILINE))
    asked = {
        section
        for file in (ROOT / "src").rglob("*.py")
        for place in re.findall(r"math\.md[\s`]*,?\s*((?:§\d+(?:,| and| to|\s)*)+)", file.read_text(encoding="utf-8"))
        for section in re.findall(r"§\d+", place)
    }
    assert asked
    assert asked <= there
