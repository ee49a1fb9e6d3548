"""What the pages are made of: cards, tables, figures with captions. ``blocks.html`` draws them, for every report alike.

Rows are plain text here. A cell carries what it is sorted by where the table sorts on a click, and perhaps a background
and a link.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import Markup

from spred.report.html import inline

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Card:
    """A number that a reader sees first, and what it is."""

    value: str
    label: str


@dataclass(frozen=True)
class Heading:
    """The heading of a column; columns of names stand to the left, those of numbers to the right."""

    title: str
    is_name: bool = False


@dataclass(frozen=True)
class Cell:
    """A cell: what is shown, what it is sorted by, its background, where a click leads."""

    text: str
    value: str = ""
    tint: str = ""
    link: str = ""


@dataclass(frozen=True)
class Table:
    """A table of a page.

    Attributes:
        heads: one for each column.
        rows: cells in the order of ``heads``.
        sortable: whether a click on a heading sorts; then each cell has its ``value``.
        narrow: whether it is only as wide as its content.
    """

    heads: tuple[Heading, ...]
    rows: tuple[tuple[Cell, ...], ...]
    sortable: bool = False
    narrow: bool = False


@dataclass(frozen=True)
class Drawing:
    """A figure of a page, and what it shows; a wide one scrolls where the page is narrow."""

    svg: Markup
    caption: str
    wide: bool = False


def headings(*titles: str, n_names: int = 1) -> tuple[Heading, ...]:
    """Return headings, of which the first ``n_names`` are those of names."""
    return tuple(Heading(title, is_name=i < n_names) for i, title in enumerate(titles))


def text_table(heads: Sequence[Heading], rows: Iterable[Sequence[str]], *, narrow: bool = False) -> Table:
    """Return a table of plain text.

    >>> text_table(headings("fold", "genes", n_names=0), [["1", "12"]]).rows[0][1].text
    '12'
    """
    return Table(tuple(heads), tuple(tuple(Cell(text) for text in row) for row in rows), narrow=narrow)


def drawing(figure: Figure, name: str, caption: str, *, wide: bool = False) -> Drawing:
    """Draw a figure for a page; ``name`` keeps its ids apart from those of the page's other figures."""
    return Drawing(inline(figure, name), caption, wide)
