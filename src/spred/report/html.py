"""Reports as one HTML file that opens from disk: a Jinja2 template, figures inline as SVG, no network.

Autoescape is on for every value, so a gene called ``<script>`` is shown, not run. The only markup that enters
is what :func:`inline` makes of our own figures, whose texts Matplotlib has escaped.
"""

from __future__ import annotations

import re
import warnings
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PIXELS_PER_INCH = 100
"""The widest that a figure is shown; it shrinks where the page is narrow."""

HERE = Path(__file__).parent


def render(template: Path, **values: object) -> str:
    """Fill a template; it may extend ``page.html``, which holds the style and sorts tables.

    Raises:
        jinja2.UndefinedError: the template names a value that is not given.
    """
    environment = Environment(
        loader=FileSystemLoader([template.parent, HERE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template.name).render(**values)


def inline(figure: Figure, name: str) -> Markup:
    """Return the figure as an SVG element for HTML; ``name`` keeps its ids apart from other figures'.

    Text stays text, set in the page's font. The XML prologue, the metadata and the namespaces go: HTML knows
    SVG.
    """
    from matplotlib import rc_context

    buffer = StringIO()
    with rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # the page's font draws the letters
        figure.savefig(buffer, format="svg", transparent=True)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\sxmlns(:xlink)?="[^"]*"', "", svg)
    width = figure.get_figwidth() * PIXELS_PER_INCH
    svg = re.sub(r'\swidth="[^"]*" height="[^"]*"', f' style="max-width:{width:.0f}px"', svg, count=1)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r"url\(#", f"url(#{name}-", svg)
    return Markup(re.sub(r'href="#', f'href="#{name}-', svg))
