"""The parts of a page are drawn alike for every report, and what is in them is escaped."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from spred.report.blocks import Card, Cell, Heading, Table, drawing, headings, text_table
from spred.report.html import render

NASTY = "<b>a</b>"


def drawn(tmp_path: Path, what: str, content: object) -> str:
    """What a macro of blocks.html makes of a record."""
    path = tmp_path / "part.html"
    path.write_text('{% from "blocks.html" import ' + what + " %}{{ " + what + "(content) }}")
    return " ".join(render(path, content=content).split())


def test_cards_are_a_value_and_its_label(tmp_path: Path) -> None:
    html = drawn(tmp_path, "cards", [Card("0.94", "balanced accuracy"), Card(NASTY, NASTY)])
    assert '<div class="card"><b>0.94</b><span>balanced accuracy</span></div>' in html
    assert html.count("&lt;b&gt;a&lt;/b&gt;") == 2


def test_a_plain_table_has_text_and_no_buttons(tmp_path: Path) -> None:
    table = text_table(headings("file", "size"), [("a.onnx", "1 kB"), (NASTY, "–")], narrow=True)
    html = drawn(tmp_path, "table", table)
    assert '<div class="scroll narrow"> <table>' in html
    assert '<th class="name" scope="col">file</th> <th scope="col">size</th>' in html
    assert '<td class="name">a.onnx</td> <td>1 kB</td>' in html
    assert "<button" not in html
    assert NASTY not in html


def test_a_sortable_table_has_buttons_and_values(tmp_path: Path) -> None:
    heads = (Heading("gene", is_name=True), Heading("p"))
    rows = ((Cell("TP53", "TP53", link="https://x/?a=1&b"), Cell("0.1", "0.0987", tint="red")),)
    html = drawn(tmp_path, "table", Table(heads, rows, sortable=True))
    assert '<table class="sortable">' in html
    assert '<th class="name" scope="col"><button type="button">gene</button></th>' in html
    assert 'data-value="TP53"><a href="https://x/?a=1&amp;b" rel="noreferrer">TP53</a></td>' in html
    assert '<td data-value="0.0987" style="background:red">0.1</td>' in html


@pytest.mark.parametrize("wide", [False, True])
def test_a_figure_has_its_caption(wide: bool, tmp_path: Path) -> None:
    figure = Figure(figsize=(2, 1))
    figure.add_subplot().set_title("title")
    html = drawn(tmp_path, "figure", drawing(figure, "one", "what it shows", wide=wide))
    assert html.startswith('<figure class="wide">' if wide else "<figure>")
    assert "<svg" in html
    assert html.endswith("<figcaption>what it shows</figcaption> </figure>")


def test_headings_of_names_come_first() -> None:
    assert [head.is_name for head in headings("a", "b", "c", n_names=2)] == [True, True, False]
