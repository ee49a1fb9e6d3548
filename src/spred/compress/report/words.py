"""What the terminal says of a run that has ended."""

from __future__ import annotations

from spred.compress.report.report import cards, percent, ratio
from spred.compress.results import Outcome, Point


def lines(outcome: Outcome) -> list[str]:
    """Return the notes, a line for each model, and the figures of the chosen one."""
    models = [line(point, chosen=point == outcome.chosen) for point in outcome.points]
    figures = [f"  {card.value:>9}  {card.label}" for card in cards(outcome)]
    return [*outcome.notes, "", *models, "", *figures]


def line(point: Point, *, chosen: bool) -> str:
    """Return the line of one model."""
    test = "" if point.test is None else f"   test {percent(point.test):>7}"
    accuracy = f"validation {percent(point.validation):>7}{test}"
    return f"  {point.method:<12} {ratio(point.compression):>7}   {accuracy}{'   chosen' if chosen else ''}"
