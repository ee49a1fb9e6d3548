"""Pages are one file, escaped, and load nothing."""

from __future__ import annotations

import re
from pathlib import Path

import jinja2
import pytest
from matplotlib.figure import Figure

from spred.report.html import inline, render


def template(tmp_path: Path, body: str) -> Path:
    path = tmp_path / "note.html"
    path.write_text('{% extends "page.html" %}{% block content %}' + body + "{% endblock %}")
    return path


def drawing(title: str) -> Figure:
    figure = Figure(figsize=(2, 1))
    figure.add_subplot().set_title(title)
    return figure


def test_every_value_is_escaped(tmp_path: Path) -> None:
    text = render(template(tmp_path, '<p title="{{ a }}">{{ a }}</p>'), a='"><script>alert(1)</script>')
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_a_missing_value_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(jinja2.UndefinedError, match="absent"):
        render(template(tmp_path, "{{ absent }}"))


def test_a_page_loads_nothing(tmp_path: Path) -> None:
    text = render(template(tmp_path, "{{ figure }}"), figure=inline(drawing("a"), "a"))
    assert "http://" not in text
    assert "https://" not in text
    assert not re.search(r"<(link|iframe|object|embed)\b|<script[^>]*src", text)
    assert "default-src 'none'" in text


def test_a_figure_is_an_svg_element_with_real_text() -> None:
    svg = inline(drawing("a < b & <script>"), "one")
    assert svg.startswith("<svg")
    assert svg.rstrip().endswith("</svg>")
    assert "a &lt; b &amp; &lt;script&gt;" in svg
    assert "<metadata" not in svg


def test_figures_of_one_page_do_not_share_ids() -> None:
    one, two = (set(re.findall(r'\bid="([^"]*)"', inline(drawing("t"), name))) for name in ("one", "two"))
    assert one
    assert not one & two


def test_references_inside_a_figure_lead_somewhere() -> None:
    figure = Figure(figsize=(2, 1))
    figure.add_subplot().plot([1, 2], [1, 2])
    svg = inline(figure, "one")
    ids = set(re.findall(r'\bid="([^"]*)"', svg))
    references = set(re.findall(r'(?:url\(#|href="#)([^")]+)', svg))
    assert references
    assert references <= ids


def test_the_same_figure_gives_the_same_text() -> None:
    assert inline(drawing("t"), "one") == inline(drawing("t"), "one")


def test_letters_that_no_font_of_matplotlib_has_are_left_to_the_page() -> None:
    assert "腫瘍" in inline(drawing("腫瘍"), "a")
